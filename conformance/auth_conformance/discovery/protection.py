"""What changes need beside the session cookie: a CSRF token, a header of a script's, the service's own Origin."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from auth_conformance.credentials import Kind
from auth_conformance.discovery.access import declared_csrf_header
from auth_conformance.discovery.asking import mark
from auth_conformance.discovery.belongings import creation_requests
from auth_conformance.discovery.lifecycle import logout_operations
from auth_conformance.discovery.names import dangerous, mentions, names
from auth_conformance.discovery.tokens import (
    csrf_header_for,
    csrf_header_named,
    csrf_pointer,
    live_cookies,
    names_csrf,
)
from auth_conformance.discovery.toml import Line, table
from auth_conformance.model import Need, Provenance
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.target import Operation
from auth_conformance.transports.message import MEMBER, HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login
    from auth_conformance.transports.message import RawReply

# How a change is refused that does not say where it comes from: 419 is Laravel's.
_REFUSALS = (400, 403, 419, 422)
_SOURCES = 5
_SILENT = "if it wants a CSRF token: in which header, neither the document nor the answer to a preflight says"
_NAMED = re.compile(r"\bX-[A-Za-z][\w-]{2,40}\b", re.IGNORECASE)
# Headers that every service grants to scripts: none of them takes a CSRF token.
_COMMON = (
    "accept",
    "accept-language",
    "authorization",
    "content-language",
    "content-type",
    "x-csrf-token",
    "x-requested-with",
)
_USUAL = ("X-CSRF-Token", "X-CSRFToken", "X-XSRF-TOKEN", "X-CSRF", "CSRF-Token")


# What frameworks call the hidden field: Starlette and Flask, Django, Rails.
_FIELDS = ("csrf_token", "csrfmiddlewaretoken", "authenticity_token")


@dataclass(frozen=True, slots=True)
class Proof:
    """Something that shows that a change is meant: its place in a reply, and the GET whose reply it is."""

    place: str
    source: Operation | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that the session alone may not make, its refusal, and the headers that scripts may send with it.

    `login` is the reply to a login since, `fresh` the session that it gave.
    """

    request: HttpRequest
    refusal: RawReply
    granted: list[str]
    login: RawReply
    fresh: Credential


async def find_protection(
    scout: Scout, known: Knowledge, doorman: Doorman, *, logouts_only: bool = False
) -> None:
    """Complete the login by cookie with what changes need; one change is sent with each proof that there is.

    Some services ask for it at the logout only: that is tried where everything else works with the session alone.
    """
    login = next((item for item in known.logins if item.cookie is not None), None)
    session = known.credentials.get(("a", Kind.COOKIE))
    account = known.accounts.get("a")
    if login is None or session is None or account is None or account.password is None:
        return
    if (known.settings.login or logouts_only) and login.csrf_header:
        return
    creations = [] if logouts_only else creation_requests(scout, known)
    requests = [*creations, *_logouts(known, login)]
    change = await _refused_change(scout, known, session, requests[:2])
    if change is None:
        return
    request, refusal = change
    granted = await _granted_headers(scout, request)
    reply = await doorman.send(replace(login, csrf_from=None), account)
    fresh = replace(login, csrf=None, csrf_header="").read(reply, "a") if reply is not None else None
    if reply is None or fresh is None:
        return
    wanted = await _wanted(scout, known, login, Asked(request, refusal, granted, reply, fresh))
    if wanted is not None:
        await _adopt(known, doorman, login, wanted)
    elif not logouts_only and not await _refused_to_programs(scout, known, request, refusal):
        _ask_for_it(known, login, request, refusal)


async def _wanted(scout: Scout, known: Knowledge, login: Login, asked: Asked) -> Login | None:
    """The login with the proof that a change was not refused with; None where each was."""
    async for proof, said in _proofs(scout, known, asked):
        headers = _headers(known, proof, asked, said)
        for header in (*headers, *_members(proof, asked.request)):
            wanted = replace(login, csrf=proof.place, csrf_from=proof.source)
            if header.startswith(MEMBER):
                wanted = replace(wanted, csrf_header="", csrf_field=header.removeprefix(MEMBER))
            else:
                wanted = replace(wanted, csrf_header=header, csrf_field="")
            seen = replace(asked.login, later=(said,)) if proof.source is not None else asked.login
            better = wanted.read(seen, "a")
            if better is None or not better.companions:
                continue
            for _, value in (*better.companions, *better.crumbs):
                scout.learn(value)
            label = f"a change with {header.removeprefix(MEMBER)}"
            answer = await scout.ask(asked.request, label, credential=better)
            if not _refuses_alike(answer.reply, asked.refusal):
                return wanted
    return None


