"""What stands above an object: the tenant, the project or the person whose id comes before its own in the path."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.names import mentions, names, plain, rank
from auth_conformance.discovery.sampling import body_type, free_text, sample, with_body
from auth_conformance.discovery.schemas import fields, merged, type_of
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.target import Parent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import RawReply

# Ways up that are tried for one collection, and listings that are asked for each part of it.
_MOST = 3


@dataclass(frozen=True, slots=True)
class Above:
    """A way to what stands above a collection, and what was found there for A."""

    parents: tuple[Parent, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    # What stands above the parents themselves, where the bodies of their creations name it.
    higher: tuple[Above, ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    """A parameter to find a value for: the path before it, its name, and what stands above that.

    `inside` are the collections that are being climbed already: a folder may stand in a folder.
    """

    head: str
    name: str
    values: dict[str, str]
    inside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Way:
    """One parent of the caller's own, its value, and what it was made in."""

    parent: Parent
    value: str
    higher: Above = field(default_factory=Above)


async def ways_up(
    scout: Scout, known: Knowledge, path: str, more: Iterable[str], owner: Credential
) -> list[Above]:
    """How the parameters of `path`, and `more` of them that only name a person, get values of the caller's own."""
    found = [Above()]
    for name in parameters(path):
        head = path[: path.index("{" + name + "}")].rstrip("/")
        grown = []
        for way in found:
            spot = Spot(head, name, way.values)
            grown += [_with(way, one, name) async for one in _candidates(scout, known, owner, spot)]
        found = grown[:_MOST]
    for name in more:
        told = await _told_by_witness(scout, known, name, owner, person=True)
        found = [_with(way, _Way(parent, value), name) for way in found for parent, value in told[:2]]
    return found


async def ways_by_header(scout: Scout, known: Knowledge, create: Operation, owner: Credential) -> list[Above]:
    """How a header that says whose place is meant gets the caller's own: the tenant that the caller's page names.

    Where it may be left out that is worth a try only if another person's page names another one.
    """
    found = Above()
    for item in create.parameters:
        name = plain(item.name).removeprefix("x_")
        if item.place != "header" or rank(item.name, names("tokens", "headers")) is not None:
            continue
        told = await _told_by_witness(scout, known, name, owner, person=False)
        other = known.credential("b")
        if told and other is not None and not item.required:
            theirs = await _told_by_witness(scout, known, name, other, person=False)
            told = told if [value for _, value in theirs[:1]] not in ([], [told[0][1]]) else []
        found = _with(found, _Way(*told[0]), f"header {item.name}") if told else found
    return [found] if found.parents else []


def _with(way: Above, one: _Way, place: str) -> Above:
    """One step further: the `parameter` of the parent is where its value goes."""
    parent = replace(one.parent, parameter=place)
    return Above((*way.parents, parent), {**way.values, place: one.value}, (*way.higher, one.higher))


async def ways_in(
    scout: Scout,
    known: Knowledge,
    create: Operation,
    owner: Credential,
    inside: frozenset[str] = frozenset(),
) -> list[Above]:
    """How the members of a creation that name other objects get values of the caller's own; none without any.

    Such a member is an id that must be there, and is called like a collection of the service.
    """
    media = body_type(create)
    if media is None:
        return []
    named = [
        (item, _collection_of(known, item.name)) for item in fields(create.bodies[media]) if item.required
    ]
    inside |= {create.path.rstrip("/")}
    wanted = [(item, head) for item, head in named if head is not None and head not in inside]
    found = [Above()] if wanted else []
    for item, head in wanted[:_MOST]:
        place = item.pointer if item.pointer.startswith("/") else f"/{item.pointer}"
        grown = []
        for way in found:
            spot = Spot(head, item.name, {}, inside)
            grown += [_with(way, one, place) async for one in _candidates(scout, known, owner, spot)]
        found = grown[:_MOST]
    return found


def _collection_of(known: Knowledge, member: str) -> str | None:
    """The path of the collection that a member of a body names an object of: `project_id` of `/projects`."""
    bare = plain(member)
    stem = re.sub(r"_?(?:id|uuid|guid|slug|key)$", "", bare)
    if not stem or stem == bare:
        return None
    for create in known.by_method("POST"):
        path = create.path.rstrip("/")
        last = plain(path.rsplit("/", 1)[-1])
        if "{" not in path and last in (stem, f"{stem}s", f"{stem}es", f"{stem.removesuffix('y')}ies"):
            return path
    return None


