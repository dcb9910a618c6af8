"""Who asks: users of the run's own with every kind of credential, and what is known to be theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Outcome
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe import Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.narrowing import Narrowing
from auth_conformance.probe.rotation import Rotation
from auth_conformance.probe.volleys import Volleys
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Operation

if TYPE_CHECKING:
    from auth_conformance.model import Rule
    from auth_conformance.probe import Answer, Scene
    from auth_conformance.probe.answers import Session
    from auth_conformance.transports.message import HttpRequest

# A service that asks for more patience than this, in seconds, is not waited for.
LONGEST_WAIT = 120.0
# In process each request comes so many seconds after the one before, by the target's clock. Limits by the minute
# and ends of tokens then depend on what was sent, and not on how busy this machine is.
PACE = 0.05


@dataclass(slots=True)
class Person:
    """A user as the search knows them.

    `marks` are texts that only this person's data holds; `ids` are identifiers of what they made, by the path
    of the collection; `facts` is what the witness calls them, by the names of its members.
    """

    label: str
    account: Account
    credentials: dict[Kind, Credential] = field(default_factory=dict)
    refresh: Secret | None = None
    principal: str | None = None
    marks: set[str] = field(default_factory=set)
    ids: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> set[str]:
        """Everything that no reply may hold: the password and the credentials."""
        found = {credential.value.reveal() for credential in self.credentials.values()}
        for secret in (self.account.password, self.refresh):
            if secret is not None:
                found.add(secret.reveal())
        return {text for text in found if len(text) >= 8}

    def login(self) -> Credential | None:
        """A credential that came from a login, else any."""
        ordered = sorted(self.credentials.items(), key=lambda item: (item[0] is Kind.KEY, item[0].value))
        return ordered[0][1] if ordered else None


class Searcher(Volleys, Rotation, Narrowing, Mailing):
    """Sends for a search. In process it moves the clock on instead of sitting out a `Retry-After`."""

    skipped: float = 0.0
    throttled: int = 0
    _time: float = 0.0

    def __init__(self, scene: Scene, rule: Rule) -> None:
        super().__init__(scene, rule)
        # The kinds of which each login of an account gives the same credential again.
        self._same: set[Kind] = set()

    async def send(self, request: HttpRequest, **how: Any) -> Answer:
        """As the probe's own, at the pace of a search."""
        movable = self.scene.recorder.clock.movable
        self._tick()
        answer = await super().send(request, **{"patient": not movable, **how})
        if answer.outcome is Outcome.THROTTLED:
            self.throttled += 1
            seconds = _retry_after(answer)
            if movable and seconds <= LONGEST_WAIT:
                self.skipped += math.ceil(seconds) + 1
                self._time += math.ceil(seconds) + 1
                self._tick()
                answer = await super().send(request, **{**how, "patient": False})
        return answer

    def _tick(self) -> None:
        """Move the target's clock on; it never goes back, and so a slow machine may still move it further."""
        clock = self.scene.recorder.clock
        if clock.movable:
            self._time = max(self._time + PACE, clock.now())
            clock.ahead += self._time - clock.now()

    def forget(self) -> None:
        """Drop what was sent so far: a search sends thousands of requests, and keeps what it reports."""
        self.evidence.clear()

    async def meet(self, label: str) -> Person:
        """A user with every kind of credential: a new one where strangers may register. Raises Missing, Unclear."""
        register = self.target.register is not None
        account = await self.expendable() if register else self.account(label)
        person = Person(label, replace(account, label=label) if register else account)
        if register:
            self.scene.made_accounts[-1] = (person.account, None)
        await self.equip(person)
        return person

    async def equip(self, person: Person) -> None:
        """Log the person in by every door, and give them a key. Raises Missing, Unclear when no door opens."""
        person.credentials.clear()
        trouble: Missing | Unclear | None = None
        for kind in Kind:
            login = self.target.login(kind)
            if login is not None and person.account.password is not None:
                try:
                    session = await self.session_of(person.account, kind)
                except (Missing, Unclear) as conclusion:
                    trouble = conclusion
                    continue
                person.credentials[kind] = session.credential
                person.refresh = session.refresh or person.refresh
            elif (ready := person.account.ready.get(kind)) is not None:
                carrier = next((item for item in self.target.carriers if item.kind is kind), None)
                if carrier is not None:
                    self.scene.recorder.redactor.learn(ready)
                    person.credentials[kind] = Credential(carrier, ready, person.label)
        if Kind.KEY not in person.credentials and self.target.keys is not None and person.credentials:
            key = await self.issue_key(person)
            if key is not None:
                person.credentials[Kind.KEY] = key[0]
        if not person.credentials:
            raise trouble or Missing(f"No credential of {person.label} could be obtained.")
        await self.introduce(person)

    async def session_of(self, account: Account, kind: Kind) -> Session:
        """A new session; where each login gives the same credential again, that one. Raises Missing, Unclear.

        What is searched for can be found with a credential that is not the search's alone, and what ends it is
        followed by another login.
        """
        if kind not in self._same:
            try:
                return await self.sign_in(account, kind)
            except Unclear:
                session = await self.log_in(account, kind)
                self._same.add(kind)
        else:
            session = await self.log_in(account, kind)
        return replace(session, refresh=session.refresh or self.refresh_cookie(session.answer.reply))

    async def introduce(self, person: Person) -> None:
        """Learn whom the service takes the person for. Raises Unclear."""
        if self.target.witness is None:
            return
        credential = next(iter(person.credentials.values()))
        answer = await self.ask_witness(credential, f"control: who is {person.label}")
        if not answer.reply.ok:
            raise Unclear(f"{self.witness.operation.name} refused a live credential ({answer.status}).")
        person.principal = answer.exchange.reply.principal
        person.facts = self.facts_in(answer)
        person.marks |= {
            text
            for text in _texts(answer.reply.json)
            if "@" in text or text in {person.account.username, person.principal}
        }

    async def ask_witness(self, credential: Credential | None, label: str, **how: Any) -> Answer:
        """Present a credential at the witness; a key at that of keys, where the other refuses keys."""
        witness = self.witness if credential is None else self.witness_for(credential, self.witness)
        return await self.call(
            witness.operation, credential, label=label, pointer=witness.identity or None, **how
        )

    async def issue_key(
        self, person: Person, body: dict[str, object] | None = None, **how: Any
    ) -> tuple[Credential, str | None, Answer] | None:
        """A new API key of the person, its id, and the answer it came in; None when the service gives none."""
        keys, login = self.target.keys, person.login()
        if keys is None or login is None:
            return None
        given = {**keys.template, **(body or {})}
        answer = await self.call(
            keys.create, login, label=f"{person.label} creates an API key", body=given, **how
        )
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str) or not value:
            return None
        self.scene.recorder.redactor.learn(Secret(value))
        identifier = resolve(answer.reply.json, keys.identifier) if keys.identifier else None
        shown = str(identifier) if isinstance(identifier, (str, int)) else None
        if shown is not None:
            person.ids.setdefault(keys.create.path, []).append(shown)
        return Credential(keys.carriers[0], Secret(value), person.label), shown, answer

    async def end_some(self, person: Person) -> list[tuple[str, Credential]]:
        """Credentials of the person that were ended and are refused by the witness, each with the words for it."""
        found: list[tuple[str, Credential]] = []
        for logout in self.target.logouts:
            if self.target.login(logout.kind) is None:
                continue
            try:
                session = await self.session_of(person.account, logout.kind)
            except (Missing, Unclear):
                continue
            if session.credential.value in {item.value for item in person.credentials.values()}:
                continue  # each login gives the same one again: it would not stay dead
            body = logout.body(session.credential.value, session.refresh)
            label = f"{person.label} logs out"
            await self.call(logout.operation, session.credential, label=label, body=body)
            found.append((f"a {logout.kind.value} credential that was logged out", session.credential))
        keys, login, made = self.target.keys, person.login(), await self.issue_key(person)
        if (
            made is not None
            and made[1]
            and keys is not None
            and keys.revoke is not None
            and login is not None
        ):
            values = {keys.id_parameter: made[1]}
            await self.call(keys.revoke, login, label=f"{person.label} revokes a key", values=values)
            found.append(("a key that was revoked", made[0]))
        bearer = person.credentials.get(Kind.BEARER)
        if bearer is not None and person.refresh is not None:
            renewing = replace(bearer, value=person.refresh, companions=(), crumbs=())
            found.append(("a refresh token in the place of a credential", renewing))
        answers = [await self.ask_witness(credential, label) for label, credential in found]
        return [pair for pair, answer in zip(found, answers, strict=True) if answer.status in {401, 403}]

    async def put_down(self, person: Person) -> str | None:
        """An object of the person's with a mark in it; its id, or None when the service makes none."""
        objects, login = self.target.objects, person.login()
        if objects is None or login is None:
            return None
        mark = self.canary()
        answer = await self.call(
            objects.create,
            login,
            label=f"{person.label} creates an object",
            body=put(dict(objects.template), objects.text_field, mark),
        )
        identifier = resolve(answer.reply.json, objects.identifier)
        if not answer.reply.ok or not isinstance(identifier, (str, int)) or isinstance(identifier, bool):
            return None
        person.marks.add(mark)
        person.ids.setdefault(objects.create.path, []).append(str(identifier))
        return str(identifier)


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.reply.header("retry-after") or "1"))
    except ValueError:
        return LONGEST_WAIT + 1


def _texts(value: Any, depth: int = 4) -> set[str]:
    if depth == 0:
        return set()
    if isinstance(value, dict):
        return set().union(*(_texts(inner, depth - 1) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(_texts(inner, depth - 1) for inner in value[:20]))
    return {value} if isinstance(value, str) and value else set()


def collection_of(operation: Operation) -> str:
    """The path of the collection that an operation's first path parameter picks from; its own path without one."""
    return operation.path.split("/{", maxsplit=1)[0]