def _ask_for_it(known: Knowledge, login: Login, request: HttpRequest, refusal: RawReply) -> None:
    """Say what no request could find out: the name of a header that only the service's own page knows."""
    name = f"{request.method} {request.path}"
    known.say("CSRF", f"{name} answers {refusal.status} to the session alone", Provenance.OBSERVED, _SILENT)
    lines: list[Line] = [
        ("operation", login.operation.name, "the login that issues the cookie"),
        ("encoding", login.encoding, "what it accepted"),
        ("user_field", login.user_field, "where the user name goes"),
        ("password_field", login.password_field, "where the password goes"),
        ("cookie", login.cookie, "the cookie that authenticates"),
        ("csrf", login.csrf or "/csrf_token", "where its reply holds the token that changes need"),
        (
            "csrf_header",
            login.csrf_header or "X-CSRF-Token",
            f"put the header here that {name} wants, or csrf_field",
        ),
    ]
    known.remedies[Need.OBJECTS] = table("[[login]]", lines).rstrip()


async def _adopt(known: Knowledge, doorman: Doorman, login: Login, wanted: Login) -> None:
    known.logins[known.logins.index(login)] = wanted
    origin = f" of {wanted.csrf_from.name}" if wanted.csrf_from is not None else ""
    known.say(
        "CSRF",
        f"{wanted.csrf}{origin} → "
        + (f"member {wanted.csrf_field} of bodies" if wanted.csrf_field else f"header {wanted.csrf_header}"),
        Provenance.OBSERVED,
        "a change was refused without it and not with it",
    )
    for label in [who for who, kind in known.credentials if kind is Kind.COOKIE]:
        reply = await doorman.send(wanted, known.accounts[label])
        credential = wanted.read(reply, label) if reply is not None else None
        if credential is not None:
            known.credentials[label, Kind.COOKIE] = credential


def _logouts(known: Knowledge, login: Login) -> list[HttpRequest]:
    return [
        item.request() for item in logout_operations(known, login) if item.method in ("POST", "DELETE", "PUT")
    ]


async def _refused_change(
    scout: Scout, known: Knowledge, session: Credential, requests: list[HttpRequest]
) -> tuple[HttpRequest, RawReply] | None:
    """A change that the session alone may not make; None when the first orderly one is made."""
    for request in requests:
        reply = (await scout.ask(request, "a change with the session alone", credential=session)).reply
        if reply.ok:
            await _undo(scout, known, session, reply)
            return None
        if reply.status in _REFUSALS and not _names_another_fault(reply):
            return request, reply
    return None


async def _refused_to_programs(
    scout: Scout, known: Knowledge, request: HttpRequest, refusal: RawReply
) -> bool:
    """Whether a bearer token, which no site can make a browser send, is refused in the same words.

    Then the change itself is at fault, and nothing that says that it is meant would help.
    """
    token = known.credentials.get(("a", Kind.BEARER))
    if token is None:
        return False
    reply = (await scout.ask(request, "the same change with the bearer token", credential=token)).reply
    if reply.ok:
        await _undo(scout, known, token, reply)
    return mark(reply, request.path) == mark(refusal, request.path)


def _names_another_fault(reply: RawReply) -> bool:
    """Whether a refusal says which members do not fit, as FastAPI does, and none of them is named for CSRF."""
    places = [str(value) for pointer, value in strings(reply.json).items() if "/loc/" in pointer]
    return bool(places) and not any(map(names_csrf, places))


async def _undo(scout: Scout, known: Knowledge, session: Credential, reply: RawReply) -> None:
    """Delete what was created, where objects and their deletion are known."""
    objects = known.objects
    identifier = resolve(reply.json, objects.identifier) if objects is not None else None
    if objects is not None and objects.delete is not None and isinstance(identifier, (str, int)):
        values = {objects.id_parameter: str(identifier)}
        label = f"delete it again: {objects.delete.name}"
        await scout.call(objects.delete, label, credential=session, path_values=values)


def _refuses_alike(reply: RawReply, refusal: RawReply) -> bool:
    """Whether a change is still refused: by the same status, or by another word for it."""
    return reply.status is None or reply.status == refusal.status or reply.status in (401, 403, 419, 429)


