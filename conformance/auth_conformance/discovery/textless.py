"""Objects in which no text of their maker's is shown again: jobs, measurements, transfers. One is made and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.belongings import one_of
from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.names import dangerous
from auth_conformance.discovery.parents import identifiers, parameters
from auth_conformance.discovery.sampling import body_type, sample, with_body
from auth_conformance.model import Provenance
from auth_conformance.target import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation

_MOST = 2


async def find_textless(scout: Scout, known: Knowledge) -> None:
    """Fill in `textless`: A makes one in each collection that was not found by a text, reads it, and deletes it."""
    owner = known.credential("a")
    if owner is None:
        return
    found = [
        await _tried(scout, known, create, read, owner) for create, read in list(_candidates(known))[:_MOST]
    ]
    known.textless = [item for item in found if item is not None]
    for objects in known.textless:
        known.say(
            "objects without a text",
            f"{objects.create.name}, {objects.read.name} (id at {objects.identifier})",
            Provenance.OBSERVED,
            "what A created was read back",
        )


def _candidates(known: Knowledge) -> Iterator[tuple[Operation, Operation]]:
    kept = (known.objects, *known.further, known.keys, known.key_roll, known.clients)
    taken = {item.create.name for item in kept if item is not None}
    taken |= {item.operation.name for item in known.logins} | {item.operation.name for item in known.logouts}
    taken |= {known.register.operation.name} if known.register is not None else set()
    taken |= {known.refresh.operation.name} if known.refresh is not None else set()
    for create in known.by_method("POST"):
        read = one_of(known, create, "GET")
        if read is None or create.name in taken or "{" in create.path or body_type(create) is None:
            continue
        if create.protected and not (left_out(known, create.path) or dangerous(create)):
            yield create, read


async def _tried(
    scout: Scout, known: Knowledge, create: Operation, read: Operation, owner: Credential
) -> Objects | None:
    media = body_type(create) or "application/json"
    made: Any = sample(create.bodies[media], scout.rng)
    if not isinstance(made, dict):
        return None
    request = with_body(create.request(), media, made)
    created = (await scout.ask(request, f"create an object: {create.name}", credential=owner)).reply
    parameter = parameters(read.path)[-1]
    for pointer, value in identifiers(created, parameter) if created.ok else ():
        values = {parameter: value}
        shown = await scout.call(read, f"read it: {read.name}", credential=owner, path_values=values)
        if not shown.ok or not isinstance(shown.json, dict):
            continue
        delete = one_of(known, create, "DELETE", read)
        if delete is not None:
            values = {parameters(delete.path)[-1]: value}
            gone = await scout.call(delete, f"delete it: {delete.name}", credential=owner, path_values=values)
            delete = delete if gone.ok else None
        listing = known.operations.get(f"GET {create.path}")
        ways = (one_of(known, create, method, read) for method in ("PATCH", "PUT"))
        update = next((item for item in ways if item is not None), None)
        return Objects(create, read, made, "", pointer, parameter, listing, update, delete)
    return None