async def take_down(scout: Scout, way: Above, owner: Credential) -> None:
    """Delete what was made on the way up, the innermost first, and then what that was made in."""
    for parent in reversed(way.parents):
        if parent.delete is not None:
            label = f"delete it: {parent.delete.name}"
            values = parent.deletion(way.values)
            await scout.call(parent.delete, label, credential=owner, path_values=values)
    for higher in reversed(way.higher):
        await take_down(scout, higher, owner)


def parameters(path: str) -> list[str]:
    """The names of a path's parameters, in order."""
    return [part.split("}")[0] for part in path.split("{")[1:]]


async def _candidates(scout: Scout, known: Knowledge, owner: Credential, spot: Spot) -> AsyncIterator[_Way]:
    """Where a value for `name` below `head` comes from, what belongs to the caller alone first."""
    head, name = spot.head, spot.name
    of_people = mentions(head.rsplit("/", 1)[-1], names("accounts"))
    if not of_people:
        made = await _made(scout, known, owner, spot)
        if made is not None:
            yield made
        for listing in _listings(known, head)[:_MOST]:
            reply = await scout.call(
                listing, f"list: {listing.name}", credential=owner, path_values=spot.values
            )
            for pointer, value in _of_first(reply, name)[:1] if reply.ok else []:
                if _fits(known, head, name, value):
                    yield _Way(Parent(name, listing, pointer), value)
    for parent, value in await _told_by_witness(scout, known, name, owner, person=of_people):
        if _fits(known, head, name, value):
            yield _Way(parent, value)


async def _made(scout: Scout, known: Knowledge, owner: Credential, spot: Spot) -> _Way | None:
    """Create one, if anybody may: then it is the caller's alone. It may have to stand in another one in turn."""
    create = _creation(known, spot.head)
    if create is None:
        return None
    for higher in await ways_in(scout, known, create, owner, spot.inside | {spot.head}):
        made = await _made_in(scout, known, owner, spot, higher)
        if made is not None:
            return made
        await take_down(scout, higher, owner)
    return await _made_in(scout, known, owner, spot, Above())


def _creation(known: Knowledge, head: str) -> Operation | None:
    """What makes one of a collection, unless its name says that this is no matter of trying."""
    create = known.operations.get(f"POST {head}") or known.operations.get(f"POST {head}/")
    return None if left_out(known, head.rsplit("/", 1)[-1]) else create


async def _made_in(
    scout: Scout, known: Knowledge, owner: Credential, spot: Spot, higher: Above
) -> _Way | None:
    head, name = spot.head, spot.name
    create = _creation(known, head)
    if create is None:
        return None
    media = body_type(create)
    made = sample(create.bodies[media], scout.rng) if media is not None else {}
    template: dict[str, Any] = made if isinstance(made, dict) else {}
    delete = _on_one(known, "DELETE", head)
    parent = Parent(name, create, "", template, _fresh(create), delete, higher.parents)
    body = parent.body(f"c{secrets.token_hex(5)}", higher.values)
    request = create.request(spot.values)
    reply = (
        await scout.ask(
            request if media is None else with_body(request, media, body),
            f"create what the object stands in: {create.name}",
            credential=owner,
        )
    ).reply
    for pointer, value in identifiers(reply, name) if reply.ok else []:
        read = _on_one(known, "GET", head)
        if not _fits(known, head, name, value):
            continue
        if read is None:
            return _Way(replace(parent, value=pointer), value, higher)
        values = {**spot.values, parameters(read.path)[-1]: value}
        seen = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
        if seen.ok:
            return _Way(replace(parent, value=pointer), value, higher)
    return None


def _on_one(known: Knowledge, method: str, head: str) -> Operation | None:
    """The operation of that method on one of what `head` lists, whatever its parameter is called."""
    return next(
        (
            item
            for item in known.by_method(method)
            if re.fullmatch(re.escape(head) + r"/\{[^/}]+\}/?", item.path)
        ),
        None,
    )


def _fresh(create: Operation) -> tuple[str, ...]:
    """The members that have to be new each time: what it is called."""
    media = body_type(create)
    if media is None:
        return ()
    text = free_text(create.bodies[media])
    unique = [
        item.pointer
        for item in fields(create.bodies[media])
        if item.required and rank(item.name, names("fields", "unique")) is not None
    ]
    return tuple(dict.fromkeys([*([text.pointer] if text is not None else []), *unique]))


