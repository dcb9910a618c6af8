"""`must_end_sessions`: idle and absolute limits hold on the server (checklist SES115; §1.3 CC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt, Kind
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Role, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.probe.clockwork import told
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.expiry import Expiry
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.secret import Secret
    from auth_conformance.target import Account, Refresh

# What nobody declared (checklist SES115): NIST SP 800-63B-4 §2.2.3 for the first two.
IDLE, ABSOLUTE, FAMILY = 1_800.0, 43_200.0, 30 * 86_400.0
# A session that is alive after this time, whatever the limits, has none.
FOREVER = 30 * 86_400.0
LATE = 60.0
STEPS = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, whether somebody declared it, and what it is called."""

    name: str
    seconds: float
    declared: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one limit: kept, broken, or why neither can be said."""

    kept: str = ""
    broken: Violation | None = None
    unclear: str = ""
    remedy: str = "[policy]\nsession_idle = 1800\nsession_absolute = 43200\nrefresh_family = 2592000"


class Limits(Rotation, Expiry):
    """Uses sessions by a moved clock."""

    async def must_end_sessions(self) -> Verdict:
        """No session or refresh family outlives its limits. Raises Missing or Unclear."""
        if not self.scene.recorder.clock.movable:
            raise Missing(
                "Not tested: the clock of this target cannot be moved, and limits are hours.",
                self._remedy(Need.CLOCK),
            )
        policy = self.target.policy
        account = await self.disposable("limits") or self.account()
        outcomes: list[Outcome] = []
        try:
            if self.target.login(Kind.COOKIE) is not None:
                idle = Limit("idle", policy.session_idle or IDLE, policy.session_idle is not None)
                absolute = Limit(
                    "absolute", policy.session_absolute or ABSOLUTE, policy.session_absolute is not None
                )
                outcomes.append(await self._of_limit(self._ends_idle(account, idle)))
                outcomes.append(await self._of_limit(self._ends_in_use(account, absolute, idle.seconds)))
            if self.target.refresh is not None:
                family = Limit("family", policy.refresh_family or FAMILY, policy.refresh_family is not None)
                renewed = self._ends_renewed(account, self.target.refresh, family)
                outcomes.append(await self._of_limit(renewed))
        finally:
            # A service that tidies up by the moved clock has forgotten the sessions that all checks share.
            for known in self.target.accounts.values():
                self.forget_shared(known)
        if not outcomes:
            raise Missing(
                "Not applicable: no login sets a session cookie or issues a refresh token.", applicable=False
            )
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        broken = tuple(item.broken for item in outcomes if item.broken is not None)
        if broken:
            return Failed(broken, evidence, notes)
        unclear = next((item for item in outcomes if item.unclear), None)
        if unclear is not None:
            return Inconclusive(unclear.unclear, unclear.remedy, evidence, notes)
        return Passed(f"{' '.join(item.kept for item in outcomes)}", evidence, notes)

    async def _of_limit(self, judging: Awaitable[Outcome]) -> Outcome:
        """What one limit came to: what is unclear about it hides nothing about the others."""
        try:
            return await judging
        except Unclear as doubt:
            return Outcome(unclear=str(doubt), remedy=doubt.remedy)

    async def _limited_session(self, account: Account) -> tuple[Session, Baseline]:
        session = await self.log_in(account, Kind.COOKIE)
        baseline = await self.baseline(self.witness, session.credential)
        answer = await self._limited_use(session, baseline, 0.0, "control: a new session", Role.CONTROL)
        if not answer.accepted:
            raise Unclear(f"A new session was not accepted ({answer.why}).")
        return session, baseline

    async def _limited_use(
        self, session: Session, baseline: Baseline, moved: float, label: str, role: Role = Role.ATTACK
    ) -> Answer:
        attempt = Attempt(label, session.credential)
        answer = await self.attempt(self.witness, attempt, baseline, role=role, moved=moved, fresh=True)
        if by_cache(answer.reply):
            raise Unclear(f"{label}: a cache answered in the application's place (Age).")
        return answer

    async def _ends_idle(self, account: Account, limit: Limit) -> Outcome:
        before, baseline = await self._limited_session(account)
        answer = await self._limited_use(
            before, baseline, limit.seconds - LATE, "control: before the idle limit", Role.CONTROL
        )
        if answer.rejected:
            self.notes.append("an idle session ends earlier than its limit")
        elif not answer.accepted:
            return Outcome(unclear=f"A session before its idle limit: {answer.why}.")
        proof = []
        for _ in (1, 2):
            session, baseline = await self._limited_session(account)
            late = await self._limited_use(
                session, baseline, limit.seconds + LATE, "a session after its idle limit"
            )
            if late.rejected:
                await self._young_lives(account, baseline, limit.seconds + LATE)
                return Outcome(kept=f"An idle session is over after {_time(limit.seconds)}.")
            if not late.accepted:
                return Outcome(unclear=f"A session after its idle limit: {late.why}.")
            proof.append(late)
        await self._clock_followed(account, session, limit.seconds + LATE)
        return await self._limit_broken(account, limit, f"idle for {_time(limit.seconds)}", proof)

    async def _ends_in_use(self, account: Account, limit: Limit, idle: float) -> Outcome:
        session, baseline = await self._limited_session(account)
        step = min(0.9 * idle, max(idle / 2, limit.seconds / (STEPS - 4)))
        if limit.seconds / step > STEPS:
            return Outcome(unclear=f"The absolute limit would need more than {STEPS} uses of a session.")
        moved = step
        while moved < limit.seconds - LATE:
            answer = await self._limited_use(session, baseline, moved, "use it once more", Role.CONTROL)
            if answer.rejected:
                # It ended by its age, and not by how often it was used: a proxy may log people out, too.
                await self._young_lives(account, baseline, moved, uses=2 + round(moved / step))
                return Outcome(kept=f"A session in use is over after {_time(moved)} already.")
            if not answer.accepted:
                return Outcome(unclear=f"A session in use, after {_time(moved)}: {answer.why}.")
            moved += step
        await self._limited_use(
            session, baseline, limit.seconds - LATE, "control: before its limit", Role.CONTROL
        )
        end = limit.seconds + LATE
        late = await self._limited_use(session, baseline, end, "a session in use after its absolute limit")
        if late.rejected:
            await self._young_lives(account, baseline, end, uses=4 + round((moved - step) / step))
            return Outcome(kept=f"A session in use is over after {_time(limit.seconds)}.")
        if not late.accepted:
            return Outcome(unclear=f"A session after its absolute limit: {late.why}.")
        again = await self._limited_use(
            session, baseline, end + 1, "again: a session in use after its absolute limit"
        )
        if not again.accepted:
            return Outcome(unclear="A session was accepted after its absolute limit once, and then not.")
        await self._clock_followed(account, session, end)
        return await self._limit_broken(
            account, limit, f"in use for {_time(limit.seconds)}", [late, again], step
        )

    async def _young_lives(self, account: Account, baseline: Baseline, moved: float, uses: int = 3) -> None:
        """It was the limit, not the clock: a session that is hardly older is alive by then, at its last use, too.

        `uses` is how often the old one was used until it was refused. Raises Unclear.
        """
        young = await self.log_in(account, Kind.COOKIE, moved=moved - LATE)
        for _ in range(uses):
            alive = await self._limited_use(young, baseline, moved, "control: a young session", Role.CONTROL)
            if not alive.accepted:
                raise Unclear(f"By the moved clock a young session was refused, too ({alive.why}).")

    async def _limit_broken(
        self, account: Account, limit: Limit, how: str, proof: list[Answer], step: float = 0.0
    ) -> Outcome:
        """Alive after a declared limit; where nothing is declared, after a month."""
        name = self.witness.operation.name
        evidence = tuple(answer.exchange for answer in proof)
        message = f"{name} accepts a session cookie that was {how} ({limit.name} limit)."
        if limit.declared:
            return Outcome(broken=Violation(name, message, None, evidence))
        if not step:
            session, baseline = await self._limited_session(account)
            month = await self._limited_use(session, baseline, FOREVER, "a session after a month")
            if month.accepted:
                message = f"{name} accepts a session cookie that was idle for {_time(FOREVER)}."
                return Outcome(broken=Violation(name, message, None, (*evidence, month.exchange)))
        return Outcome(unclear=f"A session that was {how} is alive, and no {limit.name} limit is declared.")

    async def _clock_followed(self, account: Account, session: Session, moved: float) -> None:
        """CC: what the service states by the moved clock has moved. Raises Unclear."""
        if not await self.clock_followed(account, moved, session.credential.carrier.kind):
            self._must_have_followed([], [], moved)

    async def _ends_renewed(self, account: Account, refresh: Refresh, limit: Limit) -> Outcome:
        """Renew again and again until the family should be over."""
        login = self.target.login(Kind.BEARER)
        kind = login.carrier.kind if login is not None else Kind.COOKIE
        session = await self.sign_in(account, kind)
        token = session.refresh
        if token is None:
            return Outcome(unclear="The login issued no refresh token.")
        step = self._renewal_step(token, limit)
        times = [step * count for count in range(1, STEPS) if step * count < limit.seconds]
        if limit.seconds - times[-1] > step:
            return Outcome(unclear=f"The family's limit would need more than {STEPS} renewals.")
        proof: list[Answer] = []
        for moved in (*times, limit.seconds + LATE):
            answer, renewed = await self.renew(
                token, f"refresh after {_time(moved)}", Role.ATTACK, moved=moved
            )
            if answer.judgement is not None:
                return Outcome(unclear=f"A refresh after {_time(moved)}: {answer.why}.")
            if renewed is None:
                if not proof:
                    return Outcome(unclear=f"No refresh worked ({answer.status} after {_time(moved)}).")
                await self._young_family_lives(account, kind, moved)
                return Outcome(
                    kept=f"A family of refresh tokens is over after {_time(moved)} and {len(proof)} renewals."
                )
            proof.append(answer)
            token = renewed.following or token
        first, last, now = proof[0], proof[-1], self._clock_now()
        self._must_have_followed(told(first, now), told(last, now), limit.seconds - step)
        name = refresh.operation.name
        message = f"{name} renews a login {_time(limit.seconds)} after it, {len(proof)} times in a row."
        if not limit.declared and limit.seconds < FOREVER:
            return Outcome(unclear=message)
        return Outcome(broken=Violation(name, message, None, (first.exchange, last.exchange)))

    async def _young_family_lives(self, account: Account, kind: Kind, moved: float) -> None:
        """It was the limit, not the clock: a family that is hardly older is renewed by then. Raises Unclear."""
        session = await self.log_in(account, kind, moved=moved - LATE)
        token = session.refresh or self.refresh_cookie(session.answer.reply)
        if token is None:
            raise Unclear("By the moved clock a login issued no refresh token.")
        answer, renewed = await self.renew(
            token, "control: a young family is renewed", Role.CONTROL, moved=moved
        )
        if renewed is None:
            raise Unclear(
                f"By the moved clock a young family was refused, too ({answer.why or answer.status})."
            )

    def _renewal_step(self, token: Secret, limit: Limit) -> float:
        """Half of a token's life, or a twentieth of the family's where the token does not tell."""
        claims = (Jwt.parse(token.reveal()) or Jwt("", "", "")).claims
        end = claims.get("exp")
        life = float(end) - self._clock_now() if isinstance(end, int | float) else limit.seconds / 10
        return min(max(life / 2, limit.seconds / (STEPS - 4)), 0.9 * life)


def _time(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}".replace(".0 ", " ")
    return f"{seconds:.0f} s"
