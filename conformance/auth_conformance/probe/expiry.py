"""`must_expire`: what has an end stops working there (checklist TOK201; §1.3 CC).

Three ways lead past an end: write a token whose end has passed, move the target's clock, or wait. The first
that this target allows decides. A clock that was moved counts only when the target visibly followed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auth_conformance.credentials import Jwt
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import Baseline
from auth_conformance.oracles.moments import Moment, moment, moments, shift
from auth_conformance.probe.clockwork import FOLLOWED, Clockwork
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.keeping import Keeping
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.refusal import Attempt
from auth_conformance.target import Witness

_DAY = 86_400
# How many seconds after its end a token is presented: around the usual tolerances for clocks, and far beyond.
LATENESS = (1, 30, 61, 121, 301, 3_600, 100_000_000)
MOVES = (1, 61, 301)
# More than this many seconds late is no tolerance any more.
NO_TOLERANCE = 300
# How far ahead ends are set when the clock can be moved, in seconds.
HOUR = 3_600
# Longest lifetime that is waited for, and what is added where two clocks are involved, in seconds.
PATIENCE = 120
MARGIN = 4


@dataclass(frozen=True, slots=True)
class Late:
    """A credential presented `seconds` after its end, with the clock moved by `moved`."""

    seconds: float
    attempt: Attempt
    answer: Answer
    moved: float = 0.0


class Expiry(Keeping, Minting, Clockwork):
    """Ends are kept."""

    async def must_expire(self) -> Verdict:
        """Refuse bearer tokens after their end; a small tolerance for clocks is fine.

        Raises Unclear or Missing when no way leads past an end.
        """
        problems: list[Unclear | Missing] = []
        for strategy in (self._minted_late, self._clock_moved, self._waited_for, self._kept_earlier):
            try:
                return await strategy()
            except (Unclear, Missing) as problem:
                problems.append(problem)
        raise next((problem for problem in problems if isinstance(problem, Unclear)), problems[-1])

    async def _minted_late(self) -> Verdict:
        forge = await self.forge()
        if not isinstance(forge.token.claims.get("exp"), int | float):
            raise Unclear(
                "Issued tokens carry no exp, or none that is a number: there is no end to be late for."
            )
        live = await self.credential(self.token_kind, fresh=True)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        control = await self.attempt(self.witness, await self.honest(), baseline, role=Role.CONTROL)
        if not control.accepted:
            raise Unclear(f"A token of our own with honest claims was not accepted ({control.why}).")
        attempts = []
        for seconds in self._lateness():
            claims = forge.late_claims(self._clock_now(), seconds, self.rng.randrange(1 << 30))
            attempts.append(Attempt(f"a token {how_late(seconds)}", forge.credential(claims)))
        answers = await self.together(self.witness, attempts, baseline, live)
        await self.must_live(self.witness, live, baseline, "after")
        late = [
            Late(seconds, attempt, answer)
            for seconds, attempt, answer in zip(self._lateness(), attempts, answers, strict=True)
        ]
        return await self._judged_late(late, baseline, "signed by us with the true key")

    def _lateness(self) -> tuple[float, ...]:
        margin = 0 if self.target.in_process else MARGIN
        return tuple(seconds + margin for seconds in LATENESS)

    async def _clock_moved(self) -> Verdict:
        if not self.scene.recorder.clock.movable:
            raise Missing("Not tested: the clock of this target cannot be moved.", self._remedy(Need.CLOCK))
        session, end = await self._issued_until()
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        late = []
        for seconds in MOVES:
            moved = end - self._clock_now() + seconds
            attempt = Attempt(f"a token {how_late(seconds)}, by a moved clock", session.credential)
            late.append(
                Late(
                    seconds, attempt, await self.attempt(self.witness, attempt, baseline, moved=moved), moved
                )
            )
        farthest = late[-1].moved
        moved_session = await self.log_in(
            self.account(), self.token_kind, moved=farthest, label="log in, by the moved clock"
        )
        await self.must_live(
            self.witness, moved_session.credential, baseline, "by the moved clock", moved=farthest
        )
        fresh = await self.log_in(self.account(), self.token_kind)
        await self.must_live(self.witness, fresh.credential, baseline, "after")
        if any(item.answer.accepted for item in late):
            before, after = (stated(item, self._clock_now()) for item in (session, moved_session))
            direct = (shift(before, after) or 0.0) >= FOLLOWED * farthest
            if not direct and not await self.clock_followed(self.account(), farthest, self.token_kind):
                self._must_have_followed(before, after, farthest)
        return await self._judged_late(late, baseline, "issued by the service, its clock moved")

    async def _waited_for(self) -> Verdict:
        session, end = await self._issued_until()
        if end - self._clock_now() > PATIENCE:
            raise Missing(
                f"Not tested: tokens live for {end - self._clock_now():.0f} s, too long to wait for.",
                self._remedy(Need.SIGNING_KEY),
            )
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        seconds = self.target.policy.leeway + 1 + MARGIN
        await asyncio.sleep(max(0.0, end - self._clock_now() + seconds))
        attempt = Attempt(f"a token {how_late(seconds)}", session.credential)
        late = Late(seconds, attempt, await self.attempt(self.witness, attempt, baseline))
        fresh = await self.log_in(self.account(), self.token_kind)
        await self.must_live(self.witness, fresh.credential, baseline, "after")
        return await self._judged_late([late], baseline, "issued by the service, after waiting")

    async def _kept_earlier(self) -> Verdict:
        """Present the token of an earlier run again, and keep one for the next."""
        session, end = await self._issued_until()
        try:
            token, over = self.kept_token()
        except Missing:
            self.keep_token(session, end)
            raise
        seconds = self._clock_now() - over
        if seconds <= max(self.target.policy.leeway, 0.0) + MARGIN:
            raise Missing(
                f"Not tested: the token that is kept ends in {max(0.0, -seconds):.0f} s; run again later."
            )
        signed = Jwt.parse(token.reveal())
        own = session.credential.jwt
        if signed is not None and own is not None and signed.header != own.header:
            self.keep_token(session, end)
            raise Unclear("The kept token was signed with another key or header than those of today.")
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        attempt = Attempt(
            f"a token {how_late(seconds)}, of an earlier run", self.as_kept(session.credential, token)
        )
        late = Late(seconds, attempt, await self.attempt(self.witness, attempt, baseline))
        await self.must_live(self.witness, session.credential, baseline, "after")
        self.keep_token(session, end)
        return await self._judged_late([late], baseline, "issued by the service in an earlier run")

    async def _issued_until(self) -> tuple[Session, float]:
        """Issue a token now and say when it ends."""
        if self.target.login(self.token_kind) is None:
            raise Missing(
                "Not tested: no token is issued here, so that none can be seen to end.",
                self._remedy(Need.SIGNING_KEY),
            )
        session = await self.log_in(self.account(), self.token_kind)
        token = session.credential.jwt
        end = moment(token.claims.get("exp"), self._clock_now()) if token else None
        if end is None:
            stated = [
                item.at for item in moments(session.answer.reply.json, self._clock_now()) if item.ahead > 0
            ]
            end = min(stated, default=None)
        if end is None and self.target.policy.access_lifetime:
            end = self._clock_now() + self.target.policy.access_lifetime
        if end is None:
            raise Unclear(
                "Neither the issued tokens nor the login say when they end.",
                "[policy]\naccess_lifetime = 900  # seconds: so long a token is good for",
            )
        return session, end

    async def _judged_late(self, late: Sequence[Late], baseline: Baseline, how: str) -> Verdict:
        tolerance = max(self.target.policy.leeway, 0.0) + (0 if self.target.in_process else MARGIN)
        tolerated = [item.seconds for item in late if item.answer.accepted and item.seconds <= tolerance]
        if tolerated:
            self.notes.append(f"accepted up to {max(tolerated):g} s after the end: tolerance for clocks")
        beyond = [item for item in late if item.seconds > tolerance]
        worst = max(
            (item for item in beyond if item.answer.accepted), key=lambda item: item.seconds, default=None
        )
        if worst is not None:
            violation = await self._late_again(worst, self.witness, baseline)
            if worst.seconds <= NO_TOLERANCE:
                violation = replace(violation, severity=Severity.MEDIUM)
            return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        unclear = [item for item in beyond if not item.answer.rejected]
        if unclear:
            reason = f"{unclear[0].attempt.label}: {unclear[0].answer.why}"
            return Inconclusive(reason, "", tuple(self.evidence), tuple(self.notes))
        nearest = min(item.seconds for item in beyond)
        reason = (
            f"Tokens {how} are refused {nearest:g} s after their end; a fresh one got in before and after."
        )
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _late_again(self, late: Late, witness: Witness, baseline: Baseline) -> Violation:
        again = await self.attempt(
            witness,
            replace(late.attempt, label=f"again: {late.attempt.label}"),
            baseline,
            fresh=True,
            moved=late.moved,
        )
        if not again.accepted:
            raise Unclear(f"{late.attempt.label}: accepted once, then not ({again.why}).")
        if by_cache(again.reply):
            raise Unclear(f"{late.attempt.label}: a cache answered in the application's place (Age).")
        return Violation(
            witness.operation.name,
            f"{witness.operation.name} let in {late.attempt.label} ({again.why}).",
            None,
            (late.answer.exchange, again.exchange),
        )

    def _must_have_followed(self, before: list[Moment], after: list[Moment], moved: float) -> None:
        """CC: a moment that the service states moved with the clock. Raises Unclear."""
        seen = shift(before, after)
        if seen is None or seen < FOLLOWED * moved:
            raise Unclear(
                "The credential was accepted after its end, but the service did not visibly follow the moved clock: "
                "it may read the time elsewhere.",
                self._remedy(Need.SIGNING_KEY),
            )

    def _clock_now(self) -> float:
        return self.scene.recorder.clock.now()


def how_late(seconds: float) -> str:
    """So many seconds late, in words: what is years late is not told in seconds."""
    return f"{seconds:g} s after its end" if seconds < _DAY else f"{seconds / _DAY:.0f} days after its end"


def stated(session: Session, now: float) -> list[Moment]:
    """Every moment that a login states, its token's claims included."""
    token = session.credential.jwt
    claims = moments({"token": dict(token.claims)}, now) if token else []
    # `expires_in` is a duration: it does not follow a clock.
    return claims + [
        item for item in moments(session.answer.reply.json, now) if not item.pointer.endswith("/expires_in")
    ]
