"""What the searches of one run share: two users and an administrator, what is theirs, and what stands open."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.discovery.names import dangerous, likeness, mentions
from auth_conformance.model import Impact, Reply
from auth_conformance.probe import Missing, Scene, Unclear
from auth_fuzz import rules
from auth_fuzz.operations.dressing import Wardrobe
from auth_fuzz.people import Person, Searcher
from auth_fuzz.rights import Rights
from auth_fuzz.things import Thing, Things, id_of, places

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Operation
    from auth_fuzz.stories.model import Habits

_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
# Words of operations that end what the search works with; the machine plays them, on users of its own.
_ENDING = {
    "password",
    "logout",
    "signout",
    "deactivate",
    "disable",
    "revokeall",
    "mfa",
    "otp",
    "reset",
    "verify",
}


class World:
    """Two users and an administrator. `meet` must be called before anything else."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        rule = replace(rules.STRANGER, code=f"FUZ{seed}", impact=Impact.WRITES)
        self.searcher = Searcher(scene, rule)
        self.target = scene.target
        self.scene = scene
        self.a: Person
        self.b: Person | None = None
        self.admin: Person | None = None
        self.canonical: Reply | None = None
        # What of the first user's was ended: no operation may serve it.
        self.ended: list[tuple[str, Credential]] = []
        self.things = Things(self.searcher)
        self.rights = Rights(self.searcher)
        self.wardrobe = Wardrobe(self.target, random.Random(f"{seed}:dressings"))
        # Whether the application starts twice in this process, and what the stories learned; None until it is tried.
        self.restarts: bool | None = None
        self.habits: Habits | None = None
        self._open_witness = False
        self._victim: str | None = None
        self.exercised = self._flows()
        # What generated requests are refused by for a reason, and stories get through.
        change = self.target.password_change
        played = change is not None and change.current is not None and self.target.register is not None
        self.played = frozenset({change.form.operation.name} if change is not None and played else ())

    async def meet(self) -> None:
        """Make the cast and learn how the service refuses. Raises Missing, Unclear."""
        searcher = self.searcher
        self.a = await searcher.meet("a")
        try:
            self.b = await searcher.meet("b")
        except Missing:
            self.b = None
        if "admin" in self.target.accounts:
            try:
                account = searcher.account("admin")
                self.admin = Person("admin", account)
                await searcher.equip(self.admin)
            except (Missing, Unclear):
                self.admin = None
        for person in (self.a, self.b):
            if person is not None:
                await self._put_down(person)
        if self.admin is not None:
            await self.victim(anew=True)
        self.things.remember_makers()
        await self._learn_refusal()
        if self.scene.allow_disruptive:
            self.ended = await self.searcher.end_some(self.a)
            self.a = await self.living(self.a)  # a logout may end more than its own session
        self.wardrobe.name(filter(None, (self.a.principal, self.searcher.called(self.a.facts, "id"))))

    @property
    def people(self) -> list[Person]:
        """Everybody who is known."""
        return [person for person in (self.a, self.b, self.admin) if person is not None]

    async def _learn_refusal(self) -> None:
        if self.target.witness is None:
            return
        credential = next(iter(self.a.credentials.values()))
        answer = await self.searcher.ask_witness(
            self.searcher.bland(credential), "control: a meaningless credential"
        )
        self._open_witness = answer.reply.ok
        self.canonical = answer.exchange.reply

    def _flows(self) -> frozenset[str]:
        """Operations that give or take credentials: the lifecycle machine plays them."""
        target = self.target
        known: list[Operation | None] = [login.operation for login in target.logins]
        known += [logout.operation for logout in target.logouts]
        known += [
            target.register.operation if target.register else None,
            target.refresh.operation if target.refresh else None,
            target.delete_account.operation if target.delete_account else None,
        ]
        over = {name for name in target.ending if name.startswith("GET ")}
        return frozenset(operation.name for operation in known if operation is not None) | over

    def plan(self) -> tuple[list[Operation], dict[str, str]]:
        """The operations to fuzz, makers before users before deleters, and why others are left out."""
        chosen: list[Operation] = []
        left: dict[str, str] = {}
        writes = self.scene.allow_disruptive
        for operation in self.target.operations:
            why = ""
            if operation.method in {"OPTIONS", "TRACE"}:
                why = f"{operation.method} is the server's own"
            elif operation.name in self.exercised:
                why = "it gives or takes credentials: the lifecycle machine plays it"
            elif operation.method in _WRITES and not writes:
                why = "it may change something, and this target runs elsewhere: --allow-disruptive"
            elif operation.method in _WRITES and mentions(operation.path, _ENDING) and not operation.security:
                why = "it takes mailed tokens or passwords: the checks and the machine send those"
            elif dangerous(operation) and not writes:
                why = "its name says that it changes something"
            if why:
                left[operation.name] = why
            else:
                chosen.append(operation)
        return sorted(chosen, key=self._rank), left

    @staticmethod
    def _rank(operation: Operation) -> tuple[int, int, str]:
        order = {"POST": 0, "GET": 1, "HEAD": 1, "PUT": 2, "PATCH": 2, "DELETE": 4}
        ending = mentions(operation.path, _ENDING) or likeness(operation, "logout") > 1
        place = 5 if ending and operation.method in _WRITES else order.get(operation.method, 3)
        return place, operation.path.count("{"), operation.name

    # Whose is what.

    async def lead(
        self, person: Person, operation: Operation, chance: random.Random
    ) -> tuple[dict[str, str], Thing | None]:
        """Values for the path of an operation that lead to a thing of the person's, and that thing, if one is known."""
        if person is not self.admin or operation.method not in _WRITES:
            return await self.things.lead(person, operation, chance)
        # An administrator could delete anybody: only what the run itself made is offered.
        place = next(iter(places(operation.path)), None)
        if self._victim is None or place is None:
            return {}, None
        return {place.name: self._victim}, Thing(place.collection, self._victim, place.name)

    async def keeps_apart(self, thing: Thing) -> bool:
        """Whether things like this are private: other people do not see them."""
        return self.b is not None and await self.things.keeps_apart(self.a, self.b, thing)

    async def victim(self, *, anew: bool) -> str | None:
        """The id of an account that an administrator may change or delete; None where nobody can register."""
        if anew and self.target.register is not None and self.target.witness is not None:
            searcher = self.searcher
            try:
                session = await searcher.log_in(await searcher.expendable())
                answer = await searcher.ask_witness(session.credential, "control: who may be deleted")
            except (Missing, Unclear):
                return self._victim
            self._victim = id_of(answer.reply.json)
        return self._victim

    async def _put_down(self, person: Person) -> None:
        """Let the person make something. Where everybody may see it, nothing that stands there is a mark of theirs."""
        objects, known = self.target.objects, set(person.marks)
        identifier = await self.searcher.put_down(person)
        if objects is None or identifier is None:
            return
        thing = Thing(objects.create.path, identifier, objects.id_parameter)
        other = self.a if person is self.b else self.b
        if other is not None and await self.things.keeps_apart(person, other, thing):
            return
        seen = await self.things.public_text(thing)
        person.marks = {mark for mark in person.marks if mark in known and mark not in seen}

    def private_marks(self, person: Person) -> set[str]:
        """Texts of the person that strangers must not see, given that the witness refuses strangers."""
        if self._open_witness:
            return set()
        return {mark for mark in person.marks if len(mark) >= 8 and ("@" in mark or len(mark) == 16)}

    def holding(self, person: Person, alternative: Iterable[str]) -> tuple[Credential, ...] | None:
        """The person's credentials for each scheme of an alternative, in order of name; None if one is missing."""
        held = []
        for scheme in sorted(alternative):
            carrier = self.target.carrier_of(scheme)
            credential = person.credentials.get(carrier.kind) if carrier is not None else None
            if carrier is None or credential is None:
                return None
            held.append(credential.moved_to(carrier) if credential.carrier.scheme != scheme else credential)
        return tuple(held)

    async def living(self, person: Person) -> Person:
        """The person with live credentials: logged in again, or somebody new, if the old ones have ended."""
        alive = True
        for credential in person.credentials.values():
            answer = await self.searcher.ask_witness(credential, f"control: {person.label} is alive")
            alive = alive and (answer.reply.ok or answer.outcome is not None)
        if alive:
            return person
        self.rights.forget(person)
        try:
            await self.searcher.equip(person)
        except (Missing, Unclear):
            person = await self.searcher.meet(person.label)
        self.things.forget(person)
        await self._put_down(person)
        return person
