"""Objects of procedures: `POST /document.get` says in its body which one it means, and no path leads there."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.doors import named_reading
from auth_conformance.discovery.names import dangerous, names, plain, rank, verb_of
from auth_conformance.discovery.parents import identifiers
from auth_conformance.discovery.sampling import body_type, creation, free_text
from auth_conformance.discovery.schemas import Field, fields, type_of
from auth_conformance.oracles.pointer import put
from auth_conformance.target import Objects, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

# Creations that are tried, and other procedures that are tried on what one of them made.
_MOST = 3


@dataclass(frozen=True, slots=True)
class _Family:
    """A creation, and the procedures on one of its objects: each with `member`, the name of the id in its body."""

    create: Operation
    text: Field
    member: Field
    reads: tuple[Operation, ...]
    changes: tuple[Operation, ...]
    ends: tuple[Operation, ...]
    lists: tuple[Operation, ...]


async def named_in_bodies(scout: Scout, known: Knowledge, owner: Credential) -> list[Objects]:
    """The collections whose objects are named in bodies: A creates one, reads it, changes it, and deletes it."""
    families = sorted(_families(known), key=lambda item: not item.text.required)
    tried = [await _try(scout, known, family, owner) for family in families[:_MOST]]
    return [objects for objects in tried if objects is not None]


def naming(operation: Operation, pointer: str) -> Operation:
    """The operation as one whose body names the object at `pointer`: as a number unless the document says a text."""
    schema = operation.bodies.get(body_type(operation) or "", {})
    texts = {item.pointer for item in fields(schema) if type_of(item.schema) == "string"}
    is_text = pointer in texts or pointer.removeprefix("/") in texts
    return replace(operation, body=put(dict(operation.body or {}), pointer, "" if is_text else 0))


def told_in_bodies(known: Knowledge, objects: Objects) -> Objects:
    """The objects with operations whose bodies name them; every check finds the operations so."""
    pointer, listing = objects.id_parameter, objects.listing
    on_one: dict[str, Any] = {
        name: naming(item, pointer)
        for name, item in (("read", objects.read), ("update", objects.update), ("delete", objects.delete))
        if item is not None and "{" not in item.path
    }
    if listing is not None and listing.method == "POST":
        on_one["listing"] = replace(listing, body=listing.body or {})
    known.operations.update({item.name: item for item in on_one.values()})
    return replace(objects, **on_one)


def _families(known: Knowledge) -> list[_Family]:
    procedures = [
        item
        for item in known.by_method("POST")
        if "{" not in item.path
        and (body_type(item) or "").endswith("json")
        and not left_out(known, item.path)
        and (_ends(item) or not dangerous(item))
    ]
    found = []
    for create in procedures:
        text = free_text(create.bodies[body_type(create) or ""])
        beside = [item for item in procedures if item is not create and akin(create.path, item.path)]
        if (
            text is None
            or named_reading(create)
            or _ends(create)
            or _members(create, required=True) & _ids(beside)
        ):
            continue
        lists = tuple(item for item in beside if named_reading(item) and not _members(item, required=True))
        for name in sorted(_ids(beside)):
            members = {item.name: _member(item, name) for item in beside}
            on_one = [item for item in beside if members[item.name] is not None]
            alone = [item for item in on_one if len(_members(item, required=True)) == 1]
            reads = tuple(item for item in alone if named_reading(item))
            changes = tuple(item for item in on_one if len(_members(item)) > 1 and not named_reading(item))
            if reads and (member := members[reads[0].name]) is not None:
                ends = tuple(item for item in alone if _ends(item))
                found.append(_Family(create, text, member, reads, changes, ends, lists))
    return found


def _ends(operation: Operation) -> bool:
    """Whether a procedure is named as one that deletes."""
    return rank(verb_of(operation), names("objects", "deleting")) is not None


def names_one(name: str) -> bool:
    """Whether a member or parameter is called like the identifier of one thing."""
    return rank(name, names("objects", "identifier")) is not None or plain(name).endswith(("_id", "_uuid"))


def akin(first: str, second: str) -> bool:
    """Whether two paths are of one family: they share words, and each has at most one that the other has not."""
    left, right = (
        Counter(
            word.removesuffix("s")
            for part in path.rpartition("#")[2].split("/")
            for word in plain(part).split("_")
        )
        for path in (first, second)
    )
    return bool(left & right) and (left - right).total() <= 1 and (right - left).total() <= 1


def _members(operation: Operation, *, required: bool = False) -> set[str]:
    schema = operation.bodies[body_type(operation) or ""]
    return {item.name for item in fields(schema) if item.required or not required}


def _member(operation: Operation, name: str) -> Field | None:
    schema = operation.bodies[body_type(operation) or ""]
    return next((item for item in fields(schema) if item.required and item.name == name), None)


def _ids(operations: Iterable[Operation]) -> set[str]:
    """The members that name one thing: required at a procedure that is told nothing else."""
    found = set()
    for operation in operations:
        demanded = _members(operation, required=True)
        for name in demanded if len(demanded) == 1 else ():
            if names_one(name):
                found.add(name)
    return found


async def _try(scout: Scout, known: Knowledge, family: _Family, owner: Credential) -> Objects | None:
    canary = "cn" + secrets.token_hex(5)
    create, text, pointer = family.create, family.text.pointer, "/" + family.member.pointer.removeprefix("/")
    request, template = creation(create, scout.rng, text, canary, {})
    made = (await scout.ask(request, f"create an object: {create.name}", credential=owner)).reply
    if not made.ok:
        return None
    for place, identifier in identifiers(made, family.member.name):
        values = {pointer: identifier}
        for read in (naming(item, pointer) for item in family.reads[:_MOST]):
            shown = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
            if not shown.ok or canary not in shown.text:
                continue
            listing = await _listing(scout, family, owner, canary)
            update = await _change(scout, family, owner, read, values)
            delete = await _deletion(scout, family, owner, read, values)
            objects = Objects(create, read, template, text, place, pointer, listing, update, delete)
            return told_in_bodies(known, objects)
    return None


async def _listing(scout: Scout, family: _Family, owner: Credential, canary: str) -> Operation | None:
    """The procedure that lists what A made, when it is told nothing."""
    for item in (replace(item, body=item.body or {}) for item in family.lists[:_MOST]):
        sent = await scout.ask(item.request(), f"list it: {item.name}", credential=owner)
        if sent.reply.ok and canary in sent.reply.text:
            return item
    return None


async def _change(
    scout: Scout, family: _Family, owner: Credential, read: Operation, values: dict[str, str]
) -> Operation | None:
    """The procedure after which A reads another text."""
    pointer = next(iter(values))
    for item in (naming(item, pointer) for item in family.changes[:_MOST]):
        schema = item.bodies[body_type(item) or ""]
        text = free_text(schema)
        if text is None:
            continue
        canary = "cn" + secrets.token_hex(5)
        request, _ = creation(item, scout.rng, text.pointer, canary, values)
        changed = (await scout.ask(request, f"change it: {item.name}", credential=owner)).reply
        shown = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
        if changed.ok and canary in shown.text:
            return item
    return None


async def _deletion(
    scout: Scout, family: _Family, owner: Credential, read: Operation, values: dict[str, str]
) -> Operation | None:
    """The procedure after which A reads nothing any more."""
    for item in (naming(item, next(iter(values))) for item in family.ends[:_MOST]):
        gone = await scout.call(item, f"delete it: {item.name}", credential=owner, path_values=values)
        shown = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
        if gone.ok and not shown.ok:
            return item
    return None
