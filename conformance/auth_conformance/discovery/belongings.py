"""Objects that belong to people: one is created, read back, and deleted again."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.asking import allowed
from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.names import dangerous, mentions, names, rank
from auth_conformance.discovery.parents import (
    Above,
    identifiers,
    parameters,
    take_down,
    ways_by_header,
    ways_in,
    ways_up,
)
from auth_conformance.discovery.procedures import named_in_bodies
from auth_conformance.discovery.queries import named_in_queries
from auth_conformance.discovery.sampling import (
    body_type,
    build_request,
    creation,
    free_text,
    sample,
    searching,
    unguessable,
)
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.discovery.toml import Line, table
from auth_conformance.model import Need, Provenance
from auth_conformance.oracles.pointer import put, resolve, strings
from auth_conformance.target import Objects, Operation, Writing, another

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import HttpRequest, RawReply

_MOST = 4
_MOST_BELOW = 3
# Collections besides the first one.
_FURTHER = 3


@dataclass(frozen=True, slots=True)
class Collection:
    """A creation with the operations on one of its objects, and parameters that come before its id besides.

    `chosen`: what its path takes for an id that nothing has, where it creates what is not there.
    """

    create: Operation
    read: Operation
    parameter: str
    text: Field
    score: int
    more: tuple[str, ...] = ()
    chosen: str = ""


async def find_objects(scout: Scout, known: Knowledge) -> None:
    """Fill in `objects` and `further`: A creates one with a canary in it, reads the canary back, and deletes it."""
    owner = known.credential("a")
    told = known.objects is not None and known.objects.provenance is Provenance.DECLARED
    if owner is None or known.further or (known.objects is not None and not told):
        return
    if known.objects is not None and known.objects.read.provenance is Provenance.DECLARED:
        told_by_options = await _told_by_options(scout, known, known.objects, owner)
        known.objects = await _tried_out(scout, known, told_by_options, owner)
    for item in sorted(_collections(known), key=lambda found: -found.score)[:_MOST]:
        objects = await _at_the_top(scout, known, item, owner)
        if objects is not None:
            _settle(known, objects)
    below = sorted(_below(known), key=lambda found: -found.score)[:_MOST_BELOW]
    for item in (*below, *sorted(_upserts(known), key=lambda found: -found.score)[:_MOST_BELOW]):
        await _in_what_stands_above(scout, known, item, owner)
    for objects in [
        *await named_in_bodies(scout, known, owner),
        *await named_in_queries(scout, known, owner),
    ]:
        _settle(known, objects)


async def _in_what_stands_above(scout: Scout, known: Knowledge, item: Collection, owner: Credential) -> None:
    """Try the objects of a collection in what its path names before them, if anything."""
    path = item.create.path.rpartition("/{")[0] if item.chosen else item.create.path
    for way in await ways_up(scout, known, path, item.more, owner):
        objects = await _try(scout, known, item, owner, way)
        await take_down(scout, way, owner)
        if objects is not None:
            _settle(known, objects)
            return


async def _told_by_options(scout: Scout, known: Knowledge, objects: Objects, owner: Credential) -> Objects:
    """Declared objects that no document lists: what else their paths allow, they say themselves (RFC 9110 §9.3.7)."""
    methods = dict[str, list[str]]()
    for path in (objects.create.path, objects.read.path):
        if "#" in path or objects.create.path == objects.read.path or objects.parents:
            return objects
        request = build_request(
            Operation("OPTIONS", path), scout.rng, path_values={objects.id_parameter: "0"}
        )
        methods[path] = allowed(
            (await scout.ask(request, f"what does {path} allow?", credential=owner)).reply
        )

    def at(path: str, *wanted: str) -> Operation | None:
        found = next((item for item in wanted if item in methods[path]), None)
        return Operation(found, path, provenance=Provenance.OBSERVED) if found else None

    found = replace(
        objects,
        listing=objects.listing or at(objects.create.path, "GET"),
        update=objects.update or at(objects.read.path, "PATCH", "PUT"),
        delete=objects.delete or at(objects.read.path, "DELETE"),
    )
    more = [item.name for item in (found.listing, found.update, found.delete) if item is not None]
    if found != objects:
        known.say("objects", f"{', '.join(more)}, too", Provenance.OBSERVED, "their paths allow it (OPTIONS)")
    return found


async def _at_the_top(scout: Scout, known: Knowledge, item: Collection, owner: Credential) -> Objects | None:
    """The objects of a collection that no path puts below another: in the place that a header names, or in a body."""
    for way in [*await ways_by_header(scout, known, item.create, owner), Above()]:
        objects = await _try(scout, known, item, owner, way)
        if objects is not None:
            return objects
    return await _within(scout, known, item, owner)


async def _tried_out(scout: Scout, known: Knowledge, objects: Objects, owner: Credential) -> Objects:
    """What else can be done with an object where nothing says it: tried on one that A makes for it."""
    create, read = objects.create, objects.read
    done = objects.listing and objects.update and objects.delete
    if done or "#" in read.path or create.path == read.path or objects.parents or "{" not in read.path:
        return objects

    async def sent(operation: Operation, values: Mapping[str, str], text: str = "") -> RawReply:
        request = operation.request(values)
        if text:
            request = operation.carrying(request, put(dict(objects.template), objects.text_field, text))
        label = f"what can be done with an object? {operation.name}"
        return (await scout.ask(request, label, credential=owner)).reply

    marks = ["cn" + secrets.token_hex(5) for _ in range(3)]
    created = await sent(create, {}, marks[0])
    identifier = resolve(created.json, objects.identifier)
    if not created.ok or not isinstance(identifier, str | int):
        return objects
    values = {objects.id_parameter: str(identifier)}
    listing, update, delete = (
        Operation(method, path, provenance=Provenance.OBSERVED)
        for method, path in (("GET", create.path), ("PATCH", read.path), ("DELETE", read.path))
    )
    found = objects
    if objects.listing is None and marks[0] in (await sent(listing, {})).text:
        found = replace(found, listing=listing)
    for mark, way in zip(marks[1:], (update, replace(update, method="PUT")), strict=True):
        if (
            found.update is None
            and (await sent(way, values, mark)).ok
            and mark in (await sent(read, values)).text
        ):
            found = replace(found, update=way)
    if found.delete is None and (await sent(delete, values)).ok and not (await sent(read, values)).ok:
        found = replace(found, delete=delete)
    more = [item for item in (found.listing, found.update, found.delete) if item is not None]
    if found != objects:
        listed = ", ".join(item.name for item in more if item.provenance is Provenance.OBSERVED)
        known.say("objects", f"{listed}, too", Provenance.OBSERVED, "tried on one that A made for it")
    return found


async def _within(scout: Scout, known: Knowledge, item: Collection, owner: Credential) -> Objects | None:
    """The objects of a collection whose creation names in its body what they belong to: a project, a post."""
    for way in await ways_in(scout, known, item.create, owner):
        objects = await _try(scout, known, item, owner, way)
        await take_down(scout, way, owner)
        if objects is not None:
            return objects
    return None


def _settle(known: Knowledge, objects: Objects) -> None:
    """Take the first collection as the one that every check looks at, the next few as further ones."""
    if known.objects is None:
        known.objects = objects
    elif len(known.further) >= _FURTHER or objects.create.name == known.objects.create.name:
        return
    else:
        known.further.append(objects)
    above = [f"{parent.parameter} from {parent.operation.name}" for parent in objects.parents]
    known.say(
        "objects" if known.objects is objects else "further objects",
        f"{objects.create.name}, {objects.read.name} (text in {objects.text_field}, "
        f"{', '.join([*above, f'id at {objects.identifier}'])})",
        Provenance.OBSERVED,
        "what A created was read back" + (" and deleted again" if objects.delete else ""),
    )


def find_writings(scout: Scout, known: Knowledge) -> None:
    """Fill in `writings`: changes that take a text beside those of the collections, and no flow's."""
    flows = [item.operation for item in known.logins] + [item.operation for item in known.logouts]
    flows += [known.register.operation] if known.register is not None else []
    flows += [known.refresh.operation] if known.refresh is not None else []
    flows += [known.password_change.form.operation] if known.password_change is not None else []
    flows += [known.keys.create] if known.keys is not None else []
    flows += [item.create for item in (known.objects, *known.further) if item is not None]
    taken = {item.name for item in flows}
    found = []
    for operation in known.by_method("POST"):
        media = body_type(operation)
        if operation.name in taken or "{" in operation.path or media is None or dangerous(operation):
            continue
        text = free_text(operation.bodies[media])
        made = sample(operation.bodies[media], scout.rng)
        if text is not None and isinstance(made, dict) and not left_out(known, operation.path):
            found.append(Writing(operation, made, text.pointer))
    known.writings = tuple(found[:_MOST])


