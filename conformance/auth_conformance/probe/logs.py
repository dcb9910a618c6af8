"""What the service writes down: never a secret, and always who did what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.normalise import masked
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.described import Described
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.rotation import Rotation
from auth_conformance.secret import Secret
from auth_conformance.target import Account
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.inside import failing_route
from auth_conformance.transports.journal import Journal, Line, open_journal
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

# Remembers a secret that is about to be spoken: what it is, and its text.
Note = Callable[[str, Secret | None], None]
_SHORTEST = 8
# Wrong logins until a limit shows: strict ones do so at ten.
_UNTIL_LIMITED = 14


@dataclass(frozen=True, slots=True)
class Spoken:
    """A secret that was sent or received: what it is, and its text."""

    what: str
    text: Secret


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret in something that was written: `where` names the logger, `how` the encoding."""

    what: str
    where: str
    how: str


@dataclass(slots=True)
class _Tour:
    """What one way through the service sent, and what was written on the way."""

    leaks: list[Leak] = field(default_factory=list)
    evidence: list[Exchange] = field(default_factory=list)
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has to be written down: its name, who did it, and the lines that came of it."""

    name: str
    who: tuple[str, ...]
    lines: tuple[Line, ...]
    answer: Answer


class Logs(Described):
    """Sentences about logs."""

    async def must_log_no_secrets(self) -> Verdict:
        """Passwords, tokens, keys and cookies are not written down: as configured, nor when debugging."""
        await self.must_answer()
        quiet = await self._tour(loud=False)
        if not quiet.lines:
            reason = (
                "Nothing was written while the service was used: its log is not the one that was watched."
            )
            return Inconclusive(reason, self.target.remedies.get(Need.LOGS, ""), tuple(self.evidence))
        loud = await self._tour(loud=True) if self.target.in_process else await self._tour(loud=False)
        await self.must_answer("after")
        again = {(leak.what, leak.where) for leak in loud.leaks}
        violations = [
            Violation(None, _told(leak), Severity.HIGH, tuple(quiet.evidence[-4:]))
            for leak in quiet.leaks
            if (leak.what, leak.where) in again
        ]
        before = {(leak.what, leak.where) for leak in quiet.leaks}
        debugging = [leak for leak in loud.leaks if (leak.what, leak.where) not in before]
        if debugging and not violations and self.target.in_process:
            second = await self._tour(loud=True)
            seen = {(leak.what, leak.where) for leak in second.leaks}
            violations = [
                Violation(
                    None, f"{_told(leak)} Only while debugging.", Severity.LOW, tuple(second.evidence[-4:])
                )
                for leak in debugging
                if (leak.what, leak.where) in seen
            ]
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            worst = violations[0]
            others = "; ".join(dict.fromkeys(item.message for item in violations[1:6]))
            message = worst.message + (f" Likewise: {others}" if others else "")
            return Failed((replace(worst, message=message),), evidence, notes)
        return Passed(f"{quiet.lines + loud.lines} lines were written, none with a secret.", evidence, notes)

    async def _tour(self, *, loud: bool) -> _Tour:
        """Use every intake of secrets once, and look for what was sent and received in what is written."""
        start = len(self.evidence)
        transport = self.scene.recorder.transport
        with open_journal(transport, self.target.log_file, loud=loud) as journal:
            if not journal.known:
                raise Missing("The log file cannot be read.", self.target.remedies.get(Need.LOGS, ""))
            spoken = await self._speak()
            lines = journal.since(0)
        tour = _Tour(evidence=self.evidence[start:], lines=len(lines))
        texts: dict[str, str] = {}
        for line in lines:
            texts[line.source] = texts.get(line.source, "") + line.text + "\n"
        for item in spoken:
            for source, text in texts.items():
                how = _in_clear(item.text.reveal(), text)
                if how is not None:
                    tour.leaks.append(Leak(item.what, source, how))
        return tour

    async def _speak(self) -> list[Spoken]:
        spoken: list[Spoken] = []

        def note(what: str, secret: Secret | None) -> None:
            if secret is not None and len(secret.reveal()) >= _SHORTEST:
                self.scene.recorder.redactor.learn(secret)
                spoken.append(Spoken(what, secret))
                signature = secret.reveal().rpartition(".")[2]
                if secret.reveal().count(".") == 2 and len(signature) > 2 * _SHORTEST:
                    spoken.append(Spoken(f"the signature of {what}", Secret(signature)))

        await self.send(HttpRequest("GET", f"/{self.word(12)}"), label="control: a path to be logged")
        await self._speak_at_doors(note)
        live: list[Credential] = []
        for kind in self.kinds():
            credential = await self.credential(kind, fresh=kind is not Kind.BASIC)
            live.append(credential)
            note(f"a {kind.value} credential", credential.value)
            wrong = self.bland(credential)
            note(f"a wrong {kind.value} credential", wrong.value)
            for who, sent in (("live", credential), ("wrong", wrong)):
                for carrier in [item for item in self.target.carriers if item.kind is kind] or [
                    credential.carrier
                ]:
                    label = f"a {who} {kind.value} credential in {carrier.place} {carrier.name}"
                    await self.call(self.witness.operation, sent.moved_to(carrier), label=label)
        await self._speak_refresh(note)
        await self._speak_reset(note)
        await self._speak_while_failing(live, note)
        return spoken

    async def _speak_at_doors(self, note: Note) -> None:
        say, register = note, self.target.register
        if register is not None:
            password = Secret(self.password())
            say("the password of a registration that does not fit", password)
            request = register.request("\x01 @@", password)
            await self.send(request, label="a registration that does not fit")
            account = await self.expendable()
            say("the password of a registration", account.password)
        for login in {login.operation.name: login for login in self.target.logins}.values():
            wrong = Secret(self.password())
            say("a wrong password", wrong)
            await self.send(login.request(self.account_name() or "nobody", wrong), label="a wrong login")
            account = self.account()
            if account.password is not None and login.encoding != "basic":
                say("a right password", account.password)
                answer = await self.send(
                    login.request(account.username, account.password), label="a right login"
                )
                issued = login.read(answer.reply, account.label)
                say("what a login issues", issued.value if issued is not None else None)
                say("a refresh token", login.read_refresh(answer.reply))

    async def _speak_refresh(self, note: Note) -> None:
        """Use a refresh token twice, wherever it is kept."""
        if self.target.refresh is None:
            return
        renewing = Rotation(self.scene, self.rule)
        try:
            session = await renewing.log_in(self.account(), self.target.logins[0].carrier.kind)
        except (Missing, Unclear):
            return
        token = session.refresh or renewing.refresh_cookie(session.answer.reply)
        if token is None:
            return
        note("a refresh token", token)
        _, renewal = await renewing.renew(token, "exchange a refresh token")
        if renewal is not None:
            for secret in (renewal.access, renewal.following, renewal.cookie):
                note("what a refresh issues", secret)
        await renewing.renew(token, "use a refresh token again")
        self.evidence += renewing.evidence

    async def _speak_reset(self, note: Note) -> None:
        """Ask for a reset and use what is mailed: a link in a log resets for whoever reads it."""
        recovery = self.target.recovery
        if recovery is None or self.target.mailbox is None:
            self.notes.append("no reset was asked for: no mailbox, or no reset, is known")
            return
        mailing, new = Mailing(self.scene, self.rule), Secret(self.password())
        try:
            account = await mailing.expendable()
            token = await mailing.reset_token(account)
        except (Missing, Unclear) as reason:
            self.notes.append(f"no reset was asked for: {reason}")
            return
        note("a reset token", token)
        note("the password of a reset", new)
        await mailing.send(
            recovery.confirm.request(token, new, account.address),
            label="reset the password",
            operation=recovery.confirm.form.operation.name,
        )
        mailing.now_known_by(account, new)
        self.evidence += mailing.evidence

    async def _speak_while_failing(self, live: Sequence[Credential], note: Note) -> None:
        """In this process: a handler raises while it holds each credential."""
        transport = self.scene.recorder.transport
        if not isinstance(transport, AsgiTransport):
            return
        path, password = f"/{self.word(12)}", Secret(self.password())
        note("a password in a request whose handler fails", password)
        with failing_route(transport.app, path, RuntimeError("forced")) as placed:
            if not placed:
                return
            for credential in live:
                request = HttpRequest("POST", path).with_json({"password": password.reveal()})
                sent = request.with_headers(*credential.headers).with_query(*credential.query)
                answer = await self.send(sent, label="a handler that fails with a credential in its hand")
                self.scene.crashes = [item for item in self.scene.crashes if item.exchange != answer.exchange]

    # Events.

    async def must_log_events(self) -> Verdict:
        """Logins, refusals, and changes of keys and sessions leave a line with who and what."""
        await self.must_answer()
        transport = self.scene.recorder.transport
        with open_journal(transport, self.target.log_file) as journal:
            if not journal.known:
                raise Missing("The log file cannot be read.", self.target.remedies.get(Need.LOGS, ""))
            first = await self._events(journal)
            second = await self._events(journal)
            broken = await self._injected_lines(journal)
            total = journal.mark()
        await self.must_answer("after")
        if not total:
            return Inconclusive(
                "Nothing was written at all.", self.target.remedies.get(Need.LOGS, ""), tuple(self.evidence)
            )
        violations = [
            Violation(
                one.answer.exchange.operation,
                f"{_capital(one.name)} leaves no line that says who it was.",
                None,
                (one.answer.exchange, other.answer.exchange),
            )
            for one in first
            for other in second
            if one.name == other.name and not _own_lines(one) and not _own_lines(other)
        ]
        violations += _indistinct(first)
        if broken is not None:
            violations.append(broken)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        names = ", ".join(event.name for event in first)
        if len(first) < 2:
            return Inconclusive(f"Too few events could be caused ({names}).", "", evidence, notes)
        return Passed(f"Each leaves a line that says who: {names}.", evidence, notes)

    async def _events(self, journal: Journal) -> list[Event]:
        """Cause each kind of event once, on an account of its own."""
        found: list[Event] = []
        account = await self.expendable()

        def seen(name: str, who: Sequence[str | None], mark: int, answer: Answer) -> None:
            names = tuple(each for each in who if each)
            found.append(Event(name, names, tuple(journal.since(mark)), answer))

        mark = journal.mark()
        failed, _ = await self.try_login(account, Secret(self.password()), label="a failed login")
        seen("a failed login", (account.username,), mark, failed)
        mark = journal.mark()
        session = await self.log_in(account)
        who = await self._own_names(account, session.credential)
        seen("a login", who, mark, session.answer)
        keys = self.target.keys
        if keys is not None:
            mark = journal.mark()
            body = dict(keys.template)
            made = await self.call(keys.create, session.credential, label="create a key", body=body)
            if made.reply.ok:
                seen("a new key", who, mark, made)
        await self._refused_right(session.credential, who, journal, found)
        logout = next(
            (item for item in self.target.logouts if item.kind is session.credential.carrier.kind), None
        )
        if logout is not None:
            mark = journal.mark()
            leaving = logout.body(session.credential.value, session.refresh)
            going = logout.leaving(session.credential, session.refresh)
            ended = await self.call(logout.operation, going, label="log out", body=leaving)
            if ended.reply.ok:
                seen("a logout", who, mark, ended)
        change = self.target.password_change
        if change is not None:
            again = await self.log_in(account)
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            request = change.request(account.password, new).with_headers(*again.credential.headers)
            mark = journal.mark()
            changed = await self.send(
                request.with_query(*again.credential.query),
                label="change the password",
                operation=change.form.operation.name,
            )
            if changed.reply.ok:
                account = replace(account, password=new)
                seen("a new password", who, mark, changed)
        limited = await self._run_into_limit(account, journal)
        if limited is not None:
            # Who is limited by address has no name yet.
            mark, answer = limited
            seen("a login beyond the limit", (*who, self.address), mark, answer)
        return found

    async def _run_into_limit(self, account: Account, journal: Journal) -> tuple[int, Answer] | None:
        """Wrong passwords until the limit answers, from an address of this check's own; None when none does."""
        login = self.target.logins[0]
        for number in range(_UNTIL_LIMITED):
            wrong = Secret(self.password())
            self.scene.recorder.redactor.learn(wrong)
            mark = journal.mark()
            answer = await self.send(
                login.request(account.username, wrong),
                label=f"wrong password {number + 1}",
                operation=login.operation.name,
                patient=False,
            )
            if answer.outcome is Outcome.THROTTLED:
                return mark, answer
        self.notes.append(
            f"no limit showed within {_UNTIL_LIMITED} wrong logins: its line was not looked for"
        )
        return None

    async def _refused_right(
        self, credential: Credential, who: Sequence[str], journal: Journal, found: list[Event]
    ) -> None:
        gallery = await self.gallery()
        for item in gallery.refusals:
            operation = self.target.operation(item.answer.exchange.operation)
            if (
                item.group == "right"
                and item.status == 403
                and operation is not None
                and "{" not in operation.path
            ):
                mark = journal.mark()
                answer = await self.call(operation, credential, label="an operation without the right")
                if answer.status == 403:
                    found.append(
                        Event("a refused authorisation", tuple(who), tuple(journal.since(mark)), answer)
                    )
                return

    async def _own_names(self, account: Account, credential: Credential) -> tuple[str, ...]:
        """Every name under which the service may write the account: the user name, and what it shows as its id."""
        names = [account.username]
        for witness in self.witnesses:
            answer = await self.call(
                witness.operation, credential, label="who am I?", pointer=witness.identity or None
            )
            if by_cache(answer.reply):
                raise Unclear(f"A cache answers in the place of {witness.operation.name}.")
            if answer.exchange.reply.principal:
                names.append(answer.exchange.reply.principal)
            shown = answer.reply.json
            if isinstance(shown, dict):
                names += [
                    str(value)
                    for key, value in shown.items()
                    if key.lower().endswith(("id", "sub", "username", "email"))
                    and isinstance(value, (str, int))
                ]
        return tuple(dict.fromkeys(name for name in names if len(name) > 2))

    async def _injected_lines(self, journal: Journal) -> Violation | None:
        """A user name with a line break and a terminal escape must not make a line of its own."""
        marker = self.word(10)
        name = f'{marker}\r\n{marker}x "level":"INFO" login accepted \x1b[31m{marker}y'
        answers = []
        for _ in range(2):
            mark = journal.mark()
            account = Account("a name with line breaks", name, Secret(self.password()))
            answer, _login = await self.try_login(account, account.password, label="a login with line breaks")
            answers.append(answer)
            lines = [line for line in journal.since(mark) if marker in line.text and line.own]
            split = any(
                f"\n{marker}x" in line.text
                or f"\r{marker}x" in line.text
                or line.text.startswith(f"{marker}x")
                for line in lines
            )
            escaped = any(f"\x1b[31m{marker}y" in line.text for line in lines)
            if not split and not escaped:
                return None
        what = "writes line breaks or terminal escapes of a user name into its log as they are"
        operation = answers[0].exchange.operation
        proof = tuple(answer.exchange for answer in answers)
        return Violation(operation, f"{operation} {what}.", Severity.MEDIUM, proof)


def _in_clear(secret: str, text: str) -> str | None:
    """How a secret stands in what was written, so that a reader could use it: digests do not count."""
    how = leaked(secret, text)
    return None if how is None or "digest" in how else how


def _told(leak: Leak) -> str:
    return f"{_capital(leak.what)} stands {leak.how} in what {leak.where} writes."


def _own_lines(event: Event) -> list[Line]:
    return [line for line in event.lines if line.own and any(name in line.text for name in event.who)]


def _indistinct(events: Sequence[Event]) -> list[Violation]:
    """A failed and a successful login whose lines cannot be told apart."""
    by_name = {event.name: event for event in events}
    failed, good = by_name.get("a failed login"), by_name.get("a login")
    if failed is None or good is None:
        return []
    told = [{masked(line.text, event.who) for line in _own_lines(event)} for event in (failed, good)]
    if not told[0] or told[0] != told[1]:
        return []
    proof = (failed.answer.exchange, good.answer.exchange)
    return [Violation(proof[0].operation, "A failed login and a login leave the same line.", None, proof)]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
