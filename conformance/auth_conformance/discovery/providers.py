"""Tokens from an OpenID provider on the same host, and what its metadata says besides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from auth_conformance.discovery.document import joined
from auth_conformance.discovery.logins import Attempt
from auth_conformance.discovery.names import names
from auth_conformance.discovery.sampling import FORM
from auth_conformance.model import Provenance
from auth_conformance.target import Operation
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login

# Swagger UI is told the public client's id, so that people can log in from the page.
_CLIENT = re.compile(r"""["']?client_?[iI]d["']?\s*[:=]\s*["']([^"'<>\s]{1,100})["']""")


async def provider_attempts(scout: Scout, known: Knowledge) -> list[Attempt]:
    """The password grant at the token endpoint of a provider that the document names, if it is this host."""
    await read_metadata(scout, known)
    endpoint = own_path(known, known.provider.get("token_endpoint"))
    paths = [endpoint] if endpoint is not None else []
    paths += [path for url in known.grant_paths if (path := own_path(known, url)) is not None]
    if not paths:
        _say_elsewhere(known)
        return []
    clients = await _clients(scout) or [""]
    return [
        Attempt(
            known.operations.get(f"POST {path}") or Operation("POST", path, provenance=Provenance.OBSERVED),
            "form",
            "username",
            "password",
            {"grant_type": "password", "scope": "openid", **({"client_id": client} if client else {})},
            5,
        )
        for path in dict.fromkeys(paths)
        for client in clients[:2]
    ]


async def read_metadata(scout: Scout, known: Knowledge) -> None:
    """Fill in `provider`: the metadata that an openIdConnect scheme points to."""
    for url in known.openid_urls:
        path = own_path(known, url)
        if known.provider or path is None:
            continue
        reply = (await scout.ask(HttpRequest("GET", path), f"read the provider's metadata at {path}")).reply
        if reply.ok and isinstance(reply.json, dict):
            known.provider = reply.json


def provider_logouts(known: Knowledge, login: Login) -> list[Operation]:
    """The provider's own ways to end a session, which take the client's id and the refresh token in a form.

    RFC 7009 names the member `token`; the logouts of providers that ask for it by POST call it `refresh_token`.
    """
    found = []
    client = {key: {"const": value} for key, value in login.template.items() if key.startswith("client_")}
    for endpoint, member in (("end_session_endpoint", "refresh_token"), ("revocation_endpoint", "token")):
        path = own_path(known, known.provider.get(endpoint))
        if path is not None:
            body = {
                "type": "object",
                "required": [*client],
                "properties": {**client, member: {"type": "string"}},
            }
            found.append(Operation("POST", path, bodies={FORM: body}, provenance=Provenance.OBSERVED))
    return found


def own_path(known: Knowledge, url: Any) -> str | None:
    """The path of a URL below the target's address; None when it is another host's."""
    parts = (
        joined(known.address if known.kind == "url" else "", url) if isinstance(url, str) and url else None
    )
    own = urlsplit(known.address) if known.kind == "url" else urlsplit("")
    if parts is None or (parts[0] not in ("", own.netloc) and known.kind == "url"):
        return None
    return parts[1].removeprefix(own.path.rstrip("/")) or None


def _say_elsewhere(known: Knowledge) -> None:
    for url in [*known.openid_urls, *known.grant_paths][:2]:
        known.say(
            "login",
            f"tokens come from {url}, which this run does not talk to",
            Provenance.OPENAPI,
            'give tokens instead: [accounts.a] token = { env = "A_TOKEN" }',
        )


async def _clients(scout: Scout) -> list[str]:
    found: list[str] = []
    for page in names("document", "pages")[:3]:
        reply = (await scout.ask(HttpRequest("GET", page), f"look for a client id in {page}")).reply
        if reply.ok and "html" in reply.media_type:
            found += [match for match in _CLIENT.findall(reply.text[:200_000]) if match not in found]
    return found
