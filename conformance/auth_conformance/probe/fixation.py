"""`must_renew_session`: what a browser brings to the login must be worth nothing after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Need,
    Outcome,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.probe.answers import Shut
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.reauthentication import Reauthentication
from auth_conformance.probe.sessions import NEXT_SECOND
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account, Login


@dataclass(frozen=True, slots=True)
class Plant:
    """One way to have a session id before the login: what is presented, and who logs in with it."""

    label: str
    severity: Severity
    value: Callable[[], Awaitable[Credential | None]]
    account: Account
    live: bool


class Fixation(Reauthentication):
    """Logs in with a session cookie that is there already, and presents that cookie afterwards."""

    async def must_renew_session(self) -> Verdict:
        """See that each login makes a new session id and ends the presented one. Raises Missing or Unclear."""
        login = self.target.login(Kind.COOKIE)
        if login is None:
            raise Missing("No login is known that sets a cookie.", self.target.remedies.get(Need.COOKIE, ""))
        me = await self.disposable("fixation", Kind.COOKIE) or self.account()
        other = await self.disposable("fixation, another user", Kind.COOKIE) or self.target.accounts.get("b")
        example = (await self.sign_in(me, Kind.COOKIE)).credential
        baseline = await self.baseline(self.witness, example)
        await self.must_live(self.witness, example, baseline, "before")
        await self._bland_cookie(example, baseline)
        plants = [
            Plant(
                "an anonymous session cookie of the service",
                Severity.CRITICAL,
                self._anonymous_cookie(example),
                me,
                live=False,
            ),
            Plant(
                "a session id that the attacker chose",
                Severity.CRITICAL,
                self._chosen_cookie(example),
                me,
                live=False,
            ),
            Plant("the caller's own live session", Severity.MEDIUM, self._live_cookie(me), me, live=True),
        ]
        if other is not None and other.password is not None:
            label = "the live session of another user"
            plants.append(Plant(label, Severity.MEDIUM, self._live_cookie(me), other, live=True))
        else:
            self.notes.append(
                "logging in over another user's session was not tried: only one account is known"
            )
        violations: list[Violation] = []
        doubts: list[str] = []
        proved = 0
        for plant in plants:
            found = await self._planted(plant, login, baseline)
            if isinstance(found, Violation):
                violations.append(found)
            elif found:
                doubts.append(found)
            elif found is None:
                proved += 1
        renewed = await self.renewed_by_reauthentication()
        violations += [renewed] if isinstance(renewed, Violation) else []
        doubts += [renewed] if isinstance(renewed, str) and renewed else []
        await self.must_live(self.witness, (await self.log_in(me, Kind.COOKIE)).credential, baseline, "after")
        operation = login.operation.name
        reason = f"{operation} made a new session id over {proved} presented ones, and none of them works after it."
        return self.decided(violations, doubts, reason)

    async def _bland_cookie(self, example: Credential, baseline: Baseline) -> None:
        bland = await self._show(self.bland(example), "control: a bland wrong cookie", baseline, Role.CONTROL)
        if bland.accepted:
            raise Unclear("A bland wrong cookie is accepted: SES101 says more.")
        if not bland.rejected:
            raise Unclear(
                f"A bland wrong cookie was not clearly refused: {bland.why}.", self.policy_remedy(bland)
            )

    async def _planted(self, plant: Plant, login: Login, baseline: Baseline) -> Violation | str | None:
        """Plant and replay, twice before it counts. "" when there is nothing to plant, None when all is well."""
        evidence: list[Answer] = []
        unchanged = False
        for attempt in (1, 2):
            if attempt > 1:
                await asyncio.sleep(NEXT_SECOND)
            old = await plant.value()
            if old is None:
                self.notes.append(f"not applicable: {plant.label} (nothing is set before the login)")
                return ""
            await self._before(plant, old, baseline)
            over = await self._entered_over(plant, login, old)
            if over is None:
                return ""
            answer, new = over
            unchanged = new is None or new.value == old.value
            if not unchanged and new is not None:
                control = await self._show(new, "control: the new session", baseline, Role.CONTROL)
                if not control.accepted:
                    raise Unclear(f"The new session was not accepted ({control.why}).")
            if unchanged and new is not None:
                old = new  # the same id, with the CSRF token that the login gave for it
            after = await self._show(old, f"replay after the login: {plant.label}", baseline, Role.ATTACK)
            if after.rejected:
                return None if not evidence else f"{plant.label}: alive after one login, dead after the next"
            if not after.accepted:
                return f"{plant.label}: {after.why}"
            evidence += [answer, after]
        how = "kept it" if unchanged else "left it alive beside the new one"
        message = f"{login.operation.name} was given {plant.label} and {how} ({evidence[-1].why})."
        proof = tuple(item.exchange for item in evidence)
        return Violation(login.operation.name, message, plant.severity, proof, subject=plant.label)

    async def _before(self, plant: Plant, old: Credential, baseline: Baseline) -> None:
        answer = await self._show(old, f"control before the login: {plant.label}", baseline, Role.CONTROL)
        if plant.live and not answer.accepted:
            raise Unclear(f"A live session was not accepted before the login over it ({answer.why}).")
        if not plant.live and answer.accepted:
            raise Unclear(f"{plant.label} is accepted before any login: SES101 says more.")
        if not plant.live and not answer.rejected and answer.outcome is not Outcome.AMBIGUOUS:
            raise Unclear(f"{plant.label} got no clear answer before the login ({answer.why}).")

    async def _entered_over(
        self, plant: Plant, login: Login, old: Credential
    ) -> tuple[Answer, Credential | None] | None:
        """Log in over what was planted; None where a login lets nobody in over what is no session. Raises Unclear."""
        try:
            over = await self._log_in_over(plant.account, login, old)
            if plant.live and over[1] is not None and over[1].value == old.value:
                # A token that counts whole seconds is the same when it is made anew within one.
                await asyncio.sleep(NEXT_SECOND)
                over = await self._log_in_over(plant.account, login, old)
        except Shut as shut:
            if plant.live:
                raise
            self.notes.append(f"not judged: {plant.label}: {shut} Nobody keeps what lets nobody in.")
            return None
        return over

    async def _log_in_over(
        self, account: Account, login: Login, old: Credential
    ) -> tuple[Answer, Credential | None]:
        """Log in with a cookie presented; the credential is None when the login sets no cookie."""
        password = account.password or Secret("")
        bare, label = login.request(account.username, password), f"log in as {account.label} over it"
        # Whose session it is may be asked of a login as of any change: then its CSRF token goes along.
        for headers in (old.headers[:1], old.headers) if old.companions else (old.headers[:1],):
            answer = await self.send(
                replace(bare.with_headers(*headers), fresh=True), label=label, operation=login.operation.name
            )
            if answer.status != HTTPStatus.FORBIDDEN:
                break
        if answer.judgement is not None or answer.status is None or answer.status >= 400:
            refused = answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
            raise (Shut if refused else Unclear)(
                f"{login.operation.name} refused the right password over a session ({answer.why or answer.status})."
            )
        new = login.read(answer.reply, account.label)
        if new is not None:
            self.scene.recorder.redactor.learn(new.value)
        return answer, new

    async def _show(self, credential: Credential, label: str, baseline: Baseline, role: Role) -> Answer:
        return await self.at_witness(credential, label=label, role=role, baseline=baseline, fresh=True)

    def _anonymous_cookie(self, example: Credential) -> Callable[[], Awaitable[Credential | None]]:
        async def given() -> Credential | None:
            value = await self._given_to_strangers()
            return None if value is None else replace(example, value=value)

        return given

    async def _given_to_strangers(self) -> Secret | None:
        """Return the session cookie that the service gives to strangers, if it does."""
        login = self.target.login(Kind.COOKIE)
        paths = [self.witness.operation.address]
        paths += [login.operation.address] if login is not None else []
        paths += [self.target.public.address] if self.target.public is not None else []
        name = login.cookie if login is not None else None
        for path in dict.fromkeys(paths):
            answer = await self.send(HttpRequest("GET", path), label="does a stranger get a session cookie?")
            for line in answer.reply.header_lines("set-cookie"):
                cookie = parse_set_cookie(line)
                if cookie is not None and cookie.name == name and cookie.value:
                    secret = Secret(cookie.value)
                    self.scene.recorder.redactor.learn(secret)
                    return secret
        return None

    def _chosen_cookie(self, example: Credential) -> Callable[[], Awaitable[Credential | None]]:
        async def choose() -> Credential:
            return self.bland(example)

        return choose

    def _live_cookie(self, account: Account) -> Callable[[], Awaitable[Credential | None]]:
        async def live() -> Credential:
            # Whole, with the CSRF token of that session: without it a witness by POST refuses what is alive.
            session: Session = await self.sign_in(account, Kind.COOKIE)
            return session.credential

        return live
