"""Whether a challenge says what to do: schemes that would be accepted, and the error that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.oracles.challenge import parse_challenges

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from auth_conformance.oracles.challenge import Challenge

# Schemes of the IANA registry that mean something to clients; what else stands there names a custom one.
_REGISTERED = {"basic", "bearer", "digest", "dpop", "hoba", "mutual", "negotiate", "scram-sha-256", "vapid"}


def challenges_in(lines: Iterable[str]) -> list[Challenge]:
    """All challenges of an answer; lines that do not parse are ERR101's business and left out."""
    found: list[Challenge] = []
    for line in lines:
        try:
            found += parse_challenges(line)
        except ValueError:
            continue
    return found


def unaccepted(challenges: Iterable[Challenge], accepted: Collection[str]) -> list[str]:
    """Schemes that the challenges name and the operation does not take.

    `accepted` are lower-case authentication schemes; `custom` stands for keys and cookies, which have no
    registered name: for them any word will do.
    """
    found = []
    for challenge in challenges:
        if challenge.scheme in accepted:
            continue
        if challenge.scheme not in _REGISTERED and "custom" in accepted:
            continue
        found.append(challenge.scheme)
    return list(dict.fromkeys(found))


def wrong_error(challenges: Iterable[Challenge], expected: str | None) -> str | None:
    """What is wrong with the `error` of the Bearer challenge: `expected` is the code that fits, None for none.

    A missing code is no fault: RFC 6750 §3 only recommends it.
    """
    for challenge in challenges:
        error = challenge.parameter("error")
        if challenge.scheme != "bearer" or error is None or error == expected:
            continue
        if expected is None:
            return f"says error={error!r} to somebody who presented nothing"
        return f"says error={error!r}, not {expected!r}"
    return None


def without_realm(challenges: Iterable[Challenge]) -> bool:
    """Whether a Basic challenge lacks the realm that RFC 7617 §2 requires."""
    return any(
        challenge.scheme == "basic" and challenge.parameter("realm") is None for challenge in challenges
    )
