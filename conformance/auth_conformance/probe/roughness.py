"""`must_validate_input`: odd values in credential fields are refused in order, harmless ones work (CRD124)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Outcome, Role, Severity, Verdict
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.knocking import MISSING, Knocking, Tally, with_member
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Login
    from auth_conformance.transports.message import HttpRequest

_MARK = "ac7x7"
_PRODUCT = "49"
# How many values each field gets; the choice is the same in every run.
_SAMPLE = 12
_BIG = 10_000
_HUGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of an operation: `request` makes an honest request, in which the field at `pointer` is replaced.

    `names` tells that it names an account, `keeps` that a list shows it again.
    """

    words: str
    operation: str
    pointer: str
    request: Callable[[], HttpRequest]
    names: bool = False
    keeps: bool = False


class Roughness(Knocking):
    """Fills fields with what nobody expects."""

    async def must_validate_input(self) -> Verdict:
        """Nothing breaks, nothing odd is stored, nothing is evaluated; and unusual names work."""
        tally, login = Tally(), self._richest()
        guard = await self.victim()
        await self.right_login(login, guard, "before")
        for entry in self._entries():
            for words, value in self._odd_values(entry):
                await self._fill(entry, words, value, tally)
        await self._rarer_fields(login, tally)
        await self._odd_members(login, tally)
        await self._harmless(tally)
        await self.right_login(login, guard, "after")
        return self.concluded(tally, f"{tally.delivered} odd values were refused or harmless.")

    def _richest(self) -> Login:
        """A login that takes JSON, where there is one: its fields have types."""
        return next((login for login in self.logins() if login.encoding == "json"), self.logins()[0])

    def _entries(self) -> list[Entry]:
        found: list[Entry] = []
        register, login = self.target.register, self._richest()

        def join() -> HttpRequest:
            account = self.unborn(Secret(self.password()))
            self.scene.made_accounts.append((account, None))
            return register.request(account.username, account.password or Secret("")) if register else enter()

        def enter() -> HttpRequest:
            return login.request(self.unborn(Secret("")).username, Secret(self.password()))

        if register is not None:
            name = register.operation.name
            found.append(Entry("the name at registration", name, register.user_field, join, names=True))
            found.append(Entry("the password at registration", name, register.password_field, join))
        if login.encoding in ("json", "form"):
            places = {"the name at login": login.user_field, "the password at login": login.password_field}
            # What an earlier step takes has no place in this request.
            found += [
                Entry(words, login.operation.name, place, enter) for words, place in places.items() if place
            ]
        return found

    async def _rarer_fields(self, login: Login, tally: Tally) -> None:
        """The fields of a password change and of a new key, as an account of its own."""
        owner = await self.another_victim()
        credential = await self.right_login(login, owner, "to fill rarer fields")

        def sent(request: HttpRequest) -> HttpRequest:
            return request.with_headers(*credential.headers).with_query(*credential.query)

        entries: list[Entry] = []
        change, keys = self.target.password_change, self.target.keys
        if change is not None and change.form.encoding == "json":
            wrong = Secret(self.password())
            self.scene.recorder.redactor.learn(wrong)
            for words, place in (("the current password", change.current), ("the new password", change.new)):
                if place is not None and ":" not in place:
                    name = change.form.operation.name
                    # Never the right one: what is odd must not become the password of this account.
                    entries.append(
                        Entry(f"{words} at a change", name, place, lambda: sent(change.request(wrong, wrong)))
                    )
        if keys is not None:
            member = next((key for key, value in keys.template.items() if isinstance(value, str)), None)
            if member is not None:
                make = keys.create.carrying(keys.create.request(), dict(keys.template))
                entry = Entry("the name of a key", keys.create.name, member, lambda: sent(make), keeps=True)
                entries.append(entry)
        for entry in entries:
            for words, value in self._odd_values(entry)[: len(_ALWAYS) + 3]:
                await self._fill(entry, words, value, tally, credential)
        if entries and self.target.witness is not None and await self.named(credential) is None:
            tally.doubt(
                "The login of an account ended while its fields were filled: answers may have been refusals of it."
            )

    async def _odd_members(self, login: Login, tally: Tally) -> None:
        """A member twice, a member too many, and numbers that JSON has not: none of them breaks a login."""
        if login.encoding != "json":
            return
        nobody = self.unborn(Secret(""))
        honest = login.request(nobody.username, Secret(self.password()))
        text = (honest.body or b"{}").decode()
        bodies = {
            "a member twice": f'{text[:-1]}, {json.dumps(login.user_field.lstrip("/"))}: "x"}}',
            "a member too many": f'{text[:-1]}, "unexpected": "x"}}',
            "NaN": f'{text[:-1]}, "number": NaN}}',
        }
        for words, body in bodies.items():
            request = replace(honest, body=body.encode())
            answers = [
                await self.send(
                    replace(request, fresh=bool(number)),
                    label=f"{'again: ' * number}a login with {words}",
                    role=Role.ATTACK,
                    operation=login.operation.name,
                    patient=False,
                )
                for number in range(2)
            ]
            if all(answer.broke for answer in answers):
                tally.violate(
                    login.operation.name,
                    f"{login.operation.name} breaks on {words}.",
                    *answers,
                    subject=words,
                )
            elif any(answer.reply.late for answer in answers):
                tally.doubt(f"{login.operation.name}: {words} got no answer in time.")
            elif any(answer.outcome is Outcome.INTERCEPTED for answer in answers):
                tally.doubt(f"{login.operation.name}: {words}: {answers[0].why or answers[1].why}.")
            else:
                tally.delivered += 1

    def _odd_values(self, entry: Entry) -> list[tuple[str, Any]]:
        texts: list[tuple[str, Any]] = [
            ("nothing", MISSING),
            ("an empty text", ""),
            ("ten thousand characters", "a" * _BIG),
            ("a NUL", f"{_MARK}\0x"),
            ("a line break and a header", f"{_MARK}\r\nX-Injected: {_MARK}"),
            ("a mark for right-to-left", f"{_MARK}\u202e"),
            ("a script", f"<script>{_MARK}</script>"),
            ("a template in braces", f"{_MARK}{{{{7*7}}}}"),
            ("a template with a dollar", f"{_MARK}${{7*7}}"),
            ("a path", f"../../{_MARK}"),
            ("control characters", f"{_MARK}\x01\x1b[31m"),
        ]
        typed: list[tuple[str, Any]] = [
            ("null", None),
            ("a number", 7),
            ("true", True),
            ("a list", [_MARK]),
            ("an object", {_MARK: _MARK}),
            ("half a character", "\ud800" + _MARK),
            ("a deep nest", _nested(200)),
            ("a number of 400 digits", 10**400),
            ("a million characters", "a" * _HUGE),
        ]
        json_body = (entry.request().body or b"")[:1] == b"{"
        listed = texts + (typed if json_body else [])
        self.rng.shuffle(listed)
        must = [item for item in listed if item[0] in _ALWAYS]
        return (must + [item for item in listed if item not in must])[: max(_SAMPLE, len(must))]

    async def _fill(
        self, entry: Entry, words: str, value: Any, tally: Tally, owner: Credential | None = None
    ) -> None:
        label = f"{entry.words}: {words}"
        answer = await self._filled(entry, value, label)
        if answer.outcome is Outcome.CRASHED and not answer.reply.undelivered:
            again = await self._filled(entry, value, f"again: {label}")
            if answer.broke and again.broke:
                tally.violate(
                    entry.operation, f"{entry.operation} breaks on {label}.", answer, again, subject=label
                )
            elif answer.reply.late or again.reply.late:
                tally.doubt(f"{entry.operation}: {label} got no answer in time.")
            else:
                tally.doubt(f"{entry.operation}: {label} broke it once.")
            return
        if answer.outcome is Outcome.THROTTLED:
            tally.doubt(f"{entry.operation}: {label} was limited.", "rate = 1  # requests per second")
            return
        if answer.outcome is Outcome.INTERCEPTED and not answer.reply.undelivered:
            tally.doubt(f"{entry.operation}: {label}: {answer.why}.")
            return
        headers = " ".join(f"{name}: {text}" for name, text in answer.reply.headers).lower()
        if "line break" in words and "x-injected:" in headers:
            tally.violate(entry.operation, f"{label} adds a header to the answer.", answer, subject=label)
        elif "template" in words and f"{_MARK}{_PRODUCT}" in answer.reply.text:
            tally.violate(
                entry.operation, f"{label} is evaluated.", answer, severity=Severity.HIGH, subject=label
            )
        elif entry.names and answer.reply.ok and words in _STORED and await self._stored_name(value, tally):
            tally.violate(
                entry.operation, f"{entry.operation} stores {words} as a name.", answer, subject=words
            )
        elif entry.keeps and answer.reply.ok and words in _STORED and await self._listed_name(value, owner):
            tally.violate(
                entry.operation,
                f"{entry.operation} stores {words} as the name of a key.",
                answer,
                subject=words,
            )
        else:
            tally.delivered += 1

    async def _listed_name(self, value: Any, owner: Credential | None) -> bool:
        """Whether the list of keys shows the odd name as it was sent."""
        listing = self.target.keys.listing if self.target.keys is not None else None
        if listing is None or not isinstance(value, str):
            return False
        shown = await self.call(listing, owner, label="list the keys with odd names", role=Role.CONTROL)
        return shown.reply.ok and value in flattened(shown.reply.json).values()

    async def _filled(self, entry: Entry, value: Any, label: str) -> Answer:
        request = entry.request()
        if isinstance(value, str) and entry.names and "@" in request_text(request, entry.pointer):
            value = f"{value}@example.com"
        return await self.send(
            with_member(request, entry.pointer, value),
            label=label,
            role=Role.ATTACK,
            operation=entry.operation,
            patient=False,
        )

    async def _stored_name(self, value: Any, tally: Tally) -> bool:
        """Whether a registration under an odd name made an account that goes by it: its witness shows it.

        A doubt where that could not be seen.
        """
        register, login = self.target.register, self._richest()
        if register is None or not isinstance(value, str):
            return False
        # Registered once more with a password that we know, under a name of its own.
        account = self.unborn(Secret(self.password()))
        odd = f"{value}{self.word(5)}" + ("@example.com" if "@" in account.username else "")
        answer, account = await self.registered(
            account.password or Secret(""), odd, "register an odd name", confirm="if sent"
        )
        if not answer.reply.ok:
            return False
        tried = await self.send(
            login.request(odd, account.password or Secret("")),
            label="log in under the odd name",
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        try:
            who = await self.let_in(login, tried)
        except Unclear as reason:
            tally.doubt(f"Whether an odd name is stored was not seen: {reason}")
            return False
        return who is not None and (who == odd or not who)

    async def _harmless(self, tally: Tally) -> None:
        """Names that people have must be registrable."""
        register = self.target.register
        if register is None:
            self.notes.append("registration is not known: unusual names were not tried")
            return
        run = self.word(6)
        if register.user_style == "email":
            for name in (
                f"o'brien.{run}@example.com",
                f"{run}.{'a-rather-long-name-' * 2}of-somebody@mail.example.com",
            ):
                await self._must_register(name, Severity.LOW, tally)
        elif await self._takes_names_of_people(run):
            await self._must_register(f"O'Brien{run}", Severity.LOW, tally)
        else:
            self.notes.append(
                "user names have an alphabet of their own here: no name of a person was demanded"
            )
        text = next(
            (key for key, value in register.template.items() if key in _TEXTS and isinstance(value, str)),
            None,
        )
        if text is not None:
            await self._display_name(text, tally)

    async def _takes_names_of_people(self, run: str) -> bool:
        """Whether a user name may be that of a person at all, and is no handle of few characters."""
        answer, _ = await self.registered(
            Secret(self.password()), f"O Brien{run}", "register with a blank", confirm="never"
        )
        return answer.reply.ok

    async def _must_register(self, name: str, severity: Severity, tally: Tally) -> None:
        answers = []
        for number in range(2):
            local, at, host = name.partition("@")
            spelled = f"{local}{number}{at}{host}"
            answer, _ = await self.registered(
                Secret(self.password()), spelled, f"register {name!r}", confirm="never"
            )
            if answer.judgement is not None:
                tally.doubt(f"registering {name!r} got no orderly answer ({answer.why}).")
                return
            if answer.reply.granted:
                tally.delivered += 1
                return
            answers.append(answer)
        operation = answers[0].exchange.operation
        tally.violate(operation, f"{operation} refuses the name {name!r}.", *answers, severity=severity)

    async def _display_name(self, member: str, tally: Tally) -> None:
        register = self.target.register
        if register is None:
            return
        answers = []
        for text in ('D\'Arcy-Ó "the quoted"',) * 2:
            account = self.unborn(Secret(self.password()))
            request = register.request(account.username, account.password or Secret(""))
            answer = await self.send(
                with_member(request, member, text),
                label=f"register with {member} = {text!r}",
                role=Role.ATTACK,
                operation=register.operation.name,
            )
            if answer.judgement is not None:
                tally.doubt(f"registering with {member} = {text!r} got no orderly answer ({answer.why}).")
                return
            if answer.reply.granted:
                tally.delivered += 1
                return
            answers.append(answer)
        message = f"{register.operation.name} refuses the {member} {text!r}."
        tally.violate(register.operation.name, message, *answers, severity=Severity.LOW)


_ALWAYS = (
    "ten thousand characters",
    "control characters",
    "a NUL",
    "half a character",
    "a line break and a header",
)
_STORED = ("ten thousand characters", "control characters", "a NUL", "a line break and a header")
_TEXTS = (
    "name",
    "full_name",
    "fullname",
    "display_name",
    "displayName",
    "fullName",
    "first_name",
    "last_name",
)


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def request_text(request: HttpRequest, pointer: str) -> str:
    """What the field holds in an honest request, as text."""
    if (request.body or b"")[:1] != b"{":
        return (request.body or b"").decode("utf-8", "replace").replace("%40", "@")
    found: Any = json.loads(request.body or b"{}")
    for name in pointer.strip("/").split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
