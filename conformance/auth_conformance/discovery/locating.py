"""Where the OpenAPI document is: given, at a usual place, linked from a page, or made by the application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import yaml

from auth_conformance.discovery.document import is_document, joined
from auth_conformance.discovery.names import names
from auth_conformance.discovery.routes import Described, described_apps
from auth_conformance.discovery.swagger import is_swagger, upgraded
from auth_conformance.discovery.viewers import embedded, links
from auth_conformance.settings import ConfigurationError
from auth_conformance.transports.message import HttpRequest, RawReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from auth_conformance.discovery.asking import Scout

_YAML = re.compile(r"^[\"']?(?:openapi|swagger)[\"']?:", re.MULTILINE)
# A header that says where the description of an interface is (RFC 8631 §4.2, RFC 8288 §3).
_DESCRIBED_BY = re.compile(r"""<([^<>\s]+)>[^<>]*?;\s*rel="?(?:[^"<>,;]*\s)?service-desc\b""", re.IGNORECASE)
_REFUSALS = (401, 403)
# Documents of thousands of operations have many megabytes, unlike any other reply that is worth reading.
_LARGEST = 48 << 20
_WARMING = (502, 503, 504)
WARM_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """A document: `where` says for people, `path` is its path on the target or None.

    `unlisted`: it can be made and nobody is shown it, though the application has one that is shown. What a mounted
    application without a document does is as hidden as a route with `include_in_schema=False`.
    """

    raw: dict[str, Any]
    where: str
    path: str | None
    prefix: str = ""
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """The documents that were found, and sentences about unreadable ones.

    Where there is none: the paths that refused without a credential, and those that gave no answer in time.
    """

    found: list[Found]
    notes: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


async def find_documents(scout: Scout, given: str | None, address: str, app: object | None) -> Sought:
    """The documents, or why none was found.

    Raises ConfigurationError when a place was given and there is no document.
    """
    if given is not None:
        return Sought([await _given(scout, given, address)])
    if app is not None:
        made = [found for part in described_apps(app) if (found := await _from_app(scout, part)) is not None]
        shown = any(found.path is not None for found in made)
        if made:
            return Sought([replace(found, unlisted=shown and found.path is None) for found in made])
    sought = Sought([])
    await _at_usual_places(scout, sought)
    if sought.found:
        return Sought(sought.found, sought.notes)
    async for path in _linked(scout, address):
        reply = (await scout.ask(_whole(path), f"look for the document at {path}")).reply
        if (raw := read(reply, sought.notes, path)) is not None:
            return Sought([Found(raw, path, path)], sought.notes)
    return sought


async def _at_usual_places(scout: Scout, sought: Sought) -> None:
    """Add the first document that describes more than what strangers may read, and the shells that come before it."""
    paths = list(names("document", "paths"))
    while paths:
        path = paths.pop(0)
        reply = await _asked(scout, path, f"look for the document at {path}")
        if reply.status in _REFUSALS:
            sought.locked.append(path)
        if reply.late:
            sought.late.append(path)
        raw = read(reply, sought.notes, path)
        if raw is None or any(raw == item.raw for item in sought.found):
            continue
        if not sought.found and _thin(raw):
            paths += names("document", "mounted")
        sought.found.append(Found(raw, path, path))
        if not _thin(raw) or len(sought.found) > 1:
            return


def _thin(raw: dict[str, Any]) -> bool:
    """Whether a document describes nothing that takes a body or a credential: a shell around what is mounted in it.

    FastAPI leaves mounted applications out of the document of the one that they are mounted in.
    """
    paths = raw.get("paths")
    items = [item for item in paths.values() if isinstance(item, dict)] if isinstance(paths, dict) else []
    operations = [operation for item in items for operation in item.values() if isinstance(operation, dict)]
    return not raw.get("security") and not any(
        operation.get("requestBody") or operation.get("security") for operation in operations
    )


async def _asked(scout: Scout, path: str, label: str) -> RawReply:
    """What a place of a document answers; asked twice where it does not in time.

    A service of many operations makes its document when that is first asked for, and has it at hand from then on.
    """
    reply = (await scout.ask(_whole(path), label)).reply
    return (await scout.ask(_whole(path), f"{label} once more")).reply if reply.late else reply


def longer(path: str, seconds: float) -> str:
    """The line of configuration that waits longer than `seconds` for a document."""
    return (
        f"timeout = {max(30, 2 * math.ceil(seconds))}  # seconds: {path} gave no answer within {seconds:g} s"
    )


def _whole(path: str) -> HttpRequest:
    return HttpRequest("GET", path, limit=_LARGEST)


async def _given(scout: Scout, given: str, address: str) -> Found:
    notes: list[str] = []
    text = _file_text(given)
    if text is not None:
        raw = parse(text, notes, given)
        where, path = given, None
    else:
        path = _own_path(given, address)
        reply = await _asked(scout, path, "read the given document")
        raw = read(reply, notes, given)
        where = given
        if reply.late:
            raise ConfigurationError(
                f"openapi = {given!r} gave {reply.error}. Wait longer, or download it and give the file:\n"
                f"{longer(path, scout.settings.timeout)}"
            )
        if raw is None and not notes:
            notes.append(f"it answers {scout.shown(reply, 100)}")
    if raw is None:
        reason = f" ({'; '.join(notes)})" if notes else ""
        raise ConfigurationError(
            f"openapi = {given!r} is neither a file nor an OpenAPI 3 document of this target{reason}."
        )
    return Found(raw, where, path)


def _file_text(given: str) -> str | None:
    file = Path(given)
    return file.read_text("utf-8", "replace") if file.is_file() else None


def _own_path(given: str, address: str) -> str:
    parts = urlsplit(given)
    if not parts.scheme:
        return given if given.startswith("/") else f"/{given}"
    own = urlsplit(address)
    if (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise ConfigurationError(
            f"openapi = {given!r} is on another host than {address}: download it and give the file instead."
        )
    return (parts.path or "/").removeprefix(own.path.rstrip("/"))


async def _from_app(scout: Scout, part: Described) -> Found | None:
    if part.path:
        path = part.prefix + part.path
        reply = (await scout.ask(_whole(path), "read the application's document")).reply
        raw = read(reply, [], path)
        if raw is not None:
            return Found(raw, path, path, part.prefix)
    with contextlib.suppress(Exception):  # whatever breaks it, routes are read another way
        raw = part.make()
        if is_document(raw):
            return Found(
                json.loads(json.dumps(raw)),
                f"{part.prefix or 'the application'} (not served)",
                None,
                part.prefix,
            )
    return None


async def _linked(scout: Scout, address: str) -> AsyncIterator[str]:
    """The paths that pages, and the scripts that they name, say a document is at."""
    seen: set[str] = set(names("document", "paths"))
    own = urlsplit(address)
    pages = list(names("document", "pages"))
    asked: set[str] = set()
    rare, speaks = list(names("document", "rare")), False
    while pages or (speaks and rare):
        if not pages:
            pages = list(names("document", "catalogues"))
            while rare:
                yield rare.pop(0)
        page = pages.pop(0)
        if page in asked:
            continue
        asked.add(page)
        reply = (await scout.ask(HttpRequest("GET", page), f"look for links to a document in {page}")).reply
        if page + "/" == _here(reply.header("location") or "", page, own):
            pages.insert(0, page + "/")
        speaks = speaks or reply.json is not None or reply.status in _REFUSALS
        told = [*_DESCRIBED_BY.findall(", ".join(reply.header_lines("link")))]
        if reply.ok and re.search(r"html|json$|javascript", reply.media_type):
            told += links(reply.text)
        for link in told:
            path = _here(link, page, own)
            if not path or path in seen:
                continue
            seen.add(path)
            yield path
            if path.endswith(".js"):
                pages.insert(0, path)


def _here(link: str, page: str, own: SplitResult) -> str:
    """The path of a link on this target, and nothing for what is elsewhere."""
    netloc, path = joined(page, link) or ("invalid", "")
    return path.removeprefix(own.path.rstrip("/")) if netloc in ("", own.netloc) else ""


def read(reply: RawReply, notes: list[str], where: str) -> dict[str, Any] | None:
    """The document in a reply, if there is one: judged by content."""
    if reply.status is None or not reply.body:
        return None
    if is_document(reply.json):
        found: dict[str, Any] = reply.json
        return found
    if is_swagger(reply.json):
        return upgraded(reply.json)
    if reply.json is None and (shown := embedded(reply.text, _described)) is not None:
        return upgraded(shown) if is_swagger(shown) else dict(shown)
    if reply.json is None and _YAML.search(reply.text[:20_000]) is not None:
        return parse(reply.text, notes, where)
    if reply.truncated and '"openapi"' in reply.text[:2000]:
        notes.append(f"{where} is larger than is read over the network: download it and give the file")
    return None


def _described(value: Any) -> bool:
    return is_document(value) or is_swagger(value)


def parse(text: str, notes: list[str], where: str) -> dict[str, Any] | None:
    """A document from JSON text, or from YAML where PyYAML is installed."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raw = _yaml(text, notes, where)
    if is_document(raw):
        found: dict[str, Any] = raw
        return found
    return upgraded(raw) if is_swagger(raw) else None


