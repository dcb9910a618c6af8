"""A login that took the password and opens nothing: another step is to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.discovery.names import mentions, names
from auth_conformance.discovery.schemas import fields
from auth_conformance.oracles.pointer import strings

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login
    from auth_conformance.transports.message import RawReply

TOOK = "took the password"
_SECOND_FACTOR = (
    'Log in by hand, and give the credential: [accounts.NAME] token = { env = "NAME_TOKEN" }; or, where a test '
    "account has a code that stays, write [[login]] with it in `extra` and the first step in [[login.before]]"
)


def halfway(known: Knowledge, login: Login, reply: RawReply) -> tuple[str, bool]:
    """The sentence for a login that was granted and opened nothing, and whether a second step takes what it gave."""
    given = {pointer.rsplit("/", 1)[-1] for pointer, value in strings(reply.json).items() if value}
    said = f"{login.operation.name} {TOOK}, and what it answered opens nothing ({', '.join(sorted(given))})"
    for operation in known.by_method("POST", "PUT"):
        members = [item for schema in operation.bodies.values() for item in fields(schema) if item.required]
        handed = [item.name for item in members if item.name in given]
        asked = [item.name for item in members if item.name not in given]
        factors = [name for name in asked if mentions(name, names("login", "factors"))]
        if handed and factors and not operation.protected and operation.name != login.operation.name:
            step = (
                f"{operation.name} takes {handed[0]} from it and asks for {factors[0]}, which no account says"
            )
            return f"{said}. {step}. {_SECOND_FACTOR}", True
    return said, False
