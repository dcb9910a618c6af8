"""What the data in a cookie gives away: whose it is, what they may do, and what should have stayed secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from auth_conformance.oracles.cookievalues import Reading, scalars

_GRAVE = re.compile(
    r"role|scope|permission|privilege|admin|staff|superuser|group|password|passwd|secret|api_?key|token$|e_?mail|phone"
    r"|address|birth|name$",
    re.IGNORECASE,
)
_USER = re.compile(r"^_?(?:user|uid|sub|account|member|owner|login|id$|auth_user)", re.IGNORECASE)
_SHORTEST = 3
# What a token says of itself, its session and its account.
_OF_REFERENCES = frozenset(
    {"sid", "sub", "jti", "iat", "nbf", "exp", "iss", "aud", "typ", "type", "alg", "kid"}
)
_DRAWN = re.compile(
    r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w-]{16,}", re.IGNORECASE
)
# Handed on, these open something, however much like chance they look; `csrf_token` or `session_token` do not.
_HANDED_ON = re.compile(
    r"(?:access|refresh|id|oauth2?)_?token$|password|passwd|(?:client|shared)_?secret|api_?key", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Carried:
    """What was found, in words without values; `grave` when it is a right, a secret or personal.

    `redeemable`: nothing but the ids of a token and its account, which are a reference where the server ends it.
    """

    words: str
    grave: bool
    redeemable: bool = False


def carried(found: Sequence[Reading], known: Sequence[str]) -> Carried | None:
    """What legible data says of its user; None when it is a mere reference. `known` is what the service knows."""
    names: list[str] = []
    grave = False
    redeemable = True
    how = ""
    facts = {text for text in known if len(text) >= _SHORTEST}
    for reading in found:
        if _refers(reading.data, "sid"):
            continue
        members = list(scalars(reading.data)) if reading.data is not None else []
        told = [
            name or "a text"
            for name, value in members
            if str(value) in facts or _USER.search(name) or _weighs(name, value)
        ]
        if reading.data is None and any(fact in reading.text for fact in facts):
            told.append("a text that names its user")
        if told and not how:
            how = reading.how
        names += told
        redeemable = redeemable and (not told or _refers(reading.data, "jti"))
        grave = grave or any(_weighs(name, value) or _ADDRESS.search(str(value)) for name, value in members)
    if not names:
        return None
    return Carried(f"{how}: {', '.join(dict.fromkeys(names))}", grave, redeemable)


def _weighs(name: str, value: object) -> bool:
    """Whether a member is a right, a secret or personal; a value that looks like chance mostly is none of them."""
    return bool(_HANDED_ON.search(name)) or (bool(_GRAVE.search(name)) and not _opaque(value))


def _refers(data: object, to: str) -> bool:
    """Whether a token only names its session and its account, both by ids that chance made (RFC 7519 §4.1).

    It is a signed reference then, as `id.sig` is: without the service nobody learns from it who that is. `to`:
    the claim that may name what the server looks up.
    """
    return (
        isinstance(data, dict)
        and to in data
        and data.keys() <= _OF_REFERENCES
        and all(
            isinstance(data[name], str) and _DRAWN.fullmatch(data[name])
            for name in ("sid", "sub", "jti")
            if name in data
        )
    )


def _opaque(value: object) -> bool:
    """Whether a value is itself a reference or chance: a CSRF token says nothing of its user."""
    return (
        isinstance(value, str)
        and len(value) >= 16
        and re.fullmatch(r"[A-Za-z0-9_\-+/=.]+", value) is not None
    )
