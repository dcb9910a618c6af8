"""Logins that no document describes: usual paths are asked as people who do not exist, pages read."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from auth_conformance.discovery.asking import Scout, mark
from auth_conformance.discovery.logins import Attempt, html_attempts
from auth_conformance.discovery.names import avoided, likeness, names
from auth_conformance.model import Provenance
from auth_conformance.target import Operation
from auth_conformance.transports.message import HttpRequest, RawReply

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge

_USER_FIELDS = ("username", "email", "name", "login", "user", "identifier")
# Answers to a body that was not understood, as against one that names nobody.
_MISREAD = frozenset({400, 411, 415, 422, 500})


async def guessed_attempts(scout: Scout, known: Knowledge, username: str) -> list[Attempt]:
    """Attempts for operations whose bodies nobody describes, each tried with a stranger's name first.

    `username` decides between fields where every body gets the same refusal.
    """
    bare = [
        operation
        for operation in known.by_method("POST")
        if not operation.bodies and likeness(operation, "login") and not avoided(operation, "login")
    ]
    paths = [operation.path for operation in bare if "{" not in operation.path]
    if not known.complete:
        paths += [path for path in names("login", "paths") if path not in paths]
    for path in paths:
        found = await _at(scout, known, path, username)
        if found:
            return found
    return []


async def _at(scout: Scout, known: Knowledge, path: str, username: str) -> list[Attempt]:
    operation = known.operations.get(f"POST {path}") or Operation("POST", path, provenance=Provenance.GUESSED)
    everything = {name: _nobody(name) for name in _USER_FIELDS} | {"password": secrets.token_urlsafe(12)}
    reply = await _ask(scout, operation, "json", everything)
    if not scout.exists(reply, path):
        return []
    forms = list(html_attempts(reply.text, path)) if "html" in reply.media_type else []
    if not forms and (reply.status in _MISREAD or "html" in reply.media_type):
        page = (await scout.ask(HttpRequest("GET", path), f"look for a form at {path}")).reply
        forms = list(html_attempts(page.text, path)) if page.ok and "html" in page.media_type else []
    if forms:
        return forms
    encoding = "json"
    if reply.status in _MISREAD:
        second = await _ask(scout, operation, "form", everything)
        if scout.exists(second, path) and second.status not in _MISREAD:
            encoding, reply = "form", second
        elif second.status in _MISREAD:
            return []
    field = await _needed(scout, operation, encoding, reply) or ("email" if "@" in username else "username")
    # Where every answer is 401 neither field nor encoding can be told without a right password.
    other, name = ("form", "username") if encoding == "json" else ("json", field)
    return [
        Attempt(operation, encoding, field, "password", {}, 1),
        Attempt(operation, other, name, "password", {}, 0),
    ]


async def _needed(scout: Scout, operation: Operation, encoding: str, expected: RawReply) -> str | None:
    """The one user field that is as good as all of them; None where a name makes no difference."""
    without = await _ask(scout, operation, encoding, {"password": secrets.token_urlsafe(12)})
    if mark(without)[:2] == mark(expected)[:2]:
        return None
    for name in _USER_FIELDS[:5]:
        body = {name: _nobody(name), "password": secrets.token_urlsafe(12)}
        reply = await _ask(scout, operation, encoding, body)
        if mark(reply)[:2] == mark(expected)[:2]:
            return name
    return None


def _nobody(field: str) -> str:
    name = "nobody" + secrets.token_hex(4)
    return f"{name}@example.com" if field == "email" else name


async def _ask(scout: Scout, operation: Operation, encoding: str, body: dict[str, str]) -> RawReply:
    request = operation.request()
    request = request.with_json(body) if encoding == "json" else request.with_form(tuple(body.items()))
    return (await scout.ask(request, f"see what {operation.name} makes of nobody ({encoding})")).reply
