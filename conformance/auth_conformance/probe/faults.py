"""`must_fail_closed`: parts of the application fail one at a time, and nobody gets in by it."""

from __future__ import annotations

import base64
import contextlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
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
from auth_conformance.transports.faults import Manner, Point, Watch, broken
from auth_conformance.transports.outages import Store, down, stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account, Login

# Points per kind of credential, those that wait for something first.
_POINTS = 22
# Points of the login, and wrong logins until its limit shows.
_LOGIN_POINTS = 12
_UNTIL_LIMITED = 14
# Functions that load rows, per kind of credential: each of them fails in two more manners.
_LOADERS = 3
_EXPIRED, _REVOKED = "an expired token", "a revoked"
# A clock that is ten years fast, or slow, in seconds.
_FAR_OFF = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is out of order: how it is told, and how it is arranged; `part.fired` proves that it was met.

    `hides` tells that what is stored cannot be seen any more: what a row says of a credential is then no matter.
    """

    part: Point | Store
    told: str
    arrange: Callable[[], AbstractContextManager[object]]
    hides: bool = False

    def only_once(self) -> Fault | None:
        """The same fault the first time only, where it was met several times: somebody had swallowed the first."""
        point = self.part
        if not isinstance(point, Point) or self.hides or point.fired < 2 or point.yields:
            return None
        return Fault(point, f"{point.name} {Manner.ONCE.value}", partial(broken, point, Manner.ONCE))

    @property
    def fired(self) -> bool:
        """Whether the application met it since it was last arranged."""
        return self.part.fired > 0


def faults_of(points: Sequence[Point]) -> list[Fault]:
    """Each function fails once; those that load rows also lose them, and find them without their digests."""
    found = [Fault(point, f"{point.name} fails", partial(broken, point)) for point in points]
    loaders = [point for point in points if point.rows][:_LOADERS]
    return found + [
        Fault(point, f"{point.name} {manner.value}", partial(broken, point, manner), hides=True)
        for point in loaders
        for manner in (Manner.NOTHING, Manner.NO_DIGEST)
    ]


@dataclass(slots=True)
class _Ledger:
    violations: list[Violation] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)
    clock: int = 0
    # What gets in while nothing is broken: other checks say so, and no fault is to blame.
    anyway: set[str] = field(default_factory=set)
    # What got in once while something was broken, and was not seen to do so again.
    doubts: list[str] = field(default_factory=list)

    @property
    def unclear(self) -> str:
        """Why nothing may pass; "" where everything was judged."""
        if self.doubts:
            return self.doubts[0]
        if self.anyway:
            first = min(self.anyway)
            return f"{first[0].upper()}{first[1:]} gets in without any fault: what opens for it was not seen."
        return ""


class Faults(Sessions, Minting):
    """Sentences about what happens when something behind authentication breaks."""

    # Which credential that should be presented could not be had, and why.
    _unhad = ""

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
        await self._move_clocks(ledger)
        # What we broke ourselves is no crash of the service.
        del self.scene.crashes[crashes:]
        live = await self.credential(fresh=True)
        await self.must_live(self.witness, live, await self.baseline(self.witness, live), "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if ledger.violations:
            return Failed(_once(ledger.violations), evidence, notes)
        if self._unhad:
            return Inconclusive(self._unhad, "", evidence, notes)
        if not ledger.fired:
            reason = "No function of the application was seen at which a fault could be put in."
            return Inconclusive(reason, "", evidence, notes)
        if ledger.unclear:
            return Inconclusive(ledger.unclear, "", evidence, notes)
        some = sorted({".".join(name.split()[0].rsplit(".", 2)[-2:]) for name in ledger.fired})
        told = (
            f"{len(ledger.fired)} faults were met one at a time ({', '.join(some[:10])} …), and {ledger.clock} "
            "wrong credentials met a clock that is ten years off: nobody got in."
        )
        return Passed(told, evidence, notes)

    async def _break_for(self, kind: Kind, transport: AsgiTransport, ledger: _Ledger) -> None:
        live = await self.credential(kind)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, f"before ({kind.value})")
        attempts = await self._attempts(live)
        live = await self.alive(kind)
        if kind is self.kinds()[0]:
            attempts.append(Attempt("no credential"))
        watch = Watch(transport.app)
        with watch.watching():
            for attempt in (Attempt("a live credential", live), *attempts):
                answer = await self.attempt(self.witness, attempt, baseline, role=Role.CONTROL)
                if attempt.credential is not live and answer.accepted:
                    self.notes.append(f"{attempt.label} is accepted without any fault")
                    ledger.anyway.add(attempt.label)
        attempts = [item for item in attempts if item.label not in ledger.anyway]
        points = watch.points()
        if len(points) > _POINTS:
            self.notes.append(
                f"{kind.value}: {len(points) - _POINTS} more functions were seen and not broken"
            )
        outages = [
            Fault(store, f"{store.name} does not answer", partial(down, transport.app, store))
            for store in stores(transport.app, watch)
        ]
        for fault in (*faults_of(points[:_POINTS]), *outages):
            await self._break(fault, attempts, baseline, ledger)
        await self.must_live(self.witness, live, baseline, f"after ({kind.value})")

    async def _break(
        self, fault: Fault, attempts: Sequence[Attempt], baseline: Baseline, ledger: _Ledger
    ) -> None:
        """Try each credential while the fault lasts, and where it was swallowed, while it happens once."""
        for attempt in attempts:
            if fault.hides and attempt.label.startswith(_REVOKED):
                continue  # that it was revoked stands in the row, and nowhere else
            violation = await self._broken_attempt(fault, attempt, baseline, ledger)
            if fault.fired:
                ledger.fired.add(fault.told)
            again = fault.only_once() if violation is None else None
            if again is not None:
                violation = await self._broken_attempt(again, attempt, baseline, ledger)
            if violation is not None:
                ledger.violations.append(violation)
                return

    async def _broken_attempt(
        self, fault: Fault, attempt: Attempt, baseline: Baseline, ledger: _Ledger
    ) -> Violation | None:
        answers: list[Answer] = []
        for number in range(2):
            with fault.arrange():
                answer = await self.attempt(
                    self.witness,
                    Attempt(
                        f"{'again: ' if number else ''}{attempt.label} while {fault.told}", attempt.credential
                    ),
                    baseline,
                    fresh=bool(number),
                )
                if not fault.fired or not answer.accepted:
                    if answers:  # a cache may have answered, or another worker
                        ledger.doubts.append(
                            f"{attempt.label} got in once while {fault.told}, and not again."
                        )
                    return None
            answers.append(answer)
        message = f"{self.witness.operation.name} lets in {attempt.label} when {fault.told}."
        return Violation(
            self.witness.operation.name,
            message,
            Severity.CRITICAL,
            tuple(answer.exchange for answer in answers),
        )

    async def _attempts(self, live: Credential) -> list[Attempt]:
        wrong = await self._wrong_credentials(live)
        return [Attempt(label, credential) for label, credential in wrong.items()]

    # The clock.

    async def _move_clocks(self, ledger: _Ledger) -> None:
        """A clock that is far off makes no credential good: it may only make good ones bad."""
        for kind in self.kinds():
            live = await self.credential(kind, fresh=True)
            baseline = await self.baseline(self.witness, live)
            for label, moved in (("ten years fast", _FAR_OFF), ("ten years slow", -_FAR_OFF)):
                for attempt in await self._attempts(live):
                    if moved < 0 and attempt.label.startswith((_EXPIRED, _REVOKED)):
                        continue  # by that clock it is not, yet
                    if attempt.label in ledger.anyway:
                        continue
                    told = f"{attempt.label} while the clock is {label}"
                    answers = [
                        await self.attempt(
                            self.witness,
                            Attempt(f"{'again: ' * number}{told}", attempt.credential),
                            baseline,
                            moved=moved,
                        )
                        for number in range(2)
                    ]
                    ledger.clock += 1
                    if all(answer.accepted for answer in answers):
                        name = self.witness.operation.name
                        proof = tuple(answer.exchange for answer in answers)
                        message = f"{name} lets in {told}."
                        ledger.violations.append(Violation(name, message, Severity.CRITICAL, proof))
        # Sweepers that ran by that clock have swept what everybody shares.
        await self.forget_dead()

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
            with self._telling(_EXPIRED):
                forge = await self.forge()
                late = forge.late_claims(self.scene.recorder.clock.now(), 7200)
                found[_EXPIRED] = forge.credential(late)
        with self._telling(f"{_REVOKED} {kind.value} credential"):
            found[f"{_REVOKED} {kind.value} credential"] = await self._ended_credential(live)
        return found

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """A credential that cannot be had is named: what opens for it when something breaks was not seen."""
        try:
            yield
        except Missing as reason:
            self._told_absent(f"{what} was not tried: {reason}")
        except Unclear as reason:
            if what == _EXPIRED:  # it takes a token that we can sign, which not every service lets in
                self._told_absent(f"{what} was not tried: {reason}")
            else:
                self._unhad = self._unhad or f"{what[0].upper()}{what[1:]} could not be had: {reason}"

    def _told_absent(self, told: str) -> None:
        if told not in self.notes:
            self.notes.append(told)

    async def _ended_credential(self, live: Credential) -> Credential:
        """A credential that was ended: a key that was revoked, a session that was logged out."""
        kind = live.carrier.kind
        keys = self.target.keys
        if kind is Kind.KEY:
            if keys is None or keys.revoke is None or keys.identifier is None:
                raise Missing("no operation that revokes keys is known")
            key, answer = await self.make_key()
            from_reply = answer.reply.json
            identifier = from_reply.get(keys.identifier.lstrip("/")) if isinstance(from_reply, dict) else None
            owner = await self.credential(self._login_kind())
            gone = await self.call(
                keys.revoke, owner, label="revoke a key", values={keys.id_parameter: str(identifier)}
            )
            if not gone.granted:
                raise Unclear(f"{keys.revoke.name} answered {gone.why or gone.status}")
            return key.moved_to(live.carrier)
        logout = next((item for item in self.target.logouts if item.kind is kind), None)
        if logout is None:
            raise Missing(f"no logout of a {kind.value} credential is known")
        session = await self.sign_in(self.account(), kind)
        body = logout.body(session.credential.value, session.refresh)
        going = logout.leaving(session.credential, session.refresh)
        ended = await self.call(logout.operation, going, label="log out", body=body)
        if not ended.granted:
            raise Unclear(f"{logout.operation.name} answered {ended.why or ended.status}")
        return session.credential

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
        outages = [
            Fault(store, f"{store.name} does not answer", partial(down, transport.app, store))
            for store in stores(transport.app, watch)
        ]
        late = points[-6:][::-1]
        loaders = [point for point in points if point.rows and point not in late]
        # Logins count: each fault is met once, and the rest of the limit is for `_break_limit`.
        for fault in (*faults_of(late), *faults_of(loaders)[len(loaders) :], *outages):
            told, answers = f"a wrong login while {fault.told}", list[Answer]()
            for again in ("", "again: "):
                with fault.arrange():
                    answers.append(await self._wrong_password(login, account, again + told))
                if fault.fired:
                    ledger.fired.add(fault.told)
                if not fault.fired or login.read(answers[-1].reply, account.label) is None:
                    if again:
                        ledger.doubts.append(f"{told[0].upper()}{told[1:]} got in once, and not again.")
                    break
            else:
                message = f"{login.operation.name} logs in with a wrong password when {fault.told}."
                proof = tuple(answer.exchange for answer in answers)
                ledger.violations.append(Violation(login.operation.name, message, Severity.CRITICAL, proof))
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