def _yaml(text: str, notes: list[str], where: str) -> Any:
    try:
        # Dates become text again: a document is JSON data.
        return json.loads(json.dumps(yaml.safe_load(text), default=str))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        notes.append(f"{where} is neither JSON nor YAML")
        return None


async def calibrate(scout: Scout, address: str) -> None:
    """Learn what unknown paths get. Raises ConfigurationError when nothing answers at all."""
    for folder in ("/", "/api/"):
        path = folder + "auth-conformance-" + secrets.token_hex(6)
        reply = await _warm(scout, path)
        if reply.status is None:
            raise ConfigurationError(
                f"{address} cannot be reached: {explained(reply.error or 'no answer', address)}."
            )
        scout.remember_fallback(reply, path)


async def _warm(scout: Scout, path: str) -> RawReply:
    """What the path gets once the target has started: gateways say 502 to 504 until it has."""
    end = asyncio.get_running_loop().time() + WARM_WITHIN
    while True:
        reply = (await scout.ask(HttpRequest("GET", path), "see what an unknown path gets")).reply
        if reply.status not in _WARMING or asyncio.get_running_loop().time() > end:
            return reply
        await asyncio.sleep(1.0)


def explained(error: str, address: str) -> str:
    """Why a target cannot be reached, and what to try, for the message of a transport."""
    lower = error.lower()
    if "wrong_version_number" in lower or "record layer failure" in lower:
        return f"nothing there speaks TLS; is it {address.replace('https://', 'http://', 1)}? ({error})"
    if "all connection attempts failed" in lower or "connection refused" in lower:
        return f"nobody listens there; does the service run, and at this port? ({error})"
    if address.startswith("http://") and lower.startswith("connection closed without an answer"):
        return f"{error}; if it speaks TLS, write {address.replace('http://', 'https://', 1)}"
    if "certificate" in lower or "ssl" in lower:
        return (
            f"TLS failed ({error}); for a test server with a certificate of its own, let ca_file name its "
            "authority, or set verify_tls = false"
        )
    if (
        "name or service" in lower
        or "getaddrinfo" in lower
        or "name resolution" in lower
        or "nodename" in lower
    ):
        return f"there is no such host ({error})"
    return error
