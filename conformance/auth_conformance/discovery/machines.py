"""Programs that log in as themselves: the client credentials grant (RFC 6749 §4.4), by form, JSON or HTTP Basic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.logins import Attempt
from auth_conformance.discovery.providers import own_path
from auth_conformance.discovery.sampling import FORM, sample
from auth_conformance.discovery.schemas import fields
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import put
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.discovery.knowledge import Knowledge

GRANT = "client_credentials"
_ID, _SECRET = "client_id", "client_secret"
_SCORE = 5
_OF_CLIENTS = {"grant_type", _ID, _SECRET, "scope", "audience", "resource"}


def machine_attempts(known: Knowledge, rng: Any) -> list[Attempt]:
    """The ways in which a given name and secret may be those of a client, as the document shows them."""
    found: list[Attempt] = []
    urls = [*known.client_paths]
    if GRANT in (known.provider.get("grant_types_supported") or ()):
        urls.append(str(known.provider.get("token_endpoint")))
    # A FastAPI team writes the address without a slash, relative to the document.
    told = [f"/{path.lstrip('/')}" for url in urls if (path := own_path(known, url)) is not None]
    for operation in known.by_method("POST"):
        if "{" not in operation.path:
            found += _described(operation, rng, named=operation.path in told)
    for path in dict.fromkeys(told):
        operation = known.operations.get(f"POST {path}") or Operation(
            "POST", path, provenance=Provenance.OBSERVED
        )
        if not operation.bodies:
            # A server that gives clients a secret must take it by HTTP Basic, and may in the body (RFC 6749 §2.3.1).
            found.append(Attempt(operation, "basic", "", "", {"grant_type": GRANT}, _SCORE))
            found.append(Attempt(operation, "form", _ID, _SECRET, {"grant_type": GRANT}, _SCORE))
    return found


def _described(operation: Operation, rng: Any, *, named: bool) -> Iterator[Attempt]:
    """An operation whose body takes a client and no person, or that the document names for clients."""
    for media, schema in operation.bodies.items():
        encoding = "form" if media == FORM else "json" if media.endswith("json") else ""
        members = {item.name: item for item in fields(schema)}
        # What needs more is for something else: a person's password, a token that is to be looked at.
        more = {name for name, item in members.items() if item.required} - _OF_CLIENTS
        if not encoding or more:
            continue
        made = sample(schema, rng)
        template = dict(made) if isinstance(made, dict) else {}
        if "grant_type" in members:
            template = put(template, members["grant_type"].pointer, GRANT)
        if {_ID, _SECRET} <= members.keys():
            places = members[_ID].pointer, members[_SECRET].pointer
            yield Attempt(
                operation, encoding, *places, template, _SCORE, media=media if encoding == "json" else ""
            )
        elif encoding == "form" and "grant_type" in members and (named or _demands_basic(operation)):
            yield Attempt(operation, "basic", "", "", template, _SCORE)


def _demands_basic(operation: Operation) -> bool:
    return bool(operation.security)