def _listings(known: Knowledge, head: str) -> list[Operation]:
    """Operations that list what `head` names: the collection itself, or one's own share of it."""
    last = head.rsplit("/", 1)[-1]
    own = [known.operations.get(f"GET {head}"), known.operations.get(f"GET {head}/")]
    beside = [
        item
        for item in known.by_method("GET")
        if "{" not in item.path and item.path.rstrip("/").rsplit("/", 1)[-1] == last
    ]
    return list({item.name: item for item in (*own, *beside) if item is not None}.values())


def _of_first(reply: RawReply, name: str) -> list[tuple[str, str]]:
    """What identifies the first item of a list, likeliest first."""
    wanted = (*_spelled(name), *names("objects", "identifier"), *names("objects", "called"))
    found = []
    for pointer, value in strings(reply.json).items():
        parts = pointer.split("/")
        if "0" not in parts:
            continue
        place = 0 if parts[-1] == "0" else rank(parts[-1], wanted)
        if place is not None:
            found.append((len(parts), place, pointer, str(value)))
    return [(pointer, value) for _, _, pointer, value in sorted(found)]


async def _told_by_witness(
    scout: Scout, known: Knowledge, name: str, owner: Credential, *, person: bool
) -> list[tuple[Parent, str]]:
    """What the caller's own profile says: the tenant that it belongs to, or, for a person, who it is."""
    found: list[tuple[int, Parent, str]] = []
    for witness in (known.witness, known.second):
        if witness is None:
            continue
        reply = await scout.call(witness.operation, f"what stands above: {name}", credential=owner)
        for pointer, value in strings(reply.json).items() if reply.ok else ():
            place = _telling(pointer, name)
            if place is None and person and pointer.count("/") <= 2:
                place = rank(pointer.rsplit("/", 1)[-1], names("objects", "person"))
                # `{owner}` is a name, `{owner_id}` need not be one.
                first = pointer == witness.identity and not plain(name).endswith("id")
                place = None if place is None else 0 if first else place + 1
            if place is not None:
                found.append((place, Parent(name, witness.operation, pointer), str(value)))
    found.sort(key=lambda item: item[0])
    return [(parent, value) for _, parent, value in found][:_MOST]


def _telling(pointer: str, name: str) -> int | None:
    """How well the end of a pointer says `name`: `/organization/id` says organization_id."""
    parts = [part for part in pointer.split("/") if part and not part.isdecimal()]
    for start in range(len(parts)):
        place = rank("_".join(parts[start:]), _spelled(name))
        if place is not None:
            return place
    return None


def _spelled(name: str) -> tuple[str, ...]:
    bare = plain(name)
    stem = bare.removesuffix("_id").removesuffix("_slug").removesuffix("_uuid")
    return tuple(dict.fromkeys((bare, stem, f"{stem}_id", f"{stem}_slug", f"{stem}_uuid", f"{stem}_name")))


_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


def identifiers(created: RawReply, parameter: str) -> list[tuple[str, str]]:
    """Where the reply may name the new object, likeliest first, with what stands there."""
    wanted = (parameter, *names("objects", "identifier"), *names("objects", "called"))
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
    if not found:
        # Whatever it is called: the object that is read with it must show what was written into this one.
        values = ((pointer, str(resolve(created.json, pointer))) for pointer in strings(created.json))
        found = [
            (pointer.count("/"), 0, pointer) for pointer, value in values if _IDENTIFIER.fullmatch(value)
        ]
    return [(pointer, str(resolve(created.json, pointer))) for _, _, pointer in sorted(found)][:4]


def _fits(known: Knowledge, head: str, name: str, value: str) -> bool:
    """Whether the document lets a value stand in that place: not every id of a reply is one of paths."""
    for schema in _declared(known, f"{head}/{{{name}}}", name):
        if type_of(schema) in ("integer", "number") and not value.isdecimal():
            return False
        if schema.get("format") == "uuid":
            try:
                uuid.UUID(value)
            except ValueError:
                return False
    return bool(value) and "/" not in value


def _declared(known: Knowledge, start: str, name: str) -> Iterator[Any]:
    for operation in known.operations.values():
        if operation.path.startswith(start):
            yield from (
                merged(item.schema)
                for item in operation.parameters
                if item.place == "path" and item.name == name
            )
