"""`must_stay_out`: logins that must issue nothing, between logins that must."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import TRUST, Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.welcome import welcome
from auth_conformance.secret import Secret
from auth_conformance.target import Account, address_of, styled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Login
    from auth_conformance.transports.message import HttpRequest

# Wrong logins for one account between two right ones: the strictest services lock at five (checklist CRD101).
AT_ONCE = 4
MISSING = object()
# How long to wait for a message that may never come, in seconds.
_SOON = 1.0


@dataclass(frozen=True, slots=True)
class Knock:
    """One login that must not work: `request` makes it for an account. `of_two` needs two different passwords."""

    label: str
    request: Callable[[Account], HttpRequest]
    core: bool = True
    severity: Severity | None = None
    of_two: bool = False


@dataclass(slots=True)
class Tally:
    """What became of knocks and of whatever else a check tried."""

    violations: list[Violation] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)
    crashed: list[tuple[str, Answer]] = field(default_factory=list)
    delivered: int = 0

    def violate(
        self,
        operation: str,
        message: str,
        *answers: Answer,
        severity: Severity | None = None,
        expected: Expectation | None = None,
        subject: str = "",
    ) -> None:
        """Count a broken rule."""
        evidence: tuple[Exchange, ...] = tuple(answer.exchange for answer in answers)
        self.violations.append(Violation(operation, message, severity, evidence, expected, None, subject))

    def doubt(self, reason: str, remedy: str = "") -> None:
        """Count what could not be decided."""
        self.doubts.append(reason)
        self.remedies.append(remedy)


class Knocking(Mailing):
    """Knows who a login lets in."""

    async def must_stay_out(
        self,
        login: Login,
        knocks: Iterable[Knock],
        make: Callable[[], Awaitable[Account]],
        tally: Tally,
    ) -> None:
        """Each knock must issue no credential that opens anything. `make` gives a fresh account for every few.

        Raises Unclear when the right password is refused before or after.
        """
        operation = login.operation.name
        listed = list(knocks)
        account: Account | None = None
        for start in range(0, len(listed), AT_ONCE):
            try:
                account = await make()
            except Missing:
                if account is None:
                    raise  # a few declared accounts serve for all: the right password resets their counters
            await self.right_login(login, account, "before")
            for knock in listed[start : start + AT_ONCE]:
                await self._knock(login, knock, account, tally, operation)
            await self.right_login(login, account, "after")

    async def _knock(
        self, login: Login, knock: Knock, account: Account, tally: Tally, operation: str
    ) -> None:
        answer = await self._try(login, knock.request(account), knock.label, operation)
        if answer.outcome is Outcome.CRASHED:
            tally.crashed.append((knock.label, answer))
        if answer.judgement is not None:
            if knock.core:
                tally.doubt(f"{operation}: {knock.label} got no orderly answer ({answer.why}).")
            else:
                self.notes.append(f"not judged: {knock.label} ({answer.why})")
            return
        try:
            who = await self.let_in(login, answer)
        except Unclear as reason:
            tally.doubt(f"{operation}: {knock.label}: {reason}")
            return
        if who is None:
            if await self._is_own(login, answer):
                tally.delivered += 1
            elif knock.core:
                tally.doubt(
                    f"{operation}: {knock.label} was not refused by the application itself ({answer.status}).",
                    TRUST,
                )
            return
        again = await self._try(
            login, replace(knock.request(account), fresh=True), f"again: {knock.label}", operation
        )
        if await self.let_in(login, again) is None:
            tally.doubt(f"{operation}: {knock.label} got in once, and then not.")
            return
        whom = "the account" if who in ("", account.username) else "an account"
        tally.violate(
            operation,
            f"{operation} let {knock.label} into {whom}.",
            answer,
            again,
            severity=knock.severity,
            expected=Expectation("refused"),
        )

    async def _try(self, login: Login, request: HttpRequest, label: str, operation: str) -> Answer:
        del login
        return await self.send(request, label=label, role=Role.ATTACK, operation=operation, patient=False)

    async def right_login(self, login: Login, account: Account, when: str = "") -> Credential:
        """Log in with the right password at this very operation. Raises Unclear when it is refused."""
        password = account.password or Secret("")
        self.scene.recorder.redactor.learn(password)
        answer = await self.send(
            login.request(account.username, password),
            label=f"control {when}: the right password of {account.label}".replace(" :", ":"),
            role=Role.CONTROL,
            operation=login.operation.name,
        )
        credential = login.read(answer.reply, account.label)
        if credential is None:
            raise Unclear(
                f"{login.operation.name} refused the right password of {account.label} "
                f"({answer.why or answer.status})."
            )
        self.scene.recorder.redactor.learn(credential.value)
        for _, value in (*credential.companions, *credential.crumbs):
            self.scene.recorder.redactor.learn(Secret(value))
        if await self.named(credential) is None:
            raise Unclear(f"What {login.operation.name} issued opens nothing.")
        return credential

    async def let_in(self, login: Login, answer: Answer) -> str | None:
        """Whom the service takes the caller for after this login; None when nobody got in.

        Raises Unclear where a limit, a crash or something in front answered: that refuses nobody.
        """
        credential = login.read(answer.reply, "?")
        if credential is None:
            if answer.judgement is not None:
                raise Unclear(f"{answer.exchange.label}: no orderly answer ({answer.why}).")
            return None
        self.scene.recorder.redactor.learn(credential.value)
        return await self.named(credential)

    async def named(self, credential: Credential) -> str | None:
        """The name at the witness for this credential ("" if it names nobody); None when it is refused.

        Raises Unclear where the witness gave no orderly answer: what opens nothing for that reason may open everything.
        """
        if self.target.witness is None:
            return ""
        witness = self.target.witness
        answer = await self.call(
            witness.operation,
            credential,
            label="who the service takes this for",
            role=Role.CONTROL,
            pointer=witness.identity or None,
        )
        if answer.judgement is not None:
            raise Unclear(
                f"What a login issued could not be tried at {witness.operation.name} ({answer.why})."
            )
        if not answer.reply.ok or (witness.identity and answer.exchange.reply.principal is None):
            return None
        return answer.exchange.reply.principal or ""

    async def _is_own(self, login: Login, answer: Answer) -> bool:
        """Whether a refusal speaks as the application does: like the bland one, or like its own errors."""
        if answer.reply.soft or self.target.policy.trust_waf:
            return True  # an envelope that says no; nothing was issued
        known = await self.scene.once(
            ("login refusals", login.operation.name), lambda: self._own_refusals(login)
        )
        return Fingerprint.of(answer.exchange.reply).media_type in known

    async def bland_login(self, login: Login) -> Answer:
        """What a wrong login of nobody is answered here; asked once for all checks."""
        learner = Knocking(self.scene, self.rule)
        return await self.scene.once(
            ("bland wrong login", login.operation.name),
            lambda: learner.send(
                login.request(f"nobody{self.word(8)}@example.com", Secret(self.password())),
                label="learn: a bland wrong login",
                role=Role.CONTROL,
                operation=login.operation.name,
            ),
        )

    async def _own_refusals(self, login: Login) -> set[str]:
        learner = Knocking(self.scene, self.rule)
        answer = await self.bland_login(login)
        found = {Fingerprint.of(answer.exchange.reply).media_type}
        if self.target.witness is not None:
            found |= {Fingerprint.of(reply).media_type for reply in await learner._own_errors()}
        return found

    # Accounts.

    async def registered(
        self,
        password: Secret,
        username: str | None = None,
        label: str = "register an account",
        *,
        confirm: Literal["always", "if sent", "never"] = "always",
    ) -> tuple[Answer, Account]:
        """Try to register an account with this password; the answer, and the account as it would be.

        A granted account may have to be confirmed before it can log in: that is done as well, and raises Unclear
        where it cannot be; `if sent` where the answer may have made nothing (services that tell nobody which names are
        taken grant everything), and never where nobody logs in.
        """
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here.", self._remedy(Need.REGISTER))
        account = self.unborn(password, username)
        self.scene.recorder.redactor.learn(password)
        answer = await self.send(
            register.request(account.username, password),
            label=label,
            role=Role.ATTACK,
            operation=register.operation.name,
        )
        if answer.reply.granted:
            self.scene.made_accounts.append((account, None))
            if confirm == "always":
                await self.must_be_confirmed(account)
            elif confirm == "if sent" and register.confirmed:
                await welcome(self, account, _SOON)
        return answer, account

    def unborn(self, password: Secret, username: str | None = None) -> Account:
        """An account that is not registered yet."""
        register = self.target.register
        style = register.user_style if register is not None else "name"
        name = username or styled(f"x{self.scene.run_id}{len(self.scene.made_accounts)}{self.word(6)}", style)
        address = address_of(name, register) if register is not None else ""
        label = f"x{len(self.scene.made_accounts) + 1}"
        return Account(label, name, password, expendable=True, email=address)

    def logins(self) -> tuple[Login, ...]:
        """The distinct logins that take a password. Raises Missing."""
        found = self.distinct_logins()
        if not found:
            raise Missing("No login operation is known.", self._remedy(Need.LOGIN))
        return found

    def concluded(self, tally: Tally, reason: str) -> Verdict:
        """The verdict of a tally. What could not be decided beside it stands in the notes."""
        evidence, notes = tuple(self.evidence[-60:]), tuple(dict.fromkeys(self.notes))
        doubts = tuple(dict.fromkeys(tally.doubts))
        if tally.violations:
            return Failed(tuple(tally.violations), evidence, (*notes, *doubts))
        if doubts or not tally.delivered:
            first = doubts[0] if doubts else "Nothing could be delivered."
            more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
            remedy = tally.remedies[0] if tally.remedies else ""
            return Inconclusive(
                first.removesuffix(".") + more if more else first, remedy, evidence, (*notes, *doubts[1:])
            )
        return Passed(reason, evidence, notes)


def with_member(request: HttpRequest, pointer: str, value: Any) -> HttpRequest:
    """The request with another value in this member of its body; `MISSING` takes the member away."""
    if not request.body:
        return request
    name = pointer.removeprefix("/")
    if request.body[:1] in (b"{", b"["):
        body = json.loads(request.body)
        if value is MISSING:
            return request.with_json(_without(body, pointer))
        return request.with_json(put(body, pointer, value))
    pairs = [pair for pair in parse_qsl(request.body.decode(), keep_blank_values=True) if pair[0] != name]
    if value is not MISSING:
        pairs += [(name, item) for item in (value if isinstance(value, list) else [value])]
    return request.with_form(tuple((key, str(item)) for key, item in pairs))


def with_password(login: Login, request: HttpRequest, value: Any) -> HttpRequest:
    """A login request with another value for the password, in the step that takes it; `MISSING` takes it away."""
    if login.password_field:
        return with_member(request, login.password_field, value)
    steps = list(request.before)
    for place, step in enumerate(login.before):
        if step.password_field:
            changed = with_member(steps[place].request, step.password_field, value)
            steps[place] = replace(steps[place], request=changed)
    return replace(request, before=tuple(steps))


def _without(body: Any, pointer: str) -> Any:
    names: Sequence[str] = pointer.strip("/").split("/")
    inner = body
    for name in names[:-1]:
        inner = inner.get(name, {})
    inner.pop(names[-1], None)
    return body


def is_json(request: HttpRequest) -> bool:
    """Whether the request carries a JSON object."""
    return (request.body or b"")[:1] == b"{"
