"""Clients that people make for their programs: an id and a secret, which a token endpoint takes for a token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.discovery.doors import open_door
from auth_conformance.discovery.keys import identifier_in, revocation_of
from auth_conformance.discovery.machines import machine_attempts
from auth_conformance.discovery.names import mentions, names
from auth_conformance.discovery.sampling import sample, with_body
from auth_conformance.discovery.schemas import reply_fields
from auth_conformance.discovery.tokens import issued
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.secret import Secret
from auth_conformance.target import Clients, Login, Operation

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

_ID, _SECRET = "client_id", "client_secret"
# So many operations are tried for one that makes clients.
_MOST = 2


async def find_clients(scout: Scout, known: Knowledge) -> None:
    """Fill in `clients`: A makes one, and its id and secret are exchanged for a token that opens something."""
    owner = known.credential("a")
    ways = [attempt.login() for attempt in machine_attempts(known, scout.rng)]
    used = {login.operation.name for login in known.logins}
    if (
        known.clients is not None
        or owner is None
        or not ways
        or any(way.operation.name in used for way in ways)
    ):
        return
    makers = [item for item in known.by_method("POST") if _makes(item)]
    for operation in makers[:_MOST]:
        known.clients = await _try(scout, known, operation, owner, ways)
        if known.clients is not None:
            return


def _makes(operation: Operation) -> bool:
    """Whether an operation says that it answers with a client's id and secret, and takes none (RFC 7591 §3.2.1)."""
    told = {item.name for item in reply_fields(operation.responses)}
    return "{" not in operation.path and {_ID, _SECRET} <= told


async def _try(
    scout: Scout, known: Knowledge, operation: Operation, owner: Credential, ways: list[Login]
) -> Clients | None:
    media = next(iter(operation.bodies), "application/json")
    made = sample(operation.bodies[media], scout.rng) if operation.bodies else {}
    template = made if isinstance(made, dict) else {}
    bare = operation.request()
    request = with_body(bare, media, template) if operation.bodies else bare
    reply = (await scout.ask(request, f"make a client: {operation.name}", credential=owner)).reply
    pointers = {pointer.rpartition("/")[2]: pointer for pointer in strings(reply.json)}
    if not reply.ok or not {_ID, _SECRET} <= pointers.keys():
        return None
    secret = str(resolve(reply.json, pointers[_SECRET]))
    scout.learn(secret)
    revoke, parameter = revocation_of(known, operation)
    identifier = identifier_in(reply, parameter) or pointers[_ID]
    found = None
    for way in ways:
        found = await _exchanged(scout, known, way, str(resolve(reply.json, pointers[_ID])), secret)
        if found is not None:
            break
    if revoke is not None:
        ended = revoke.request({parameter: str(resolve(reply.json, identifier))})
        await scout.ask(ended, f"take the client back: {revoke.name}", credential=owner)
    if found is None:
        return None
    login, opens = found
    known.say(
        "clients",
        f"{operation.name} → {login.operation.name} ({login.encoding}) → {login.carrier}",
        Provenance.OBSERVED,
        f"the token of a client that A made opened {opens.name}",
    )
    places = pointers[_ID], pointers[_SECRET]
    return Clients(
        operation, template, *places, login, opens, revoke, _renewing(known, operation), identifier
    )


def _renewing(known: Knowledge, create: Operation) -> Operation | None:
    """What replaces the secret of one client; `/secrets` may add another beside it."""
    below, words = f"{create.path.rstrip('/')}/{{", (*names("keys", "rolls"), "secret")
    return next(
        (
            item
            for item in known.by_method("POST", "PUT")
            if item.path.startswith(below)
            and item.path.count("{") == 1
            and mentions(item.path.rpartition("/")[2], words)
        ),
        None,
    )


async def _exchanged(
    scout: Scout, known: Knowledge, way: Login, name: str, secret: str
) -> tuple[Login, Operation] | None:
    """The grant that gives a token which opens something, and what it opens."""
    answer = (
        await scout.ask(way.request(name, Secret(secret)), "exchange a client's secret for a token")
    ).reply
    tokens = [item for item in issued(answer) if item.cookie is None] if answer.ok else []
    for item in tokens:
        scout.learn(item.value)
    opening = await open_door(scout, known, tokens, owner="a") if tokens else None
    if opening is None:
        return None
    login = replace(way, carrier=opening.carrier, token=opening.issued.pointer)
    return login, opening.operation
