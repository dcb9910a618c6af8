"""How long a limit lasts, in whatever words a service says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from auth_conformance.oracles.standing import flattened

# Headers that name the end of a limit: seconds from now, or a moment since the epoch.
_RESETS = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset")
# Numbers from here on are moments, and from there on such in milliseconds.
_MOMENT, _MILLISECONDS = 1e9, 1e12
_IN_FIELD = re.compile(r"(?:\bt|\breset)\s*=\s*(\d+)")
_MEMBER = re.compile(
    r"^(?:retry_?(?:after|in)|wait(?:_?for)?)(?:_?(ms|millis|milliseconds)|_?(?:s|secs?|seconds))?$",
    re.IGNORECASE,
)


def lasting(header: Callable[[str], str | None], document: Any = None) -> float | None:
    """Seconds until a refused request may come again; None where nothing says so.

    `Retry-After` (RFC 9110 §10.2.3: seconds, or a date) goes before the fields of draft-ietf-httpapi-ratelimit-headers
    and their forerunners, and these before a member of the body.
    """
    told = (header("retry-after") or "").strip()
    if told:
        return _seconds(told) if _seconds(told) is not None else _until(told)
    for name in _RESETS:
        value = _seconds(header(name) or "")
        if value is not None:
            return value
    inside = _IN_FIELD.search(header("ratelimit") or "")
    return float(inside[1]) if inside is not None else _in_body(document)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if value >= _MOMENT:
        value = (value / 1000 if value >= _MILLISECONDS else value) - time.time()
    return max(0.0, value) if value < _MOMENT else None


def _until(date: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _in_body(document: Any) -> float | None:
    for pointer, value in flattened(document).items() if isinstance(document, dict) else ():
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", pointer.rpartition("/")[2])
        match = _MEMBER.match(name)
        if match is not None and isinstance(value, int | float) and not isinstance(value, bool):
            return max(0.0, value / 1000 if match[1] else float(value))
    return None