def _collections(known: Knowledge) -> Iterator[Collection]:
    for create in known.by_method("POST"):
        if "{" in create.path or left_out(known, create.path) or body_type(create) is None:
            continue
        read = one_of(known, create, "GET")
        found = read and _collection(known, create, read)
        if found:
            yield found


def left_alone(known: Knowledge) -> Collection | None:
    """A collection that nobody tried because of its name: orders cost money. Its owner may allow it."""
    for create in known.by_method("POST"):
        read = one_of(known, create, "GET")
        if (
            "{" in create.path
            or read is None
            or body_type(create) is None
            or not left_out(known, create.path)
        ):
            continue
        found = _collection(known, create, read)
        if found is not None:
            return found
    return None


def _below(known: Knowledge) -> Iterator[Collection]:
    """Collections in whose paths something stands above the objects, and those that name the owner on reading."""
    for create in known.by_method("POST"):
        head, _, last = create.path.rstrip("/").rpartition("/")
        if "}" in last or body_type(create) is None:
            continue
        if mentions(head, names("objects", "avoid_above")) or left_out(known, last):
            continue
        if "{" in create.path:
            read = one_of(known, create, "GET") or _elsewhere(known, last)
            found = read and _collection(known, create, read)
            if found:
                yield replace(found, score=found.score - 4 * create.path.count("{"))
        elif one_of(known, create, "GET") is None:
            read = _named_by_two(known, last)
            found = read and _collection(known, create, read)
            if read and found:
                yield replace(found, score=found.score - 4, more=tuple(parameters(read.path)[:-1]))


