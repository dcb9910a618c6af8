"""Logins that no document describes: usual paths are asked as people who do not exist, pages read."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from auth_conformance.credentials import Kind
from auth_conformance.discovery.asking import Scout, mark
from auth_conformance.discovery.doors import doors, stranger
from auth_conformance.discovery.logins import Attempt, html_attempts
from auth_conformance.discovery.names import avoided, likeness, mentions, names
from auth_conformance.discovery.preludes import protected, wants_csrf
from auth_conformance.discovery.providers import own_path
from auth_conformance.model import Provenance
from auth_conformance.oracles.places import attributes
from auth_conformance.secret import Secret
from auth_conformance.target import Operation
from auth_conformance.transports.message import HttpRequest, RawReply

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge

_USER_FIELDS = ("username", "email", "name", "login", "user", "identifier")
# Answers to a body that was not understood, as against one that names nobody.
_MISREAD = frozenset({400, 411, 415, 422, 500})
# How a front page sends people on, and how often it is followed.
_SENT_ON = frozenset({301, 302, 303, 307, 308})
_HOPS = 3
_LINK = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_READ = 200_000


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
        paths += [
            path for path in (*await _front(scout, known), *names("login", "paths")) if path not in paths
        ]
    kept: list[Attempt] = []
    for path in paths:
        found, is_page = await _at(scout, known, path, username)
        if found and (is_page or not await _asks_who_calls(scout, found[0])):
            return found
        kept = kept or found
    return kept


async def page_attempts(scout: Scout, known: Knowledge) -> list[Attempt]:
    """The form of the page that gives out a cookie which the document declares, and no login of the document issues.

    Frameworks that render interfaces for browsers link to it from there; usual places come next.
    """
    issued = {login.cookie for login in known.logins}
    declared = [carrier for carrier in known.carriers if carrier.kind is Kind.COOKIE]
    if not declared or issued & {carrier.name for carrier in declared}:
        return []
    paths = list(names("login", "pages"))
    for door in doors(known)[:1]:
        shown = door.request().with_headers(("Accept", "text/html"))
        page = (await scout.ask(shown, f"{door.name} as a browser asks")).reply
        hrefs = [attributes(tag).get("href", "") for tag in _LINK.findall(page.text[:_READ])]
        linked = [own_path(known, urljoin(door.path, href)) for href in hrefs if href]
        entrances = [path for path in linked if path is not None and mentions(path, names("login", "words"))]
        paths = [*dict.fromkeys(path.partition("?")[0] for path in entrances), *paths]
    for path in dict.fromkeys(paths):
        page = (await scout.ask(HttpRequest("GET", path), f"look for a form at {path}")).reply
        forms = (
            list(html_attempts(page.text, path, partial(own_path, known))) if page.asks_for_password else []
        )
        if forms:
            return forms[:1]
    return []


async def _front(scout: Scout, known: Knowledge) -> list[str]:
    """Where the front page sends strangers, if a password is asked for there."""
    path = "/"
    for _ in range(_HOPS):
        reply = await stranger(scout, known, Operation("GET", path, provenance=Provenance.GUESSED))
        if reply.asks_for_password:
            return [path]
        if reply.status not in _SENT_ON:
            return []
        there = own_path(known, urljoin(path, reply.header("location") or ""))
        if there is None:
            return []
        path = there
    return []


async def _asks_who_calls(scout: Scout, attempt: Attempt) -> bool:
    """Whether people who do not exist are answered as one who only reads there: nobody looked at their passwords.

    What makes or lists tokens for those who are known already is named like a login.
    """
    operation = attempt.operation
    read = (await scout.ask(HttpRequest("GET", operation.path), f"read {operation.path} as a stranger")).reply
    if read.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return False
    nobody = {"username": _nobody("username"), "password": secrets.token_urlsafe(12)}
    return mark(read) == mark(await _ask(scout, operation, "json", nobody))


async def _at(scout: Scout, known: Knowledge, path: str, username: str) -> tuple[list[Attempt], bool]:
    """Ways to log in at a path, the likely one first; and whether they stand in a page that asks for a password."""
    operation = known.operations.get(f"POST {path}") or Operation("POST", path, provenance=Provenance.GUESSED)
    everything = {name: _nobody(name) for name in _USER_FIELDS} | {"password": secrets.token_urlsafe(12)}
    reply = await _ask(scout, operation, "json", everything)
    if not scout.exists(reply, path):
        return [], False
    frame = Attempt(operation, "json", "", "")
    if wants_csrf(reply):
        frame = await protected(scout, known, frame) or frame
        reply = await _ask(scout, operation, "json", everything, frame)
    own = partial(own_path, known)
    forms = list(html_attempts(reply.text, path, own)) if "html" in reply.media_type else []
    if not forms and (reply.status in _MISREAD or "html" in reply.media_type):
        page = (await scout.ask(HttpRequest("GET", path), f"look for a form at {path}")).reply
        forms = list(html_attempts(page.text, path, own)) if page.ok and "html" in page.media_type else []
    if forms:
        return forms, True
    encoding = "json"
    # A refusal that is worded otherwise than the one of an empty body was one of the names in it.
    if reply.status in _MISREAD and mark(reply) == mark(await _ask(scout, operation, "json", {}, frame)):
        second = await _ask(scout, operation, "form", everything, frame)
        if scout.exists(second, path) and second.status not in _MISREAD:
            encoding, reply = "form", second
        elif second.status in _MISREAD:
            return [], False
    field = await _needed(scout, operation, encoding, reply, frame) or (
        "email" if "@" in username else "username"
    )
    # Where every answer is 401 neither field nor encoding can be told without a right password.
    other, name = ("form", "username") if encoding == "json" else ("json", field)
    guessed = [
        replace(frame, encoding=encoding, user_field=field, password_field="password", score=1),  # noqa: S106 - a name
        replace(frame, encoding=other, user_field=name, password_field="password", score=0),  # noqa: S106 - a name
    ]
    return guessed, False


async def _needed(
    scout: Scout, operation: Operation, encoding: str, expected: RawReply, frame: Attempt
) -> str | None:
    """The one user field that is as good as all of them; None where a name makes no difference."""
    without = await _ask(scout, operation, encoding, {"password": secrets.token_urlsafe(12)}, frame)
    if mark(without)[:2] == mark(expected)[:2]:
        return None
    for name in _USER_FIELDS[:5]:
        body = {name: _nobody(name), "password": secrets.token_urlsafe(12)}
        reply = await _ask(scout, operation, encoding, body, frame)
        if mark(reply)[:2] == mark(expected)[:2]:
            return name
    return None


def _nobody(field: str) -> str:
    name = "nobody" + secrets.token_hex(4)
    return f"{name}@example.com" if field == "email" else name


async def _ask(
    scout: Scout, operation: Operation, encoding: str, body: dict[str, str], frame: Attempt | None = None
) -> RawReply:
    """Send a body; `frame` has the steps and headers that a CSRF token needs."""
    request = operation.request()
    if frame is not None:
        steps = tuple(step.step("", Secret("")) for step in frame.before)
        request = replace(request, before=steps).with_headers(*frame.headers.items())
    request = request.with_json(body) if encoding == "json" else request.with_form(tuple(body.items()))
    return (await scout.insist(request, f"see what {operation.name} makes of nobody ({encoding})")).reply
