"""What people put below an object: a remark shows in the object only, and has changes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Role, Violation
from auth_conformance.oracles.pointer import put
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.isolation import Isolation
from auth_conformance.probe.owning import Belonging, shown_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Objects, Operation, Target

MOST_REMARKS = 3
_CHANGES = ("PUT", "PATCH", "DELETE")
_IDENTIFIERS = ("id", "uuid", "_id", "pk")


@dataclass(frozen=True, slots=True)
class Remark:
    """How something is put below an object, and how it is changed or taken away by its own id."""

    create: Operation
    change: Operation

    @property
    def parameter(self) -> str:
        """The last parameter of the path of the change, which takes the id."""
        return self.change.path.rstrip("/").rpartition("/")[2].strip("{}").partition(":")[0]


def remarks(target: Target, objects: Objects) -> Iterator[Remark]:
    """`POST /posts/{id}/remarks` with `PUT /remarks/{id}` or `DELETE /posts/{id}/remarks/{remark}`.

    What is a collection of its own is looked at as one.
    """
    start = objects.read.path.rstrip("/") + "/"
    known = {item.create.name for item in target.further}
    for create in target.operations:
        kind = create.path.rstrip("/").removeprefix(start)
        below = create.method == "POST" and create.path.startswith(start) and not {"{", "/"} & set(kind)
        if not below or create.name in known:
            continue
        for change in target.operations:
            above, _, last = change.path.rstrip("/").rpartition("/")
            if change.method in _CHANGES and last.startswith("{") and above.rpartition("/")[2] == kind:
                yield Remark(create, change)


def properties_of(operation: Operation) -> Mapping[str, Any]:
    """The members of the JSON body of an operation, with their schemas."""
    schema = next((schema for media, schema in operation.bodies.items() if media.endswith("json")), {})
    return schema.get("properties") or {}


def text_of(properties: Mapping[str, Any], known: str) -> str:
    """The member that takes the text: a `known` one, or a text of its own where that is no member here."""
    if known.lstrip("/").partition("/")[0] in (properties or {known: {}}):
        return known
    for name, schema in properties.items():
        shapes = [schema, *(schema.get("anyOf") or ())] if isinstance(schema, dict) else []
        if any(
            item.get("type") == "string" and not item.keys() & {"format", "enum", "const"} for item in shapes
        ):
            return name
    return known


class Remarks(Isolation):
    """Changes what somebody else has put below an object of theirs, and lets them look."""

    async def _remark_changed(self, remark: Remark, made: list[Belonging]) -> Violation | str | None:
        """B changes A's remark by its id, and A does not read what A wrote any more: twice. What A does works.

        A sentence where that could not be decided.
        """
        proofs: list[Exchange] = []
        name = remark.change.name
        for turn, who in (("control: ", "a"), ("", "b"), ("again: ", "b")):
            mine = await self._put_down("a", made)
            identifier, canary, view = await self._remark_of_a(remark, mine)
            if view is None:
                self.notes.append(f"not judged: {name}: what {remark.create.name} made was shown nowhere")
                return None
            done = await self.call(
                remark.change,
                await self.credential(owner=who),
                label=f"{turn}{who} calls {name} for a remark of a",
                role=Role.CONTROL if who == "a" else Role.ATTACK,
                values={**self.at(mine.identifier), remark.parameter: identifier},
                body=self._remark_body(remark.change, self.canary()),
            )
            after = await self._looks_at_remarks(view, mine, "control: the owner reads it again")
            left = shown_in(canary, after) is not None
            if who == "a" and (left or not done.reply.ok or not after.reply.ok):
                self.notes.append(
                    f"not judged: {name} did nothing for who wrote it ({done.why or done.status})"
                )
                return None
            if done.judgement is not None or not after.reply.ok:
                unclear = done if done.judgement is not None else after
                return (
                    f"{unclear.exchange.operation}: {unclear.exchange.label}: {unclear.why or unclear.status}"
                )
            if who == "b" and left:
                return f"{name} changed what another user had put below an object, once" if turn else None
            proofs += [mine.made, done.exchange, after.exchange]
        message = f"{name} worked on what another user had put below an object: its owner reads it no more."
        return Violation(name, message, None, tuple(proofs))

    async def _remark_of_a(self, remark: Remark, mine: Belonging) -> tuple[str, str, Operation | None]:
        """A's remark on A's object: its id, its text, and what shows it; None where nothing does."""
        canary = self.canary()
        answer = await self.call(
            remark.create,
            mine.owner,
            label=f"a calls {remark.create.name}",
            values=self.at(mine.identifier),
            body=self._remark_body(remark.create, canary),
        )
        found = _identifier(answer, mine) if answer.reply.ok else ""
        beside = [item for item in self.target.operations if item.name == f"GET {remark.create.path}"]
        for view in (self._own_objects().read, *beside) if found else ():
            if (
                shown_in(canary, await self._looks_at_remarks(view, mine, "control: the owner reads it"))
                is not None
            ):
                return found, canary, view
        return found, canary, None

    async def _looks_at_remarks(self, view: Operation, mine: Belonging, label: str) -> Answer:
        return await self.call(
            view, mine.owner, label=label, role=Role.CONTROL, values=self.at(mine.identifier)
        )

    def _remark_body(self, operation: Operation, text: str) -> dict[str, Any] | None:
        properties = properties_of(operation)
        if not properties:
            return None
        return put(self.scene.required_of(operation), text_of(properties, next(iter(properties))), text)


def _identifier(answer: Answer, mine: Belonging) -> str:
    """What a reply calls that which was made: the id nearest to its top, and not that of the object above."""
    found = sorted(
        (pointer.count("/"), str(value))
        for pointer, value in flattened(answer.reply.json).items()
        if pointer.rsplit("/", 1)[-1] in _IDENTIFIERS and isinstance(value, (str, int))
    )
    others = [value for _, value in found if value != mine.identifier]
    return next(iter([*others, *(value for _, value in found)]), "")