def _upserts(known: Knowledge) -> Iterator[Collection]:
    """Objects that a PUT creates where its path says: nothing else does, and the id is its maker's to choose."""
    for create in known.by_method("PUT"):
        head, _, last = create.path.rstrip("/").rpartition("/")
        read = known.operations.get(f"GET {create.path}")
        if not last.startswith("{") or read is None or body_type(create) is None:
            continue
        if f"POST {head}" in known.operations:
            continue
        if mentions(head, names("objects", "avoid_above")) or left_out(known, head):
            continue
        found = _collection(known, create, read)
        if found:
            declared = next((item for item in create.parameters if item.name == found.parameter), None)
            yield replace(found, chosen=unguessable(declared, random.Random(0)))


def _elsewhere(known: Knowledge, last: str) -> Operation | None:
    """`GET /patients/{id}` reads what `POST /clinics/{id}/patients` made: an id alone tells one from all others."""
    return next(
        (
            item
            for item in known.by_method("GET")
            if item.path.count("{") == 1 and item.path.rstrip("/").rpartition("/{")[0].endswith(f"/{last}")
        ),
        None,
    )


def _named_by_two(known: Knowledge, last: str) -> Operation | None:
    """`GET /repos/{owner}/{repo}` reads what `POST /user/repos` made: the name of the collection tells."""
    for operation in known.by_method("GET"):
        parts = operation.path.rstrip("/").split("/")
        if len(parts) > 3 and parts[-3] == last and parts[-1][:1] == parts[-2][:1] == "{":
            return operation if operation.path.count("{") == 2 else None
    return None


def _collection(known: Knowledge, create: Operation, read: Operation) -> Collection | None:
    schema = create.bodies[body_type(create) or ""]
    text = free_text(schema)
    if text is None:
        return None
    score = 4 * create.protected + 2 * (one_of(known, create, "DELETE", read) is not None)
    score += 2 * (rank(text.name, names("objects", "text")) is not None) + text.required
    required = [item for item in fields(schema) if item.required]
    return Collection(create, read, parameters(read.path)[-1], text, score - len(required))


def one_of(
    known: Knowledge, create: Operation, method: str, read: Operation | None = None
) -> Operation | None:
    """The operation of that method on one object of the collection."""
    if read is not None and f"{method} {read.path}" in known.operations:
        return known.operations[f"{method} {read.path}"]
    prefix = create.path.rstrip("/") + "/{"
    for operation in known.by_method(method):
        path = operation.path.rstrip("/")
        if path.startswith(prefix) and path.endswith("}") and "/" not in path[len(prefix) :]:
            return operation
    return None


