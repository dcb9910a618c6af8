"""What a login needs from requests before it: tickets, flows and CSRF tokens, found by asking for them."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_conformance.discovery.names import avoided, dangerous, mentions, names, rank
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.discovery.tokens import (
    csrf_header_for,
    csrf_header_named,
    csrf_pointer,
    live_cookies,
    names_csrf,
)
from auth_conformance.model import Provenance
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import strings
from auth_conformance.secret import Secret
from auth_conformance.target import LoginStep, Operation

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.discovery.logins import Attempt
    from auth_conformance.transports.message import RawReply

_PROVIDERS = 5
_SOURCES = 8
# A password that nobody has, for requests on nobody's behalf.
_NOTHING = Secret("nobody-has-this-Password-0")
_CSRF = re.compile(r"[cx]srf", re.IGNORECASE)
_CSRF_STATUS = 419  # Laravel's, for a token that does not match
_REFUSALS = (400, 403, 422)
_CRASHED = 500


def wants_csrf(reply: RawReply) -> bool:
    """Whether a request was refused for lack of a CSRF token, before anybody looked at its password.

    It says so, or it does not and hands a token over with the refusal, as Spring Security does.
    """
    return reply.status == _CSRF_STATUS or (
        reply.status in _REFUSALS and (_CSRF.search(reply.text) is not None or _hands_over(reply))
    )


def may_want_csrf(reply: RawReply) -> bool:
    """The same, or the refusal stands in the words of a missing login: error pages may be for members only."""
    return wants_csrf(reply) or (reply.status == HTTPStatus.UNAUTHORIZED and _hands_over(reply))


def _hands_over(reply: RawReply) -> bool:
    return any(names_csrf(cookie.name) for cookie in live_cookies(reply))


def handed_over(item: Field) -> bool:
    """Whether a member is one that only an earlier reply can supply: a ticket, a flow, a CSRF token."""
    words = (*names("steps"), *names("tokens", "csrf"))
    constant = any(key in item.schema for key in ("enum", "const", "default"))
    return not constant and item.schema.get("type", "string") == "string" and mentions(item.name, words)


async def prepared(scout: Scout, known: Knowledge, attempt: Attempt, username: str) -> Attempt:
    """The attempt with the step that supplies what it needs from earlier, where one is found."""
    if attempt.before:
        return attempt
    schema = attempt.operation.bodies.get(attempt.media or "") or next(
        iter(attempt.operation.bodies.values()), {}
    )
    own = (attempt.user_field, attempt.password_field)
    members = [item for item in fields(schema) if item.pointer not in own and handed_over(item)]
    needed = [item for item in members if item.required]
    queries = [
        item.name
        for item in attempt.operation.parameters
        if item.place == "query" and item.required and item.name not in own and attempt.encoding != "query"
    ]
    if not needed and not queries:
        return attempt
    wanted = [*(item.name for item in members), *queries]
    for step in _providers(known, attempt)[:_PROVIDERS]:
        request = replace(step, takes=()).step(username, _NOTHING).request
        reply = (await scout.ask(request, f"what has to come before a login: {step.operation.name}")).reply
        places = {name: place for name in wanted if reply.ok and (place := _place_of(reply, name))}
        if not {*(item.name for item in needed), *queries} <= places.keys():
            continue
        template = dict(attempt.template)
        for item in members:
            if item.name in places:
                template[item.pointer] = "{{" + item.name + "}}"
        return replace(
            attempt,
            before=(replace(step, takes=tuple(places.items())),),
            template=template,
            query={name: "{{" + name + "}}" for name in queries},
        )
    return attempt


def _providers(known: Knowledge, attempt: Attempt) -> list[LoginStep]:
    """Open operations near a login that take nothing but a name: the nearest first."""
    found: list[tuple[int, LoginStep]] = []
    for operation in known.by_method("GET", "POST"):
        unfit = operation.protected or "{" in operation.path or operation.path == known.document_path
        required = any(item.required and item.place in ("query", "header") for item in operation.parameters)
        if unfit or required or operation.name == attempt.operation.name:
            continue
        if dangerous(operation) or avoided(operation, "login") or len(operation.bodies) > 1:
            continue
        near = _shared(operation.path, attempt.operation.path)
        if not near:
            continue
        members = [item for schema in operation.bodies.values() for item in fields(schema) if item.required]
        if not members:
            found.append((near, LoginStep(operation)))
        elif len(members) == 1 and rank(members[0].name, names("fields", "user")) is not None:
            media = next(iter(operation.bodies))
            encoding = "json" if media.endswith("json") else "form"
            found.append((near, LoginStep(operation, encoding, members[0].pointer)))
    return [step for _, step in sorted(found, key=lambda pair: -pair[0])]


def _shared(first: str, second: str) -> int:
    """How many segments two paths begin with together."""
    count = 0
    for one, other in zip(first.strip("/").split("/"), second.strip("/").split("/"), strict=False):
        if one != other:
            break
        count += 1
    return count


def _place_of(reply: RawReply, name: str) -> str | None:
    for pointer, value in strings(reply.json).items():
        if pointer.rsplit("/", 1)[-1] == name and isinstance(value, str) and value:
            return pointer
    return next((where for where in (f"input {name}", f"query {name}") if found_at(reply, where)), None)


async def protected(scout: Scout, known: Knowledge, attempt: Attempt) -> Attempt | None:
    """The attempt with a CSRF token that the service hands out; None where none is accepted.

    What is sent to find out names nobody.
    """
    documented = [
        item.path
        for item in known.by_method("GET")
        if "{" not in item.path and mentions(item.path, names("tokens", "csrf"))
    ]
    bare = replace(attempt, before=()).login().request("nobody" + scout.run_id, _NOTHING)
    refusal = (await scout.ask(bare, "without a CSRF token, as nobody")).reply
    paths = [*documented, attempt.operation.path, *names("csrf", "paths"), "/"]
    for path in list(dict.fromkeys(paths))[:_SOURCES]:
        operation = Operation("GET", path, provenance=Provenance.OBSERVED)
        reply = (await scout.ask(operation.request(), f"look for a CSRF token at {path}")).reply
        # A cookie may come with any answer, also where nothing is.
        if reply.status is None or not (_hands_over(reply) or scout.exists(reply, path)):
            continue
        for candidate in _protections(attempt, operation, reply):
            request = candidate.login().request("nobody" + scout.run_id, _NOTHING)
            answer = (await scout.ask(request, f"a CSRF token from {path}, as nobody")).reply
            if answer.status is None or answer.status >= _CRASHED:
                continue
            # Some hand a token over with every answer: then another status tells.
            if not may_want_csrf(answer) or answer.status not in (refusal.status, _CSRF_STATUS):
                return candidate
    return None


def _protections(attempt: Attempt, operation: Operation, reply: RawReply) -> list[Attempt]:
    found: list[Attempt] = []

    def add(where: str, header: str, field: str = "") -> None:
        step = LoginStep(operation, takes=(("csrf", where),))
        template = {**attempt.template, field: "{{csrf}}"} if field else attempt.template
        headers = {header: "{{csrf}}"} if header else {}
        found.append(replace(attempt, before=(step,), template=template, headers=headers))

    for cookie in live_cookies(reply):
        if mentions(cookie.name, names("tokens", "csrf")) and unquote(cookie.value):
            add(f"cookie {cookie.name}", csrf_header_for(f"cookie {cookie.name}"))
    pointer = csrf_pointer(reply.json)
    if pointer is not None:
        add(pointer, csrf_header_named(reply.json) or "X-CSRF-Token")
        add(pointer, "", pointer.rsplit("/", 1)[-1])
    for name in ("csrf-token", "csrf_token", "_csrf"):
        if "html" in reply.media_type and found_at(reply, f"input {name}"):
            add(f"input {name}", "X-CSRF-Token" if name == "csrf-token" else "", "" if "-" in name else name)
    return found
