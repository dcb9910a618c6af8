"""Objects named in queries: `GET /vehicle?id=…` says which one it means, and no path leads there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.names import dangerous
from auth_conformance.discovery.parents import identifiers
from auth_conformance.discovery.procedures import akin, names_one
from auth_conformance.discovery.sampling import body_type, creation, free_text
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.target import Objects, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

# Collections that are tried.
_MOST = 3


@dataclass(frozen=True, slots=True)
class _Family:
    """A creation, and what reads one of its objects by the parameter of a query."""

    create: Operation
    text: Field
    read: Operation
    parameter: str


async def named_in_queries(scout: Scout, known: Knowledge, owner: Credential) -> list[Objects]:
    """The collections whose objects are named in queries: A creates one, reads it, and deletes it."""
    families = sorted(_families(known), key=lambda item: not item.text.required)
    tried = [await _try(scout, known, family, owner) for family in families[:_MOST]]
    return [objects for objects in tried if objects is not None]


def told_in_queries(known: Knowledge, objects: Objects) -> Objects:
    """The objects with operations whose queries name them; every check finds the operations so."""
    name = objects.id_parameter.removeprefix("?")
    on_one: dict[str, Any] = {
        part: replace(item, asks=(name,))
        for part, item in (("read", objects.read), ("update", objects.update), ("delete", objects.delete))
        if item is not None and "{" not in item.path
    }
    known.operations.update({item.name: item for item in on_one.values()})
    return replace(objects, **on_one)


def _families(known: Knowledge) -> Iterator[_Family]:
    for read in known.by_method("GET"):
        name = asked(read)
        if name is None or left_out(known, read.path) or dangerous(read):
            continue
        for create in known.by_method("POST"):
            media = body_type(create)
            if "{" in create.path or media is None or left_out(known, create.path):
                continue
            members = [item.name for item in fields(create.bodies[media]) if item.required]
            text = free_text(create.bodies[media])
            if text is not None and name not in members and akin(create.path, read.path):
                yield _Family(create, text, read, name)


def asked(operation: Operation) -> str | None:
    """The parameter of the query that names one object: an identifier, and the only one that must be there."""
    needed = [item.name for item in operation.parameters if item.place == "query" and item.required]
    if "{" in operation.path or len(needed) != 1:
        return None
    return needed[0] if names_one(needed[0]) else None


def asking(operation: Operation) -> tuple[Operation, str] | None:
    """The operation as one whose query names an object, and how the value for that is called."""
    name = asked(operation)
    return (replace(operation, asks=(name,)), f"?{name}") if name is not None else None


def _on_one(known: Knowledge, family: _Family, *methods: str) -> Operation | None:
    """The operation of one of these methods that takes the same parameter at the same path, or at a kindred one."""
    found = [
        item
        for method in methods
        for item in known.by_method(method)
        if asked(item) == family.parameter and akin(item.path, family.read.path)
    ]
    return min(found, key=lambda item: item.path != family.read.path, default=None)


async def _try(scout: Scout, known: Knowledge, family: _Family, owner: Credential) -> Objects | None:
    canary = "cn" + secrets.token_hex(5)
    request, template = creation(family.create, scout.rng, family.text.pointer, canary, {})
    made = (await scout.ask(request, f"create an object: {family.create.name}", credential=owner)).reply
    read = replace(family.read, asks=(family.parameter,))
    for place, identifier in identifiers(made, family.parameter) if made.ok else ():
        values = {f"?{family.parameter}": identifier}
        shown = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
        if not shown.ok or canary not in shown.text:
            continue
        delete = _on_one(known, family, "DELETE")
        if delete is not None:
            away = replace(delete, asks=(family.parameter,))
            gone = await scout.call(away, f"delete it: {away.name}", credential=owner, path_values=values)
            delete = delete if gone.ok else None
        objects = Objects(
            family.create,
            read,
            template,
            family.text.pointer,
            place,
            f"?{family.parameter}",
            known.operations.get(f"GET {family.create.path}"),
            _on_one(known, family, "PATCH", "PUT"),
            delete,
        )
        return told_in_queries(known, objects)
    return None