def creation_requests(scout: Scout, known: Knowledge) -> list[HttpRequest]:
    """The requests that would create an object, in each collection that looks like one, likeliest first."""
    found = sorted(_collections(known), key=lambda item: -item.score)
    return [
        creation(item.create, scout.rng, item.text.pointer, "cn" + secrets.token_hex(5), {})[0]
        for item in found[:_MOST]
    ]


async def _try(
    scout: Scout, known: Knowledge, item: Collection, owner: Credential, way: Above
) -> Objects | None:
    canary = "cn" + secrets.token_hex(5)
    above = {**way.values, item.parameter: another(item.chosen, scout.rng)} if item.chosen else way.values
    created, template = await _created(scout, item, owner, above, canary)
    if not created.ok:
        if not item.chosen:  # to change what is not there is refused nearly everywhere
            known.remedies.setdefault(Need.OBJECTS, _refused(item, template, scout.shown(created)))
        return None
    for pointer, value in identifiers(created, item.parameter):
        values = {**way.values, item.parameter: value}
        read = await scout.call(item.read, f"read it: {item.read.name}", credential=owner, path_values=values)
        if not read.ok or canary not in read.text:
            continue
        collection = item.create.path.rpartition("/{")[0] if item.chosen else item.create.path
        listing = known.operations.get(f"GET {collection}")
        if listing is not None:
            bare = _unfiltered(listing)
            label = f"list without a search: {listing.name}"
            asked = bare.request(way.values)
            if bare != listing and canary in (await scout.ask(asked, label, credential=owner)).reply.text:
                known.operations[listing.name] = listing = bare
        delete = one_of(known, item.create, "DELETE", item.read)
        if delete is not None:
            values = {**way.values, parameters(delete.path)[-1]: value}
            gone = await scout.call(delete, f"delete it: {delete.name}", credential=owner, path_values=values)
            delete = delete if gone.ok else None
        return Objects(
            item.create,
            item.read,
            template,
            item.text.pointer,
            pointer,
            item.parameter,
            listing,
            item.create
            if item.chosen
            else next(
                (
                    found
                    for method in ("PATCH", "PUT", "POST")
                    if (found := one_of(known, item.create, method, item.read)) is not None
                ),
                None,
            ),
            delete,
            Provenance.OBSERVED,
            way.parents,
            fresh=_chosen(template, value),
            chosen=item.chosen,
        )
    return None


def _chosen(template: Mapping[str, Any], identifier: str) -> tuple[str, ...]:
    """The members of the body that became the id of an object: people choose it, and no two have the same."""
    return tuple(pointer for pointer, value in strings(dict(template)).items() if value == identifier)


async def _created(
    scout: Scout, item: Collection, owner: Credential, above: Mapping[str, str], canary: str
) -> tuple[RawReply, dict[str, Any]]:
    """The answer to a creation, and what was sent: once more where another object has such a name."""
    for apart in (False, True):
        request, template = creation(item.create, scout.rng, item.text.pointer, canary, above, apart=apart)
        reply = (await scout.ask(request, f"create an object: {item.create.name}", credential=owner)).reply
        if reply.status != HTTPStatus.CONFLICT:
            break
    return reply, template


def plain_name(pointer: str) -> str:
    """A member as people write it: a pointer only where it stands deeper."""
    return pointer.lstrip("/") if pointer.count("/") == 1 else pointer


def _refused(item: Collection, template: dict[str, Any], answer: str) -> str:
    """The lines for a collection that took nothing of what was made up for it, with what it said."""
    lines: list[Line] = [
        ("create", item.create.name, f"it answered {answer}"),
        ("body", template, "to this: put in what it takes"),
        ("read", item.read.name, "what reads one"),
        ("text_field", plain_name(item.text.pointer), "where a text goes"),
        ("identifier", "/id", "where its reply names what was made"),
    ]
    return table("[objects]", lines)


def _unfiltered(listing: Operation) -> Operation:
    """The listing without words to search for, that show what is there only to those who leave them out.

    @nestjs/swagger calls each parameter required that nobody called optional: what is made up for it finds nothing.
    """
    searches = {item.name for item in listing.parameters if item.place == "query" and searching(item)}
    return replace(
        listing,
        fixed=tuple(item for item in listing.fixed if item[0] != "query" or item[1] not in searches),
        parameters=tuple(
            replace(item, required=item.required and not (item.place == "query" and item.name in searches))
            for item in listing.parameters
        ),
    )
