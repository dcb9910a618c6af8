"""What people are handed to pass on: the code of a share link or of a new device, which another operation takes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role
from auth_conformance.oracles.entropy import Sample
from auth_conformance.oracles.identifiers import another_id
from auth_conformance.oracles.pointer import strings
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.hanging import granted_by
from auth_conformance.probe.owning import Owning
from auth_conformance.probe.unguessable import sample_of
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Objects, Operation, Target
    from auth_conformance.transports.message import HttpRequest

# Members that name a thing and open nothing.
_NAMES = ("id", "uuid", "guid", "slug", "number", "name", "email", "username", "handle", "key", "status")


@dataclass(frozen=True, slots=True)
class Handed:
    """An operation that hands out a value, and the one that takes it from anybody, as its only input."""

    maker: Operation
    taker: Operation
    member: str
    objects: Objects | None = None

    @property
    def redeems(self) -> bool:
        """Whether taking it does something, as a login does; a link is only looked at."""
        return self.taker.method != "GET"

    def taking(self, value: str) -> HttpRequest:
        """The request that presents a value, with nothing else."""
        asked = [part.name for part in self.taker.parameters if part.place == "query"]
        named = any(self.member in (schema.get("properties") or {}) for schema in self.taker.bodies.values())
        asks = (self.member,) if self.member in asked else ()
        taker = replace(self.taker, asks=asks, body={self.member: ""} if named else None)
        return taker.request({self.member: value, f"?{self.member}": value, f"/{self.member}": value})


def handed_out(target: Target) -> Iterator[Handed]:
    """The pairs that a document shows: an answer of the one has a member named as the only input of the other."""
    flows = target.flows()
    makers = [
        (maker, json.dumps(granted_by(maker), default=str))
        for maker in target.operations
        if maker.method == "POST" and maker.name not in flows and maker.protected
    ]
    for taker in target.operations:
        member = None if taker.protected or taker.name in flows else _only_input(taker)
        if member is None or member.lower().replace("_", "").endswith(_NAMES):
            continue
        for maker, told in makers:
            found = _objects_of(target, maker)
            if f'"{member}"' in told and (found is not None or "{" not in maker.path):
                yield Handed(maker, taker, member, found)


def _only_input(operation: Operation) -> str | None:
    """The name of all that an operation has to be told, where that is one text: in its path, its query or its body."""
    if operation.body is not None:
        return None  # what has a body of its own, as GraphQL has, says more there
    found = [part.split("}")[0] for part in operation.path.split("{")[1:]]
    found += [item.name for item in operation.parameters if item.place == "query" and item.required]
    for schema in operation.bodies.values():
        found += [str(name) for name in schema.get("required") or ()]
    return found[0] if len(set(found)) == 1 else None


def _objects_of(target: Target, maker: Operation) -> Objects | None:
    """The collection below one of whose objects something is handed out."""
    for objects in (target.objects, *target.further):
        if objects is not None and maker.path.startswith(f"{objects.read.path.rstrip('/')}/"):
            return objects if maker.path.count("{") == objects.read.path.count("{") else None
    return None


class Handing(Owning):
    """Has values handed out to A, and presents them as somebody who has nothing else."""

    async def handed_values(self, item: Handed, count: int) -> tuple[list[Sample], list[Exchange]]:
        """So many values, and the exchanges that show one open what one of its make does not. Raises Unclear."""
        samples: list[Sample] = []
        proof: list[Exchange] = []
        async with self.handing(item) as hand_out:
            for number in range(count):
                answer, value = await hand_out()
                samples.append(sample_of(self, value, self.account()))
                if not number:
                    proof = [answer.exchange, *await self.opened_by_it(item, value)]
        return samples, proof

    @contextlib.asynccontextmanager
    async def handing(self, item: Handed) -> AsyncIterator[Callable[[], Awaitable[tuple[Answer, str]]]]:
        """Within it: what hands out a value to A, below an object of A's own where it stands below one."""
        owner = await self.credential()
        looking = self.looking_at(item.objects) if item.objects is not None else contextlib.nullcontext()
        with looking:
            mine = [await self._put_down("a", [])] if item.objects is not None else []
            values = self.at(mine[0].identifier) if mine else {}
            try:
                yield lambda: self._handed_to(item, owner, values)
            finally:
                await self._take_away(mine) if mine else None

    async def _handed_to(
        self, item: Handed, owner: Credential, values: Mapping[str, str]
    ) -> tuple[Answer, str]:
        """Raises Unclear."""
        request = item.maker.request(values)
        if self.scene.sampler is not None:
            request = self.scene.sampler(item.maker, self.rng, path_values=values)
        request = request.with_headers(*owner.headers).with_query(*owner.query)
        label = f"{item.maker.name} hands out a {item.member} to a"
        answer = await self.send(request, label=label, role=Role.SETUP, operation=item.maker.name)
        found = strings(answer.reply.json) if answer.reply.ok else {}
        value = next((str(text) for at, text in found.items() if at.endswith(f"/{item.member}")), "")
        if not value:
            raise Unclear(f"{item.maker.name} handed out no {item.member} ({answer.why or answer.status}).")
        # Whoever has it is let in: where it stands in a path, nothing else would tell that it is a secret.
        self.scene.recorder.redactor.learn(Secret(value))
        return answer, value

    async def present(self, item: Handed, value: str, label: str) -> Answer:
        """Present a value as somebody who has nothing else."""
        request = item.taking(value)
        return await self.send(request, label=label, role=Role.CONTROL, operation=item.taker.name)

    async def opened_by_it(self, item: Handed, value: str) -> list[Exchange]:
        """See that the value opens something, and one of its make nothing: it is what lets in. Raises Unclear."""
        wrong = await self.present(
            item, another_id(value, self.rng), "control: a value that nobody was handed"
        )
        right = await self.present(item, value, f"control: who has the {item.member} and nothing else")
        if wrong.judgement is not None or not right.reply.ok or wrong.reply.ok:
            raise Unclear(f"{item.taker.name} does not tell what was handed out from what was not.")
        return [wrong.exchange, right.exchange]
