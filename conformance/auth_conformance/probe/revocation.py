"""`must_end`: what a logout ends, at once and everywhere, and what it must leave alone."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Provenance,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.cookies import SetCookie, parse_set_cookie
from auth_conformance.probe.core import CSRF_REMEDY, Answer, Missing, Session, Unclear
from auth_conformance.probe.rotation import Rotation
from auth_conformance.target import Witness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.target import Account, Logout

# One of several workers may have missed the logout: with four workers, twenty connections miss none (0.3 %).
REPLAYS = 20
# Caches and replicas forget within seconds, in seconds; in one process there is little to wait for.
LATER = 5.0
LATER_IN_PROCESS = 0.5


@dataclass(frozen=True, slots=True)
class Cast:
    """The sessions of one act: `ended` and `kept` belong to one user, `other` to another (None if alone)."""

    kind: Kind
    ended: Session
    kept: Session
    other: Session | None


class Revocation(Rotation):
    """Ends sessions of its own and replays what belonged to them."""

    async def must_end(self) -> Verdict:
        """Each logout must end the session that it was called with, and no other. Needs a witness and a login."""
        logouts = self._ways_out()
        account = await self.disposable("lifecycle") or self.account()
        violations: list[Violation] = []
        unclear: list[str] = []
        remedies: list[str] = []
        proved: list[str] = []
        try:
            for logout in logouts:
                with self.doubting(unclear, remedies):
                    cast = await self._open_sessions(logout.kind, account)
                    found, doubts = await self._one_logout(logout, cast)
                    violations += found
                    unclear += doubts
                    proved.append(f"{logout.operation.name} ({logout.kind.value})")
        finally:
            for used in (account, self.target.accounts.get("b")):
                if used is not None and not used.expendable:
                    self.forget_shared(used)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if unclear:
            more = f" (and {len(unclear) - 1} more)" if len(unclear) > 1 else ""
            remedy = next(filter(None, remedies), "")
            return Inconclusive(unclear[0] + more, remedy, evidence, notes)
        reason = (
            f"After {' and '.join(proved)} the session was refused at once, {REPLAYS} times over new connections "
            f"and {self._logout_pause:g} s later; other sessions went on."
        )
        return Passed(reason, evidence, notes)

    @property
    def _logout_pause(self) -> float:
        return LATER_IN_PROCESS if self.target.in_process else LATER

    def _ways_out(self) -> list[Logout]:
        """Return one logout per kind that one can log in with. Raises Missing."""
        kinds = {login.carrier.kind for login in self.target.logins}
        ways = {logout.kind: logout for logout in reversed(self.target.logouts) if logout.kind in kinds}
        if not ways:
            raise Missing(
                "No operation that ends a session is known.", self.target.remedies.get(Need.LOGOUT, "")
            )
        return [ways[kind] for kind in Kind if kind in ways]

    async def _open_sessions(self, kind: Kind, account: Account) -> Cast:
        ended = await self.sign_in(account, kind)
        kept = await self.sign_in(account, kind, [ended.credential])
        return Cast(kind, ended, kept, await self._somebody_else(kind))

    async def _somebody_else(self, kind: Kind) -> Session | None:
        other = await self.disposable("another user") or self.target.accounts.get("b")
        if other is None or other.password is None:
            self.notes.append(
                "whether another user's session survives was not seen: only one account is known"
            )
            return None
        return await self.sign_in(other, kind)

    async def _one_logout(self, logout: Logout, cast: Cast) -> tuple[list[Violation], list[str]]:
        """One logout, from the controls before it to the controls after it."""
        before = [await self._must_be_live(session, "before the logout") for session in _all(cast)]
        await self._bland_is_refused(cast.ended)
        for witness in self.witnesses:
            await self.baseline(witness, cast.kept.credential)
        cast = replace(cast, kept=await self._renew_kept(cast.kept))
        violations = await self._logouts_by_strangers(logout, cast)
        if violations:
            return violations, []
        if cast.other is not None:
            # The stranger was the same person, whose logout may have ended all sessions of theirs.
            cast = replace(cast, other=await self.sign_in(cast.other.account, cast.kind))
        answer = await self._log_out(logout, cast.ended)
        started = time.monotonic()
        replays = await self._replay_often(cast)
        lives = any(item.accepted for item in replays)
        # A refresh may end the token that it replaces: while that one lives, it has to wait.
        refreshed = [] if lives else await self._refresh_again(cast.ended)
        self._look_at_cookie(answer, cast.ended)
        await asyncio.sleep(max(0.0, self._logout_pause - (time.monotonic() - started)))
        for witness in self.witnesses:
            replays.append(
                await self._replay_once(witness, cast.ended.credential, "replay some seconds later")
            )
        refreshed = await self._refresh_again(cast.ended) if lives else refreshed
        again = await self.call(logout.operation, cast.ended.credential, label="log out twice")
        if again.outcome is Outcome.CRASHED:
            self.notes.append(f"{logout.operation.name}, called twice, crashed ({again.why})")
        violations, doubts = self._judge_replays(cast, before, answer, replays)
        if violations and not any(item.rejected for item in replays):
            last = await self._replay_once(self.witness, cast.ended.credential, "replay after both logouts")
            if last.rejected:
                why = "the first one may have been answered by something in front"
                return [], [*doubts, f"{logout.operation.name} ended the session at the second call: {why}"]
        violations = violations or await self._alive_elsewhere(logout, cast, (before[0], answer))
        violations += await self._judge_refresh(answer, refreshed, doubts)
        await self._others_go_on(logout, cast, doubts)
        await self._service_lives(cast)
        return violations, doubts

    async def _replay_once(
        self, witness: Witness, credential: Credential, label: str, role: Role = Role.ATTACK
    ) -> Answer:
        """Present a credential on a new connection, judged beside what a live one of its owner got."""
        witness = self.witness_for(credential, witness)
        baseline = await self.baseline(witness, credential)
        return await self.call(
            witness.operation,
            credential,
            label=label,
            role=role,
            baseline=baseline,
            pointer=witness.identity or None,
            fresh=True,
        )

    async def _alive_elsewhere(self, logout: Logout, cast: Cast, before: Sequence[Answer]) -> list[Violation]:
        """The ended credential at each other router: one may verify tokens without asking for their session."""
        found = []
        for operation in self.other_routers(undeclared=True):
            witness = Witness(operation, "")
            try:
                known = await self.baseline(witness, cast.kept.credential)
            except Unclear:
                continue
            if known.open_to_strangers:
                continue  # what everybody is shown says nothing of a session, though it be another text each time
            label = f"replay at {operation.name}"
            answers = [await self._replay_once(witness, cast.ended.credential, label)]
            if answers[0].accepted:
                answers.append(await self._replay_once(witness, cast.ended.credential, f"again: {label}"))
            if all(answer.accepted and not by_cache(answer.reply) for answer in answers):
                kind = cast.kind.value
                message = (
                    f"After {logout.operation.name} {operation.name} accepts the {kind} of the ended session."
                )
                proofs = tuple(answer.exchange for answer in (*before, *answers))
                found.append(Violation(operation.name, message, self._replay_severity(cast), proofs))
        return found

    async def _must_be_live(self, session: Session, when: str) -> Answer:
        baseline = await self.baseline(self.witness, session.credential)
        return await self.must_live(self.witness, session.credential, baseline, when)

    async def _bland_is_refused(self, session: Session) -> None:
        bland = replace(session.credential, value=self.bland(session.credential).value)
        answer = await self._replay_once(
            self.witness, bland, "control: a bland wrong credential", Role.CONTROL
        )
        if not answer.rejected:
            raise Unclear(
                f"A bland wrong credential was not clearly refused: {answer.why}.", self.policy_remedy(answer)
            )

    async def _log_out(self, logout: Logout, session: Session) -> Answer:
        body = self._logout_body(logout, session)
        going = logout.leaving(session.credential, session.refresh)
        answer = await self.call(logout.operation, going, label="log out", body=body, fresh=True)
        if answer.status is None or answer.status >= 400:
            remedy = CSRF_REMEDY if session.credential.carrier.kind is Kind.COOKIE else ""
            if logout.provenance is Provenance.GUESSED:
                remedy = f'logout = ["POST /logout"]  # the operation that ends a login\n{remedy}'.rstrip(
                    "\n"
                )
            raise Unclear(
                f"{logout.operation.name} refused to log out ({answer.why or answer.status}).", remedy
            )
        return answer

    async def _service_lives(self, cast: Cast) -> None:
        """Log in once more: the refusals were refusals of what had ended. Raises Unclear."""
        await self._must_be_live(await self.log_in(cast.ended.account, cast.kind), "after the logout")

    def _logout_body(self, logout: Logout, session: Session) -> dict[str, object] | None:
        return logout.body(session.credential.value, session.refresh)

    async def _renew_kept(self, session: Session) -> Session:
        """Refresh a session that goes on: else a refusal afterwards would prove nothing."""
        if session.refresh is None or self.target.refresh is None:
            return session
        answer, renewal = await self.renew(
            session.refresh, "control: refresh another session of the user", Role.CONTROL
        )
        if renewal is None:
            raise Unclear(
                f"{self.target.refresh.operation.name} did not refresh a live session ({answer.why or answer.status})."
            )
        value = renewal.cookie if session.credential.carrier.kind is Kind.COOKIE else renewal.access
        credential = replace(session.credential, value=value) if value is not None else session.credential
        return replace(session, credential=credential, refresh=renewal.following or session.refresh)

    async def _logouts_by_strangers(self, logout: Logout, cast: Cast) -> list[Violation]:
        """Log out without a credential, with a wrong one and as another user: none may end the session."""
        operation, ended, other = logout.operation, cast.ended, cast.other
        wrong = replace(ended.credential, value=self.bland(ended.credential).value)
        await self.call(operation, label="log out without a credential")
        await self.call(operation, wrong, label="log out with a wrong credential")
        await self._must_be_live(ended, "after logouts without and with a wrong credential")
        if other is None:
            return []
        why = ""
        for victim in (ended, None):
            # Seen twice, with sessions that have done nothing else: wear must not look like this logout.
            session = victim or await self.sign_in(ended.account, cast.kind, [cast.kept.credential])
            stranger = await self.sign_in(other.account, cast.kind, [other.credential])
            answer = await self._log_out(logout, stranger)
            after = await self._replay_once(
                self.witness, session.credential, "control: after another user's logout"
            )
            if after.accepted:
                if victim is None:
                    raise Unclear(f"The session ended by itself before it was logged out ({why}).")
                return []
            why = after.why
            if not after.rejected:
                raise Unclear(
                    f"A live session got no clear answer after another user's logout ({after.why})."
                )
        message = f"{operation.name} ended the session of another user too."
        return [Violation(operation.name, message, None, (answer.exchange, after.exchange))]

    async def _replay_often(self, cast: Cast) -> list[Answer]:
        """Present what was logged out, on new connections, as different workers would see it."""
        credential = cast.ended.credential
        answers = [
            await self._replay_once(self.witness, credential, f"replay {number + 1} after the logout")
            for number in range(REPLAYS)
        ]
        if self.target.second is not None:
            answers.append(
                await self._replay_once(self.target.second, credential, "replay at a second operation")
            )
        return answers

    async def _refresh_again(self, session: Session) -> list[Answer]:
        """Present the refresh token of the ended session; a second time only if it worked."""
        if session.refresh is None or self.target.refresh is None:
            self.notes.append("nothing was renewed after the logout: no refresh token is known here")
            return []
        answer, renewal = await self.renew(
            session.refresh, "refresh after the logout", Role.ATTACK, fresh=True
        )
        if renewal is None:
            return [answer]
        following = renewal.following or session.refresh
        again, second = await self.renew(
            following, "refresh after the logout, again", Role.ATTACK, fresh=True
        )
        return [answer, again] if second is not None else [again]

    async def _others_go_on(self, logout: Logout, cast: Cast, doubts: list[str]) -> None:
        """See that other sessions go on: the negative control of all refusals."""
        operation = logout.operation.name
        sessions = {"the user's other session": cast.kept, "another user's session": cast.other}
        alive = 0
        for whose, session in sessions.items():
            if session is None:
                continue
            answer = await self._replay_once(
                self.witness, session.credential, f"control: {whose}", Role.CONTROL
            )
            if answer.accepted:
                alive += 1
            else:
                self.notes.append(f"{operation} ended {whose} too ({answer.why})")
        if not alive:
            doubts.append(f"No other session outlived {operation}: the refusals prove nothing.")

    def _judge_replays(
        self, cast: Cast, before: Sequence[Answer], logout: Answer, replays: Sequence[Answer]
    ) -> tuple[list[Violation], list[str]]:
        cached = [answer for answer in replays if answer.accepted and by_cache(answer.reply)]
        accepted = [answer for answer in replays if answer.accepted and answer not in cached]
        doubts = [
            f"{answer.exchange.label}: {answer.why}"
            for answer in replays
            if not answer.accepted and not answer.rejected
        ]
        doubts += [
            f"{answer.exchange.label}: a cache answered in the application's place (Age)" for answer in cached
        ]
        if len(accepted) < 2:
            doubts += [f"{answer.exchange.label}: accepted once only" for answer in accepted]
            return [], doubts
        kind, operation = cast.kind.value, logout.exchange.operation
        refused = [answer.exchange.number for answer in replays if answer.rejected]
        late = bool(refused) and max(answer.exchange.number for answer in accepted) < min(refused)
        share = (
            f"all {len(replays)} times"
            if len(accepted) == len(replays)
            else f"{len(accepted)} times and then no more: it ends late"
            if late
            else f"{len(accepted)} of {len(replays)} times, as if only some workers knew"
        )
        evidence: tuple[Exchange, ...] = (
            before[0].exchange,
            logout.exchange,
            *(answer.exchange for answer in accepted[:3]),
        )
        message = f"After {operation} the {kind} credential of the ended session was accepted {share}."
        severity = min(Severity.MEDIUM, self._replay_severity(cast)) if late else self._replay_severity(cast)
        return [Violation(operation, message, severity, evidence)], doubts

    def _replay_severity(self, cast: Cast) -> Severity:
        """Return how bad it is: a declared stateless token that dies soon is less so."""
        token = cast.ended.credential.jwt
        tolerance = self.target.policy.stateless_tolerance
        end = token.claims.get("exp") if token is not None and cast.kind is Kind.BEARER else None
        if tolerance and isinstance(end, (int, float)) and end - self.scene.recorder.clock.now() <= tolerance:
            return Severity.MEDIUM
        return Severity.HIGH

    async def _judge_refresh(
        self, logout: Answer, answers: Sequence[Answer], doubts: list[str]
    ) -> list[Violation]:
        if not answers:
            return []
        operation = logout.exchange.operation
        if len(answers) > 1:
            message = f"After {operation} the refresh token of the ended session still gave new tokens."
            return [
                Violation(
                    operation,
                    message,
                    Severity.HIGH,
                    (logout.exchange, *(answer.exchange for answer in answers)),
                    Expectation("refused"),
                )
            ]
        if not await self.is_refresh_refusal(answers[0]):
            doubts.append(
                f"The refresh token got no clear answer after the logout ({answers[0].why or answers[0].status})"
            )
        return []

    def _look_at_cookie(self, answer: Answer, session: Session) -> None:
        """Note a cookie that the browser keeps: it is dead there, because ending it is the server's work."""
        if session.credential.carrier.kind is not Kind.COOKIE:
            return
        name = session.credential.carrier.name
        given, taken = _line(session.answer, name), _line(answer, name)
        if taken is None:
            self.notes.append(f"{answer.exchange.operation} leaves the cookie {name} in the browser")
        elif not (taken.deletes(datetime.now(UTC)) or not taken.value):
            self.notes.append(
                f"{answer.exchange.operation} sets the cookie {name} without an end in the past"
            )
        elif given is not None and given.scope != taken.scope:
            self.notes.append(
                f"{answer.exchange.operation} deletes the cookie {name} with another Domain or Path than it was set "
                "with: browsers keep it"
            )


def _all(cast: Cast) -> list[Session]:
    return [session for session in (cast.ended, cast.kept, cast.other) if session is not None]


def _line(answer: Answer, name: str) -> SetCookie | None:
    cookies = (parse_set_cookie(line) for line in answer.reply.header_lines("set-cookie"))
    return next((cookie for cookie in cookies if cookie is not None and cookie.name == name), None)
