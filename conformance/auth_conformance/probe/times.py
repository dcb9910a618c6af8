"""Times in tokens that are no NumericDate (RFC 7519 §2), and starts that are still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auth_conformance.credentials import compact_json
from auth_conformance.model import Need, Role, Severity
from auth_conformance.probe.core import Missing, Session, Unclear
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.refusal import Attempt

HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Case:
    """One hand-written value of a time claim. It prints as what is wrong with it."""

    claim: str
    value: str
    severity: Severity
    words: str

    def __str__(self) -> str:
        return f"{self.claim} is {self.words}"


def ends_in_other_types(now: int) -> list[Case]:
    """Values of `exp`. Those that are over, or that never compare, are worse than those still to come."""
    later, past = now + HOUR, now - HOUR
    day = datetime.fromtimestamp(past, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cases = [
        ("NaN", Severity.HIGH, "NaN"),
        (f'"{past}"', Severity.HIGH, "a past number in a text"),
        (f"[{past}]", Severity.HIGH, "a past number in a list"),
        (f'"{day}"', Severity.HIGH, "a past date in words"),
        ("false", Severity.HIGH, "false"),
        ("-1", Severity.HIGH, "-1"),
        ("0", Severity.HIGH, "0"),
        ("-Infinity", Severity.HIGH, "-Infinity"),
        ("Infinity", Severity.MEDIUM, "Infinity"),
        ("1e400", Severity.MEDIUM, "1e400"),
        ("true", Severity.MEDIUM, "true"),
        (f"[{later}]", Severity.MEDIUM, "a number in a list"),
        ("{}", Severity.MEDIUM, "an object"),
        ('"2099-01-01T00:00:00Z"', Severity.MEDIUM, "a future date in words"),
        (f'"{later}"', Severity.LOW, "a future number in a text"),
        (f"{(now + 60)}000", Severity.LOW, "future, in milliseconds"),
        # Numbers of seconds, and as such far ahead (RFC 7519 §2, NumericDate): no end that anybody meant, but none
        # that is over either.
        (f"{past}000", Severity.LOW, "past, in milliseconds"),
        ("1e20", Severity.LOW, "1e20"),
        ("1" + "0" * 20, Severity.LOW, "10 to the 20th"),
    ]
    return [Case("exp", *case) for case in cases]


def starts_in_other_types(now: int) -> list[Case]:
    """Values of `nbf`. Those still to come are worse than those that are over and of a wrong type."""
    later, past = now + HOUR, now - HOUR
    cases = [
        ("NaN", Severity.MEDIUM, "NaN"),
        ("Infinity", Severity.MEDIUM, "Infinity"),
        ("1e400", Severity.MEDIUM, "1e400"),
        (f'"{later}"', Severity.MEDIUM, "a future number in a text"),
        (f"[{later}]", Severity.MEDIUM, "a future number in a list"),
        ('"2099-01-01T00:00:00Z"', Severity.MEDIUM, "a future date in words"),
        ("{}", Severity.LOW, "an object"),
        ("true", Severity.LOW, "true"),
        (f'"{past}"', Severity.LOW, "a past number in a text"),
        (f"[{past}]", Severity.LOW, "a past number in a list"),
        ("-Infinity", Severity.LOW, "-Infinity"),
    ]
    return [Case("nbf", *case) for case in cases]


def mistyped(claims: Mapping[str, Any], case: Case) -> str:
    """The claims as JSON, with the case's value as it was written."""
    rest = compact_json({name: value for name, value in claims.items() if name != case.claim})
    return f'{rest[:-1]}{"," if len(rest) > 2 else ""}"{case.claim}":{case.value}}}'


class Times(Minting):
    """Starts are kept."""

    async def is_taken(self, attempt: Attempt) -> bool:
        """Whether the witness lets in what nothing depends on."""
        credential = await self.credential(self.token_kind)
        baseline = await self.baseline(self.witness, credential)
        return (await self.attempt(self.witness, attempt, baseline, role=Role.CONTROL)).accepted

    async def keeps_starts(self) -> bool:
        """Whether a token of our own that begins an hour from now is refused."""
        forge = await self.forge()
        later = self.fresh_claims(forge)
        now = int(self.scene.recorder.clock.now() + forge.offset)
        later |= {"nbf": now + HOUR, "exp": now + 2 * HOUR}
        baseline = await self.baseline(self.witness, forge.live)
        attempt = Attempt("a signed token that begins in an hour", forge.credential(later))
        return (await self.attempt(self.witness, attempt, baseline)).rejected

    async def begun_later(self) -> tuple[Session, float]:
        """A token of A that the service itself issued an hour ahead of its time; how far ahead that was.

        Raises Missing without a clock that can be moved, Unclear when the service did not follow it.
        """
        if not self.scene.recorder.clock.movable:
            raise Missing(
                "Not tested: neither the signing key nor the clock of this target is ours to use.",
                self._remedy(Need.SIGNING_KEY),
            )
        session = await self.log_in(
            self.account(), self.token_kind, moved=HOUR, label="log in, an hour ahead of time"
        )
        start = self.jwt_of(session.credential).claims.get("nbf")
        if start is None:
            raise Missing("Not applicable: issued tokens carry no nbf.", applicable=False)
        if not isinstance(start, int | float) or start < self.scene.recorder.clock.now() + HOUR / 2:
            raise Unclear("The service did not visibly follow the moved clock: nbf has not moved.")
        return session, HOUR
