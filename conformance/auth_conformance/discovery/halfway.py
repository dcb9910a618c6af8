"""A login that took the password and opens nothing: another step is to follow."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from auth_conformance.discovery.logins import Attempt
from auth_conformance.discovery.names import mentions, names
from auth_conformance.discovery.sampling import sample
from auth_conformance.discovery.schemas import fields
from auth_conformance.oracles.pointer import put, strings
from auth_conformance.target import LoginStep

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login, Operation
    from auth_conformance.transports.message import RawReply

TOOK = "took the password"
_SECOND_FACTOR = (
    'Log in by hand, and give the credential: [accounts.NAME] token = { env = "NAME_TOKEN" }; or, where a test '
    "account has a code that stays, write [[login]] with it in `extra` and the first step in [[login.before]]. "
    "Where the code comes by mail, say where it can be read: [mailbox]"
)

# An application that mounts others has one document for each, and none of them is at a usual place.
_OPENS = (
    "Say where the description of what it opens is, openapi = 'path/openapi.json', or name one operation that tells "
    "who calls: [witness] operation = 'GET /me'"
)


def halfway(known: Knowledge, login: Login, reply: RawReply) -> tuple[str, bool]:
    """The sentence for a login that was granted and opened nothing, and whether a second step takes what it gave."""
    given = sorted({pointer.rsplit("/", 1)[-1] for pointer, value in strings(reply.json).items() if value})
    given += [f"cookie {name}" for name in reply.cookies]
    said = f"{login.operation.name} {TOOK}, and what it answered opens nothing ({', '.join(given)})"
    found = _takes_it_on(known, login, reply)
    if found is None:
        return f"{said} that is known. {_OPENS}", False
    operation, handed, factor = found
    taken = next(iter(handed), "the cookie")
    step = f"{operation.name} takes {taken} from it and asks for {factor}, which no account says"
    return f"{said}. {step}. {_SECOND_FACTOR}", True


def mailed_step(known: Knowledge, attempt: Attempt, reply: RawReply) -> Attempt | None:
    """The attempt whose last step brings the code that the first one had sent by mail; None where none takes one."""
    login = attempt.login()
    found = _takes_it_on(known, login, reply) if known.mailbox is not None else None
    if found is None:
        return None
    operation, handed, factor = found
    media, schema = next(iter(operation.bodies.items()))
    made = sample(schema, random.Random(0))
    template = dict(made) if isinstance(made, dict) else {}
    pointers = {pointer.rsplit("/", 1)[-1]: pointer for pointer in strings(reply.json)}
    first = LoginStep(
        login.operation,
        login.encoding,
        login.user_field,
        login.password_field,
        login.template,
        (*((name, pointers[name]) for name in handed), (factor, "mail code")),
    )
    for name in (*handed, factor):
        template = put(template, name, "{{" + name + "}}")
    encoding = "json" if media.endswith("json") else "form"
    return Attempt(operation, encoding, "", "", template, before=(*attempt.before, first))


def _takes_it_on(known: Knowledge, login: Login, reply: RawReply) -> tuple[Operation, list[str], str] | None:
    """The operation that asks for a code beside what a login gave, the members that it takes from there, the code's."""
    given = {pointer.rsplit("/", 1)[-1] for pointer, value in strings(reply.json).items() if value}
    for operation in known.by_method("POST", "PUT"):
        members = [item for schema in operation.bodies.values() for item in fields(schema) if item.required]
        handed = [item.name for item in members if item.name in given]
        factors = [
            item.name
            for item in members
            if item.name not in given and mentions(item.name, names("login", "factors"))
        ]
        # A cookie goes along by itself: then nothing of the answer need be handed on.
        led = bool(handed or reply.cookies)
        if led and factors and not operation.protected and operation.name != login.operation.name:
            return operation, handed, factors[0]
    return None
