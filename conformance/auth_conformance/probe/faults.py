"""`must_fail_closed`: parts of the application fail one at a time, and nobody gets in by it."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.faults import Point, Watch, broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account, Login

# Points per kind of credential, those that wait for something first.
_POINTS = 22
# Points of the login, and wrong logins until its limit shows.
_LOGIN_POINTS = 12
_UNTIL_LIMITED = 14


@dataclass(slots=True)
class _Ledger:
    violations: list[Violation] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)


class Faults(Sessions, Minting):
    """Sentences about what happens when something behind authentication breaks."""

    async def must_fail_closed(self) -> Verdict:
        """Whatever fails, no wrong, expired or revoked credential gets in, and the login keeps its limit."""
        transport = self.scene.recorder.transport
        if not isinstance(transport, AsgiTransport):
            raise Missing("Faults need the application in this process.", self._remedy(Need.IN_PROCESS))
        ledger = _Ledger()
        crashes = len(self.scene.crashes)
        for kind in self.kinds():
            await self._break_for(kind, transport, ledger)
        await self._break_login(transport, ledger)
        # What we broke ourselves is no crash of the service.
        del self.scene.crashes[crashes:]
        live = await self.credential(fresh=True)
        await self.must_live(self.witness, live, await self.baseline(self.witness, live), "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if ledger.violations:
            return Failed(_once(ledger.violations), evidence, notes)
        if not ledger.fired:
            reason = "No function of the application was seen at which a fault could be put in."
            return Inconclusive(reason, "", evidence, notes)
        some = sorted({".".join(name.rsplit(".", 2)[-2:]) for name in ledger.fired})
        told = f"{len(ledger.fired)} parts failed one at a time ({', '.join(some[:10])} …): nobody got in."
        return Passed(told, evidence, notes)

    async def _break_for(self, kind: Kind, transport: AsgiTransport, ledger: _Ledger) -> None:
        live = await self.credential(kind)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, f"before ({kind.value})")
        wrong = await self._wrong_credentials(live)
        attempts = [Attempt(label, credential) for label, credential in wrong.items()]
        watch = Watch(transport.app)
        with watch.watching():
            for attempt in (Attempt("a live credential", live), *attempts):
                answer = await self.attempt(self.witness, attempt, baseline, role=Role.CONTROL)
                if attempt.credential is not live and answer.accepted:
                    # Without any fault: other checks say so.
                    self.notes.append(f"{attempt.label} is accepted without any fault")
                    attempts = [item for item in attempts if item is not attempt]
        points = watch.points()
        if len(points) > _POINTS:
            self.notes.append(
                f"{kind.value}: {len(points) - _POINTS} more functions were seen and not broken"
            )
        for point in points[:_POINTS]:
            for attempt in attempts:
                violation = await self._broken_attempt(point, attempt, baseline)
                if point.fired:
                    ledger.fired.add(point.name)
                if violation is not None:
                    ledger.violations.append(violation)
                    break
        await self.must_live(self.witness, live, baseline, f"after ({kind.value})")

    async def _broken_attempt(self, point: Point, attempt: Attempt, baseline: Baseline) -> Violation | None:
        answers: list[Answer] = []
        for number in range(2):
            with broken(point):
                answer = await self.attempt(
                    self.witness,
                    Attempt(
                        f"{'again: ' if number else ''}{attempt.label} while {point.name} fails",
                        attempt.credential,
                    ),
                    baseline,
                    fresh=bool(number),
                )
                if not point.fired or not answer.accepted:
                    return None
            answers.append(answer)
        message = f"{self.witness.operation.name} lets in {attempt.label} when {point.name} fails."
        return Violation(
            self.witness.operation.name,
            message,
            Severity.CRITICAL,
            tuple(answer.exchange for answer in answers),
        )

    async def _wrong_credentials(self, live: Credential) -> dict[str, Credential]:
        """Credentials of one kind that must not work: never issued, expired, and revoked."""
        kind = live.carrier.kind
        found = {f"a wrong {kind.value} credential": self.bland(live)}
        if kind is Kind.BASIC:
            # One that can be read, so that it gets as far as the comparison.
            account = self.account()
            pair = base64.b64encode(f"{account.username}:{self.password()}".encode()).decode()
            found["a wrong password in Basic"] = live.with_value(pair)
        if kind is Kind.BEARER and live.jwt is not None:
            found["a token with a wrong signature"] = live.with_value(live.jwt.with_flipped_signature().text)
            with contextlib.suppress(Missing, Unclear):
                forge = await self.forge()
                late = forge.late_claims(self.scene.recorder.clock.now(), 7200)
                found["an expired token"] = forge.credential(late)
        with contextlib.suppress(Missing, Unclear):
            revoked = await self._ended_credential(live)
            if revoked is not None:
                found[f"a revoked {kind.value} credential"] = revoked
        return found

    async def _ended_credential(self, live: Credential) -> Credential | None:
        """A credential that was ended: a key that was revoked, a session that was logged out."""
        kind = live.carrier.kind
        keys = self.target.keys
        if kind is Kind.KEY:
            if keys is None or keys.revoke is None or keys.identifier is None:
                return None
            key, answer = await self.make_key()
            from_reply = answer.reply.json
            identifier = from_reply.get(keys.identifier.lstrip("/")) if isinstance(from_reply, dict) else None
            owner = await self.credential(self._login_kind())
            gone = await self.call(
                keys.revoke, owner, label="revoke a key", values={keys.id_parameter: str(identifier)}
            )
            return key.moved_to(live.carrier) if gone.reply.ok else None
        logout = next(
            (item for item in self.target.logouts if item.kind is kind and item.refresh_field is None), None
        )
        if logout is None:
            return None
        session = await self.sign_in(self.account(), kind)
        ended = await self.call(logout.operation, session.credential, label="log out")
        return session.credential if ended.reply.ok else None

    # The login.

    async def _break_login(self, transport: AsgiTransport, ledger: _Ledger) -> None:
        login = next((item for item in self.target.logins if item.encoding != "basic"), None)
        try:
            account = await self.expendable()
        except (Missing, Unclear) as reason:
            self.notes.append(f"the login was not broken: {reason}")
            return
        if login is None or account.password is None:
            return
        watch = Watch(transport.app)
        with watch.watching():
            await self._wrong_password(login, account, "a wrong login")
        # Those that compare the password come late: they are broken first, before the account is limited.
        points = watch.points()
        chosen = points[-6:][::-1]
        for point in chosen:
            with broken(point):
                answer = await self._wrong_password(login, account, f"a wrong login while {point.name} fails")
            if point.fired:
                ledger.fired.add(point.name)
            if point.fired and login.read(answer.reply, account.label) is not None:
                message = f"{login.operation.name} logs in with a wrong password when {point.name} fails."
                ledger.violations.append(
                    Violation(login.operation.name, message, Severity.CRITICAL, (answer.exchange,))
                )
        await self._break_limit(login, account, points, ledger)

    async def _break_limit(
        self, login: Login, account: Account, points: Sequence[Point], ledger: _Ledger
    ) -> None:
        refused: Answer | None = None
        for number in range(_UNTIL_LIMITED):
            answer = await self._wrong_password(login, account, f"wrong login {number + 1}")
            if answer.status == 429:
                break
            refused = answer
        else:
            self.notes.append(f"no limit showed within {_UNTIL_LIMITED} wrong logins: it was not broken")
            return
        if refused is None:
            return
        for point in [item for item in points if item.depth < 2][:_LOGIN_POINTS]:
            answers = []
            for number in range(2):
                with broken(point):
                    label = f"{'again: ' if number else ''}a wrong login beyond the limit while {point.name} fails"
                    answers.append(await self._wrong_password(login, account, label))
                if not point.fired or answers[-1].status != refused.status:
                    break
                ledger.fired.add(point.name)
            else:
                message = f"{login.operation.name} forgets its limit when {point.name} fails."
                proof = tuple(answer.exchange for answer in answers)
                ledger.violations.append(Violation(login.operation.name, message, Severity.MEDIUM, proof))
                return

    async def _wrong_password(self, login: Login, account: Account, label: str) -> Answer:
        wrong = Secret(self.password())
        self.scene.recorder.redactor.learn(wrong)
        return await self.send(
            login.request(account.username, wrong),
            label=label,
            role=Role.ATTACK,
            operation=login.operation.name,
            patient=False,
        )


def _once(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(_gravest_of_each(violations))


def _gravest_of_each(violations: Sequence[Violation]) -> Iterator[Violation]:
    groups: dict[str | None, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.operation, []).append(violation)
    for group in groups.values():
        group.sort(key=lambda item: -(item.severity or Severity.INFO).rank)
        others = "".join(f" Likewise: {item.message}" for item in group[1:4])
        yield Violation(group[0].operation, group[0].message + others, group[0].severity, group[0].evidence)
