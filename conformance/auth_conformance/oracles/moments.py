"""The moments that a body states, in whatever notation: how a moved clock becomes visible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from auth_conformance.oracles.standing import flattened

# A number is taken for a time when it lies within this many seconds of now: thirty years.
_HORIZON = 30 * 365 * 86_400
# How services call the seconds that something still lasts: `expires_in`, `ends_in`, `ttl`.
_LASTING = re.compile(
    r"/(?:(?:expires?|expira|ends|valid|valide|valido|gueltig|lasts|caduca|scade|ablauf)_?(?:in|for|en|em|dans|fuer|tra)"
    r"(?:_?(?:s|secs?|seconds|segundos|secondes|secondi|sekunden))?|ttl|max_?age)$",
    re.IGNORECASE,
)
# A day begins 14 hours before that of UTC, and is over 12 hours after it.
_EASTERNMOST, _WESTERNMOST = -14 * 3_600, 36 * 3_600
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT?.*")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment stated at `pointer`: seconds since the epoch, and how far ahead of now that is."""

    pointer: str
    at: float
    ahead: float


def moments(document: Any, now: float) -> list[Moment]:
    """Every moment in JSON data: ISO 8601 and HTTP dates, and epoch numbers in seconds or milliseconds.

    `expires_in` is the one duration with a protocol meaning (RFC 6749 §5.1); it and what services call so count from
    `now`.
    """
    found = []
    for pointer, value in flattened(document).items():
        if isinstance(value, int) and not isinstance(value, bool) and _LASTING.search(pointer):
            at: float | None = now + value
        else:
            at = moment(value, now)
        if at is not None:
            found.append(Moment(pointer, at, at - now))
    return found


def moment(value: object, now: float) -> float | None:
    """The moment that one value states, None when it states none. Without a zone it is read as UTC."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return next((at for at in (float(value), value / 1000) if abs(at - now) < _HORIZON), None)
    if not isinstance(value, str):
        return None
    try:
        if _ISO.match(value):
            parsed = datetime.fromisoformat(value)
        elif value.endswith("GMT"):
            parsed = parsedate_to_datetime(value)
        else:
            return None
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def day_of(text: str) -> date | None:
    """The day that a text of the form 2026-11-27 names (RFC 3339 §5.6, full-date); None for any other text."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def is_day_of(day: date, end: float) -> bool:
    """Whether `end` may be said as that day: it lies between where the day begins first and where it is over last."""
    began = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return _EASTERNMOST <= end - began <= _WESTERNMOST


def timed(document: Any) -> dict[str, Any]:
    """The leaves of JSON data without those that name a day only: a day is no moment."""
    return {
        pointer: value
        for pointer, value in flattened(document).items()
        if not (isinstance(value, str) and day_of(value))
    }


def shift(before: list[Moment], after: list[Moment]) -> float | None:
    """By how much the moments that both bodies state at the same place moved, at most; None if none is shared."""
    earlier = {item.pointer: item.at for item in before}
    moved = [item.at - earlier[item.pointer] for item in after if item.pointer in earlier]
    return max(moved, default=None)