async def _proofs(scout: Scout, known: Knowledge, asked: Asked) -> AsyncIterator[tuple[Proof, RawReply]]:
    reply, fresh = asked.login, asked.fresh
    for place in _places(reply, fresh):
        yield Proof(place), reply
    documented = [
        item
        for item in known.by_method("GET")
        if "{" not in item.path and mentions(item.path, names("tokens", "csrf")) and not dangerous(item)
    ]
    # The page with the form of this change stands below its path, or beside it.
    forms = [
        item
        for item in known.by_method("GET")
        if "{" not in item.path and item.path.startswith(f"{asked.request.path.rstrip('/')}/")
    ][:2]
    shown = [item.operation for item in (known.witness, known.second) if item is not None]
    usual = [Operation("GET", path, provenance=Provenance.GUESSED) for path in names("csrf", "paths")]
    for operation in [*documented, *forms, *shown, *([] if documented else usual)][:_SOURCES]:
        said = (await scout.ask(operation.request(), "a CSRF token for the session?", credential=fresh)).reply
        if said.ok and scout.exists(said, operation.path):
            for place in _places(said, fresh):
                yield Proof(place, operation), said
    # No token: where a change comes from is told by headers that only a script, or the service's own page, sends.
    yield Proof("value XMLHttpRequest"), reply
    if known.kind == "url":
        yield Proof(f"value {known.address.split('/', 3)[0]}//{known.address.split('/', 3)[2]}"), reply


def _places(reply: RawReply, fresh: Credential) -> Iterator[str]:
    """Where a reply may hold a CSRF token, likeliest first."""
    words = names("tokens", "csrf")
    pointer = csrf_pointer(reply.json)
    if pointer is not None:
        yield pointer
    for name, _ in reply.headers:
        if mentions(name, words):
            yield f"header {name}"
    cookies = [cookie for one in (*reply.earlier, reply) for cookie in live_cookies(one)]
    readable = [
        item for item in cookies if item.name != fresh.carrier.name and item.attribute("httponly") is None
    ]
    readable.sort(key=lambda item: not mentions(item.name, words))
    yield from dict.fromkeys(f"cookie {item.name}" for item in readable)
    if "html" in reply.media_type:
        yield from (f"input {name}" for name in ("csrf-token", *_FIELDS) if found_at(reply, f"input {name}"))


def _members(proof: Proof, change: HttpRequest) -> list[str]:
    """The members of a change's body that may take a proof: those that it has, and what frameworks call them."""
    kind, _, name = proof.place.partition(" ")
    if kind == "value" or change.body is None:
        return []
    text = change.body.decode("utf-8", "replace")
    listed = json.loads(text) if text.startswith("{") else dict(parse_qsl(text, keep_blank_values=True))
    own = [item for item in listed if names_csrf(item)]
    found = own or [*([name] if kind == "input" else []), *_FIELDS]
    return [f"{MEMBER}{item}" for item in dict.fromkeys(found)]


async def _granted_headers(scout: Scout, change: HttpRequest) -> list[str]:
    """The headers of its own that the service lets the scripts of other origins send with a change.

    They are told to every origin, listed or not: the answer to a preflight names them (Fetch §3.2.3). One that is
    named for CSRF says where the token goes; of the others the first few are tried.
    """
    preflight = HttpRequest("OPTIONS", change.path).with_headers(
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", change.method),
        ("Access-Control-Request-Headers", "x-csrf-token"),
    )
    reply = (await scout.ask(preflight, "which headers may scripts send with a change?")).reply
    listed = re.findall(r"[\w-]+", reply.header("access-control-allow-headers") or "")
    own = [item for item in listed if item.lower() not in _COMMON]
    return sorted(own, key=lambda item: not names_csrf(item))[:_SOURCES]


def _headers(known: Knowledge, proof: Proof, asked: Asked, said: RawReply) -> list[str]:
    """The headers in which a proof may be wanted: declared, told by the service, usual, or called like a cookie."""
    kind, _, name = proof.place.partition(" ")
    if kind == "value":
        return ["X-Requested-With"] if name == "XMLHttpRequest" else ["Origin"]
    told = csrf_header_named(said.json)
    found = [told, declared_csrf_header(known), *_NAMED.findall(asked.refusal.text), *asked.granted]
    if kind == "header":
        found.append(name)
    found += [csrf_header_for(proof.place), *_USUAL]
    if kind == "cookie":
        bare = re.sub(r"^__(?:Host|Secure)-", "", name).replace("_", "-")
        found += [f"X-{bare}", f"X-{bare}-Token", bare]
    spelled = {item.lower(): item for item in reversed(found) if item}
    return list(reversed(spelled.values()))
