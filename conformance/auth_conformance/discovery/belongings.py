"""Objects that belong to people: one is created, read back, and deleted again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import avoided, mentions, names, rank
from auth_conformance.discovery.sampling import body_type, sample, with_body
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import put, resolve, strings
from auth_conformance.target import Objects, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import HttpRequest, RawReply

_MOST = 4
_FREE = 12


@dataclass(frozen=True, slots=True)
class Collection:
    """A creation with the operations on one of its objects."""

    create: Operation
    read: Operation
    parameter: str
    text: Field
    score: int


async def find_objects(scout: Scout, known: Knowledge) -> None:
    """Fill in `objects`: A creates one with a canary in it, reads the canary back, and deletes it."""
    owner = known.credential("a")
    if owner is None or known.objects is not None:
        return
    for item in sorted(_collections(known), key=lambda found: -found.score)[:_MOST]:
        objects = await _try(scout, known, item, owner)
        if objects is not None:
            known.objects = objects
            known.say(
                "objects",
                f"{item.create.name}, {item.read.name} (text in {item.text.pointer}, "
                f"id at {objects.identifier})",
                Provenance.OBSERVED,
                "what A created was read back" + (" and deleted again" if objects.delete else ""),
            )
            return


def _collections(known: Knowledge) -> Iterator[Collection]:
    for create in known.by_method("POST"):
        if "{" in create.path or avoided(create, "objects") or body_type(create) is None:
            continue
        read = _one_of(known, create, "GET")
        text = _text(create)
        if read is None or text is None:
            continue
        score = 4 * create.protected + 2 * (_one_of(known, create, "DELETE") is not None)
        score += 2 * (rank(text.name, names("objects", "text")) is not None) + text.required
        required = [item for item in fields(create.bodies[body_type(create) or ""]) if item.required]
        yield Collection(create, read, read.path.split("{")[1].split("}")[0], text, score - len(required))


def _one_of(known: Knowledge, create: Operation, method: str) -> Operation | None:
    """The operation of that method on one object of the collection."""
    prefix = create.path.rstrip("/") + "/{"
    for operation in known.by_method(method):
        path = operation.path.rstrip("/")
        if path.startswith(prefix) and path.endswith("}") and path.count("{") == 1:
            return operation
    return None


def _text(create: Operation) -> Field | None:
    """The member that takes free text."""
    found = [
        item
        for item in fields(create.bodies[body_type(create) or ""])
        if item.schema.get("type") == "string"
        and not any(key in item.schema for key in ("enum", "const", "format", "pattern"))
        and int(item.schema.get("maxLength", 999)) >= _FREE
        and not mentions(
            item.name, ("url", "uri", "image", "color", "password", "token", "id", "email", "phone", "date")
        )
    ]
    wanted = names("objects", "text")
    ranked = sorted(
        found,
        key=lambda item: (not item.required, 99 if (place := rank(item.name, wanted)) is None else place),
    )
    return ranked[0] if ranked else None


def creation_requests(scout: Scout, known: Knowledge) -> list[HttpRequest]:
    """The requests that would create an object, in each collection that looks like one, likeliest first."""
    found = sorted(_collections(known), key=lambda item: -item.score)
    return [_creation(scout, item, "cn" + secrets.token_hex(5))[0] for item in found[:_MOST]]


def _creation(scout: Scout, item: Collection, canary: str) -> tuple[HttpRequest, dict[str, Any]]:
    media = body_type(item.create) or "application/json"
    made = sample(item.create.bodies[media], scout.rng)
    template: dict[str, Any] = made if isinstance(made, dict) else {}
    return with_body(item.create.request(), media, put(template, item.text.pointer, canary)), template


async def _try(scout: Scout, known: Knowledge, item: Collection, owner: Credential) -> Objects | None:
    canary = "cn" + secrets.token_hex(5)
    request, template = _creation(scout, item, canary)
    created = (await scout.ask(request, f"create an object: {item.create.name}", credential=owner)).reply
    if not created.ok:
        return None
    for pointer, value in _identifiers(created, item.parameter):
        read = await scout.call(
            item.read, f"read it: {item.read.name}", credential=owner, path_values={item.parameter: value}
        )
        if not read.ok or canary not in read.text:
            continue
        delete = _one_of(known, item.create, "DELETE")
        if delete is not None:
            values = {delete.path.split("{")[1].split("}")[0]: value}
            gone = await scout.call(delete, f"delete it: {delete.name}", credential=owner, path_values=values)
            delete = delete if gone.ok else None
        return Objects(
            item.create,
            item.read,
            template,
            item.text.pointer,
            pointer,
            item.parameter,
            known.operations.get(f"GET {item.create.path}"),
            _one_of(known, item.create, "PATCH")
            or _one_of(known, item.create, "PUT")
            or _one_of(known, item.create, "POST"),
            delete,
            Provenance.OBSERVED,
        )
    return None


def _identifiers(created: RawReply, parameter: str) -> list[tuple[str, str]]:
    """Where the reply may name the new object, likeliest first, with what stands there."""
    wanted = (parameter, *names("objects", "identifier"))
    found = []
    for pointer in strings(created.json):
        name = pointer.rsplit("/", 1)[-1]
        place = rank(name, wanted)
        if place is None and name.lower().endswith("id"):
            place = len(wanted)
        if place is not None:
            found.append((pointer.count("/"), place, pointer))
    if not found and isinstance(created.json, (str, int)):
        found.append((0, 0, ""))
    return [(pointer, str(resolve(created.json, pointer))) for _, _, pointer in sorted(found)][:3]
