"""Roles within what people share: who is let into an object of A's to look at it must not make more of that.

Nobody has to name an administrator for it: A is the one who may do everything there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Expectation, Role, Severity, Violation
from auth_conformance.oracles.pointer import strings
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.owning import Belonging, Owning
from auth_conformance.probe.unguessable import sample_of
from auth_conformance.target.operations import HOLE

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entropy import Sample
    from auth_conformance.target import Objects, Operation, Target

# Roles that say of themselves that they only look: any other might be meant to do more.
_LOOKING = re.compile(
    r"^(?:view(?:er)?s?|read(?:er|s|_?only)?|guests?|observers?|lectura|lectora?|leitura|leitor|lecteur|lecture|leser"
    r"|lesen|gast|lettore|lettura|lezer|mirar|watcher)$",
    re.IGNORECASE,
)
# Members that name a person: by address, by name, by number.
_PERSON = re.compile(
    r"mail|courriel|correo|user|usuari|benutzer|utilisateur|person|member|login|handle", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Membership:
    """How others are let into an object, in a role that only looks, and what changes the role of one of them."""

    objects: Objects
    invite: Operation
    role: str
    looks: str
    person: str
    change: Operation | None
    member: str

    @property
    def given(self) -> list[str]:
        """The other roles in which people are let in."""
        return [item for item in _roles(self.invite).get(self.role, ()) if item != self.looks]

    @property
    def higher(self) -> list[str]:
        """The other roles that a change gives, the last first: services list them from the lowest or the highest."""
        given = _roles(self.change).get(self.member, ()) if self.change is not None else ()
        return [item for item in given if item != self.looks]

    def placed(self, operation: Operation, values: Mapping[str, str]) -> dict[str, str]:
        """The path values of an operation below the object: it may call its place otherwise than reading does."""
        return placed(operation, self.objects, values)


def placed(operation: Operation, objects: Objects, values: Mapping[str, str]) -> dict[str, str]:
    """The path values of an operation below an object, which may call its place otherwise than reading does."""
    theirs, ours = HOLE.split(operation.path)[1::2], HOLE.split(objects.read.path)[1::2]
    return {**values, **{other: values[mine] for other, mine in zip(theirs, ours, strict=False)}}


def below(path: str, above: str) -> str | None:
    """What follows in `path` where it lies below `above`, whatever both call what stands between; None elsewhere."""
    start = HOLE.sub("{}", above.rstrip("/")) + "/"
    bare = HOLE.sub("{}", path)
    return bare[len(start) :] if bare.startswith(start) else None


def memberships(target: Target) -> Iterator[Membership]:
    """What a document shows of roles below objects: who may be let in as what, and who is made something else."""
    for objects in (target.objects, *target.further):
        if objects is None or "{" not in objects.read.path:
            continue
        under = [(item, below(item.path, objects.read.path)) for item in target.operations]
        changes = [
            (item, member)
            for item, rest in under
            if item.method in ("PUT", "PATCH") and rest is not None and rest.count("{") == 1
            for member in _roles(item)
        ]
        for invite, rest in under:
            if invite.method != "POST" or rest is None or "{" in rest:
                continue
            person = next((name for name in _members(invite) if _PERSON.search(name)), None)
            for role, values in _roles(invite).items():
                looks = next((item for item in values if _LOOKING.match(item)), None)
                if person is not None and looks is not None:
                    change, member = next(iter(changes), (None, ""))
                    yield Membership(objects, invite, role, looks, person, change, member)


def is_address(member: str) -> bool:
    """Whether a member of this name takes the address of a person."""
    return re.search("mail|courriel|correo", member, re.IGNORECASE) is not None


def _members(operation: Operation) -> Mapping[str, Any]:
    schema = next((item for media, item in operation.bodies.items() if media.endswith("json")), {})
    return schema.get("properties") or {}


def _roles(operation: Operation) -> dict[str, list[str]]:
    """The members of a body that take one of a few words."""
    found = {}
    for name, schema in _members(operation).items():
        values = schema.get("enum") if isinstance(schema, Mapping) else None
        if isinstance(values, list) and len(values) > 1 and all(isinstance(item, str) for item in values):
            found[name] = values
    return found


class Memberships(Owning):
    """Lets B into an object of A's as somebody who only looks, and has B try to become more."""

    async def raised_by_oneself(self) -> list[Violation]:
        """B, whom A let in to look, gives B another role, twice. Raises nothing: what is unclear is no finding."""
        found = []
        for item in list(memberships(self.target))[:2]:
            if item.change is None:
                continue
            with contextlib.suppress(Missing, Unclear), self.looking_at(item.objects):
                name = item.change.name
                proofs = [
                    *await self._raised(item, item.change, ""),
                    *await self._raised(item, item.change, "again: "),
                ]
                message = (
                    f"{name} let another user, whom the owner had let in as {item.looks}, become "
                    f"{item.higher[-1]}: nobody looked at the role of who asks."
                )
                expected = Expectation("refused", about=proofs[2].number)
                found.append(Violation(name, message, Severity.CRITICAL, tuple(proofs), expected))
        return found

    async def _raised(self, item: Membership, change: Operation, turn: str) -> list[Exchange]:
        """What shows that B raised B once. Raises Unclear."""
        made: list[Belonging] = []
        try:
            mine = await self._put_down("a", made)
            invited = await self._let_in(item, mine)
            for wanted in reversed(item.higher):
                before = await self._told_to_owner(change, mine)
                attack = await self._ask_for(item, change, mine, wanted, turn)
                after = await self._told_to_owner(change, mine)
                if attack.reply.ok and _raised(before, after, item.looks, wanted):
                    return [mine.made, invited.exchange, attack.exchange, after.exchange]
        finally:
            await self._take_away(made)
        raise Unclear(f"{change.name} raised nobody.")

    async def invitation_codes(
        self, item: Membership, count: int
    ) -> tuple[list[Sample], list[Exchange], str]:
        """So many codes that invitations hand out, what shows that one lets B in, and who takes it. Raises Unclear."""
        made: list[Belonging] = []
        with self.looking_at(item.objects):
            try:
                mine = await self._put_down("a", made)
                invited = [await self._invite(item, mine) for _ in range(count)]
                taker, member = await self._accept(invited[0], mine)
                codes = [told_by(answer).get(member, "") for answer in invited]
            finally:
                await self._take_away(made)
        samples = [sample_of(self, code, self.account()) for code in codes if code]
        return samples, [invited[0].exchange], taker.name

    async def _invite(self, item: Membership, mine: Belonging, guest: str = "") -> Answer:
        """Let A invite B, or the `guest`. Raises Unclear."""
        named = guest or await self._called(item.person)
        body: dict[str, Any] = {item.role: item.looks, item.person: named}
        values = item.placed(item.invite, self.at(mine.identifier))
        invited = await self.call(
            item.invite,
            mine.owner,
            label=f"a lets {'somebody else' if guest else 'b'} in as {item.looks}",
            values=values,
            body=body,
        )
        if not invited.reply.ok:
            raise Unclear(f"{item.invite.name} let nobody in ({invited.why or invited.status}).")
        return invited

    async def _let_in(self, item: Membership, mine: Belonging) -> Answer:
        """A lets B in, and B comes. Raises Missing or Unclear unless B then reads what B was refused before."""
        await self._must_be_shut(mine)
        invited = await self._invite(item, mine)
        if not (await self._looks_at(mine, "b looks once b is let in")).reply.ok:
            await self._accept(invited, mine)
        return invited

    async def _must_be_shut(self, mine: Belonging) -> None:
        """B, whom nobody has let in, is refused. Raises Missing."""
        if (await self._looks_at(mine, "b looks before somebody is let in")).reply.ok:
            raise Missing(f"Not tested: {self._own_objects().read.name} is open to b anyhow.")

    async def _accept(
        self, invited: Answer, mine: Belonging, who: Credential | None = None
    ) -> tuple[Operation, str]:
        """Let B hand back what an invitation holds to whatever takes a member of that name alone, and say which did.

        Raises Unclear where B gets in nowhere.
        """
        # Whom it names was said by A: a reset of passwords takes an address alone, and nobody asked for one.
        sent = (invited.request.body or b"").decode("utf-8", "replace")
        told = {
            name: value for name, value in told_by(invited).items() if value not in sent and "@" not in value
        }
        for operation in self.target.operations:
            schema = next((item for media, item in operation.bodies.items() if media.endswith("json")), {})
            needed = [str(name) for name in schema.get("required") or ()]
            alone = operation.method == "POST" and "{" not in operation.path and len(needed) == 1
            if alone and operation.body is None and needed[0] in told:
                await self._take(operation, needed[0], told[needed[0]], who=who)
                if (await self._looks_at(mine, "who has accepted looks", who)).reply.ok:
                    return operation, needed[0]
        raise Unclear(f"What {invited.exchange.operation} answers let b in nowhere.")

    async def _take(
        self,
        operation: Operation,
        member: str,
        code: str,
        role: Role = Role.SETUP,
        who: Credential | None = None,
    ) -> Answer:
        live = who or await self.credential(owner="b")
        return await self.call(
            operation, live, label=f"{live.owner} accepts at {operation.name}", role=role, body={member: code}
        )

    async def _called(self, member: str) -> str:
        """B as a member of that name calls people: by address, by number, or by name."""
        account = self.account("b")
        if "@" in account.address and is_address(member):
            return account.address
        return await self._number_of_b() if member.lower().endswith("id") else account.username

    async def _guest(self, member: str) -> str:
        """Somebody who is not in it, as a member of that name calls people; a word that nobody has is one as well."""
        guest = await self.disposable("another user")
        if guest is None:
            return f"{self.word(14)}@example.com" if is_address(member) else self.word(14)
        return guest.address if is_address(member) and "@" in guest.address else guest.username

    async def _number_of_b(self) -> str:
        return await self._number_of(await self.credential(owner="b"), self.account("b").username)

    async def _number_of(self, live: Credential, name: str) -> str:
        """What paths call somebody: their id as they are told it, else the name."""
        told = await self.call(self.witness.operation, live, label=f"who is {live.owner}?")
        plain = flattened(told.reply.json)
        found = (
            value for pointer, value in plain.items() if pointer.rpartition("/")[2].lower() in ("id", "uuid")
        )
        return str(next(found, name))

    async def _looks_at(self, mine: Belonging, label: str, who: Credential | None = None) -> Answer:
        live = who or await self.credential(owner="b")
        return await self.call(self._own_objects().read, live, label=label, values=self.at(mine.identifier))

    async def _ask_for(
        self, item: Membership, change: Operation, mine: Belonging, wanted: str, turn: str
    ) -> Answer:
        values = item.placed(change, self.at(mine.identifier))
        return await self.call(
            change,
            await self.credential(owner="b"),
            label=f"{turn}b makes b {wanted}",
            role=Role.ATTACK,
            values={**values, last_of(change): await self._number_of_b()},
            body={item.member: wanted},
            fresh=bool(turn),
        )

    async def _told_to_owner(self, change: Operation, mine: Belonging) -> Answer:
        """Who is in it as what, as A reads it: where the members are listed, else in what B changed itself."""
        listing = self.target.operation(f"GET {change.path.rpartition('/{')[0]}")
        if listing is None:
            raise Unclear(f"Nothing lists who is in {self._own_objects().read.name}.")
        label = "control: who is in it, as its owner reads it"
        answer = await self.call(
            listing,
            mine.owner,
            label=label,
            role=Role.CONTROL,
            values=placed(listing, self._own_objects(), self.at(mine.identifier)),
        )
        if not answer.reply.ok:
            raise Unclear(f"{listing.name} did not list for the owner ({answer.why or answer.status}).")
        return answer


def last_of(operation: Operation) -> str:
    """The last parameter of a path."""
    return operation.path.rpartition("{")[2].partition("}")[0]


def told_by(answer: Answer) -> dict[str, str]:
    """The texts of a reply by the names of their members."""
    return {pointer.rpartition("/")[2]: str(value) for pointer, value in strings(answer.reply.json).items()}


def _raised(before: Answer, after: Answer, looks: str, wanted: str) -> bool:
    """Whether one who only looked is now something else, and all others are what they were."""
    first, second = (
        [str(value) for value in flattened(item.reply.json).values()] for item in (before, after)
    )
    return second.count(wanted) == first.count(wanted) + 1 and second.count(looks) == first.count(looks) - 1
