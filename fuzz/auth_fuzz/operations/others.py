"""Another user at what is not theirs: reads by what shows, changes by what the owner sees afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import names, plain, words
from auth_conformance.model import Outcome, Role
from auth_fuzz import rules
from auth_fuzz.operations.ground import SAFE, Ground
from auth_fuzz.things import filled, quoted

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.model import Rule
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.things import Thing

# Words of parameters that say whose something is, besides those for accounts.
_WHOSE = {"owner", "author", "creator", "username", "email", "userid", "ownerid", "person", "member"}
# How the names of members end that take the id of something, or many.
_IDS = {"id", "ids", "uuid", "uuids", "pk", "pks"}


@dataclass(frozen=True, slots=True)
class Place:
    """A member of a request's body that takes an id, or with `listed` many."""

    request: HttpRequest
    name: str
    listed: bool


class Others(Ground):
    """Attacks by somebody who has an account, and nothing to do with the object."""

    async def _as_other(self, request: HttpRequest, good: Answer) -> None:
        owner, other, thing = self._caller, self.world.b, self._thing
        told = self.ledger.found(rules.FOREIGN_READ if self.operation.method in SAFE else rules.FOREIGN_WRITE)
        if other is None or thing is None or owner is self.world.admin or told:
            return
        credential = other.login()
        if credential is None or not await self.world.keeps_apart(thing):
            return
        for way, asked in {
            "": request,
            ", below something of theirs": await self._below_own(request),
        }.items():
            if asked is None:
                continue
            if self.operation.method in SAFE:
                await self._read_by_other(asked, credential, good, thing, way)
            else:
                await self._changed_by_other(asked, credential, way)

    async def _below_own(self, request: HttpRequest) -> HttpRequest | None:
        """The request for the owner's thing by a way that begins with the other user's own; None without one."""
        thing, other = self._thing, self.world.b
        if thing is None or other is None or not thing.above:
            return None
        values, _ = await self.world.things.lead(other, self.operation, self._rng)
        own = {name: values[name] for name in thing.above if name in values}
        return self._with(request, own) if own else None

    async def _read_by_other(
        self, request: HttpRequest, credential: Credential, good: Answer, thing: Thing, way: str
    ) -> None:
        word = self.world.things.words.get(f"{filled(thing.collection, thing.above)}/{thing.identifier}")

        def showed(answer: Answer) -> bool:
            same = answer.exchange.reply.digest == good.exchange.reply.digest
            text = answer.reply.text
            named = thing.identifier in text or (word is not None and word in text)
            return answer.reply.ok and ((same and named) or self._shows(answer, self._caller))

        answer = await self._send(request, (credential,), f"another user asks for it by its id{way}")
        if answer.outcome is not None:
            return
        if not showed(answer):
            self.ledger.tried(rules.FOREIGN_READ, answer.exchange)
            return
        again = await self._send(request, (credential,), "again: another user", fresh=True)
        if showed(again):
            message = f"{self.operation.name} shows another user what is hidden from them elsewhere{way}."
            self._broken(rules.FOREIGN_READ, message, (good, answer, again))

    async def _changed_by_other(self, request: HttpRequest, credential: Credential, way: str) -> None:
        label = f"another user's request{way}"
        evidence = await self._changes(request, credential, label, rules.FOREIGN_WRITE)
        if evidence:
            done = f"by another user{way} changed what its owner sees (answered {evidence[1].status})"
            message = f"{self.operation.name} {done}."
            self._broken(rules.FOREIGN_WRITE, message, evidence)

    async def _changes(
        self, request: HttpRequest, credential: Credential, label: str, rule: Rule
    ) -> list[Answer]:
        """What proves that the request changes what the owner sees, twice; [] when nothing does."""
        evidence: list[Answer] = []
        for prefix in ("", "again: "):
            mine = await self._fresh(request)
            before, steady = await self._owner_looks(), await self._owner_looks()
            if before is None or steady is None or not before.reply.ok or _seen(before) != _seen(steady):
                return []
            answer = await self._send(mine, (credential,), f"{prefix}{label}", fresh=bool(evidence))
            after = await self._owner_looks()
            if after is None or answer.outcome is Outcome.THROTTLED or after.outcome is not None:
                return []
            if _seen(after) == _seen(before):
                self.ledger.tried(rule, answer.exchange)
                return []
            evidence += [before, answer, after]
        return evidence

    async def _owner_looks(self) -> Answer | None:
        """What the owner sees of the thing, or of what lies below it where the request goes there."""
        thing = self._thing
        if thing is None:
            return None
        below, login = self.searcher.target.operation(f"GET {self.operation.path}"), self._caller.login()
        if below is not None and login is not None and not self.operation.path.endswith("}"):
            answer = await self.searcher.call(
                below, login, label="control: its owner looks below it", values=quoted(thing.values)
            )
            if answer.reply.ok:
                return answer
        return await self.world.things.owner_view(self._caller, thing)

    # Names of people in the query, and in the path.

    async def _in_the_name_of(self, request: HttpRequest) -> None:
        """Another user asks for what is the owner's by saying so: lists are filtered by whom the query names."""
        other, owner = self.world.b, self._caller
        credential = other.login() if other is not None else None
        known = self.ledger.found(rules.FOREIGN_READ, self.operation.name)
        if credential is None or owner is self.world.admin or self.operation.method not in SAFE or known:
            return
        for name in _names_people(self.operation):
            value = self.searcher.called(owner.facts, plain(name))
            if value is None:
                continue
            kept = tuple(pair for pair in request.query if pair[0] != name)
            named = replace(request, query=(*kept, (name, value)))
            label = f"another user names the owner in {name}"
            shown = await self._send(named, (credential,), label)
            if shown.outcome is not None or not self._shows(shown, owner):
                self.ledger.tried(rules.FOREIGN_READ, shown.exchange)
                continue
            again = await self._send(named, (credential,), f"again: {label}", fresh=True)
            if self._shows(again, owner):
                message = f"{self.operation.name} shows another user, who names its owner in {name}, what is private."
                self._broken(rules.FOREIGN_READ, message, (shown, again))
                return

    # Ids in bodies.

    async def _ids_of_others(self, request: HttpRequest) -> None:
        """Another user names the owner's thing in the body: a change of many at once asks for owners, too.

        The control is the owner's own request, which changes what the owner sees: else nothing is proved.
        """
        other, owner = self.world.b, self._caller
        credential = other.login() if other is not None else None
        if (
            self.operation.method in SAFE
            or self._asked_by_id
            or credential is None
            or owner is self.world.admin
            or self.ledger.found(rules.FOREIGN_WRITE, self.operation.name)
        ):
            return
        self._asked_by_id = True
        for name, listed in _takes_ids(self.operation):
            for thing in await self.world.things.near(owner, self.operation):
                place = Place(request, name, listed)
                control = await self._named_in_body(place, thing, owner.login(), "its owner names it")
                if not control or not await self.world.keeps_apart(thing):
                    continue
                proof: list[Answer] = []
                for label in ("another user names it", "again: another user names it"):
                    changed = await self._named_in_body(place, thing, credential, label)
                    proof += changed
                    if not changed:
                        break
                else:
                    message = (
                        f"{self.operation.name} by another user, who names it in {name}, changed what its owner sees "
                        f"(answered {proof[1].status})."
                    )
                    self._broken(rules.FOREIGN_WRITE, message, [control[1], *proof])
                return

    async def _named_in_body(
        self, place: Place, thing: Thing, credential: Credential | None, label: str
    ) -> list[Answer]:
        """Name a new thing of the owner's; what the owner saw before, the answer, and what the owner sees now."""
        things, owner = self.world.things, self._caller
        made = await things.make(owner, thing.collection, thing.above)
        body = json_of(place.request)
        if made is None or credential is None or body is None:
            return []
        new = replace(thing, identifier=made)
        before, steady = await things.owner_view(owner, new), await things.owner_view(owner, new)
        if before is None or steady is None or not before.reply.ok or _seen(before) != _seen(steady):
            return []
        value: object = int(made) if made.isdecimal() else made
        mine = place.request.with_json({**body, place.name: [value] if place.listed else value})
        role = Role.CONTROL if credential.owner == owner.label else Role.ATTACK
        answer = await self._send(mine, (credential,), label, role)
        after = await things.owner_view(owner, new)
        if after is None or answer.outcome is not None or after.outcome is not None:
            return []
        if _seen(after) == _seen(before):
            if role is Role.ATTACK:
                self.ledger.tried(rules.FOREIGN_WRITE, answer.exchange)
            return []
        return [before, answer, after]


def _names_people(operation: Operation) -> Iterator[str]:
    """The parameters of the query that say whose things are meant."""
    people = {*names("accounts"), *_WHOSE}
    for item in operation.parameters:
        if item.place == "query" and not words(item.name).isdisjoint(people):
            yield item.name


def _takes_ids(operation: Operation) -> Iterator[tuple[str, bool]]:
    """The members of a JSON body that take ids, and whether a list of them."""
    schema = next((value for media, value in operation.bodies.items() if media.endswith("json")), {})
    members = schema.get("properties")
    for name, shape in members.items() if isinstance(members, dict) else ():
        last = plain(name).rpartition("_")[2]
        if last in _IDS and isinstance(shape, dict):
            yield name, shape.get("type") == "array"


def json_of(request: HttpRequest) -> dict[str, Any] | None:
    """The JSON object that a request carries; an empty one where it carries nothing."""
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _seen(answer: Answer) -> tuple[int | None, str]:
    return answer.status, answer.exchange.reply.digest
