"""What the configuration names has to be there: operations that the service does not have are refused.

A document need not list everything, so an operation that it does not list is asked for. Nobody calls, nothing is
sent along, and identifiers are made up: whatever answers, nothing is changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from auth_conformance.mistakes import dotted
from auth_conformance.notation import METHODS
from auth_conformance.settings import ConfigurationError
from auth_conformance.transports.message import HttpRequest, RawReply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# Identifiers that most kinds of path parameter take, and that name nothing.
_NOTHING = ("0", "00000000-0000-4000-8000-000000000000", "no-such-thing")
_CLOSE = 0.6


def named_operations(settings: Any, loc: tuple[int | str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every operation that the configuration names, with the place where it stands."""
    if isinstance(settings, BaseModel):
        for name, info in type(settings).model_fields.items():
            yield from named_operations(getattr(settings, name), (*loc, info.alias or name))
    elif isinstance(settings, list | tuple):
        for number, item in enumerate(settings):
            yield from named_operations(item, (*loc, number))
    elif isinstance(settings, Mapping):
        for key, item in settings.items():
            yield from named_operations(str(key), loc)
            yield from named_operations(item, (*loc, str(key)))
    elif isinstance(settings, str) and settings.partition(" ")[0] in METHODS and " /" in settings:
        yield dotted(loc), settings


async def insist(scout: Scout, known: Knowledge) -> None:
    """Raises ConfigurationError for an operation of the configuration that is not there."""
    asked: dict[str, bool] = {}
    for place, name in named_operations(known.settings):
        if known.operation(name).name in known.operations:
            continue
        if name not in asked:
            asked[name] = await _is_there(scout, known, name)
        if not asked[name]:
            raise ConfigurationError(
                f'{place} = "{name}": this service has no such operation{_near(known, name)}'
            )


def _near(known: Knowledge, name: str) -> str:
    method, _, path = name.partition(" ")
    plain = path.rstrip("/")
    same = [item.name for item in known.operations.values() if item.path.rstrip("/") == plain]
    listed = [item for item in known.operations if item.startswith(method + " ")]
    # A document's paths may stand below a base path that people leave out.
    below = [item for item in listed if item.rstrip("/").endswith(plain)]
    close = same or below or difflib.get_close_matches(name, listed, 3, _CLOSE)
    return f"; did you mean {' or '.join(close[:3])}?" if close else "."


async def _is_there(scout: Scout, known: Knowledge, name: str) -> bool:
    """Whether anything speaks for the operation. A service that answers everything alike is believed."""
    path = name.partition(" ")[2]
    bare = replace(known.operation(name), body=None)
    names = [part.split("}")[0] for part in path.split("{")[1:]]
    callers = [None, *(known.credential(label) for label in ("admin", "a"))]
    for nothing in _NOTHING if names else ("",):
        request = bare.request(dict.fromkeys(names, nothing))
        reply = (await scout.ask(request, f"is there {name}?")).reply
        if reply.status in _NO_METHOD:
            return False
        if not _absent(scout, reply, request.path):
            return True
        guarded = reply.status in _REFUSED
        # A path that has other methods answers OPTIONS otherwise than one that is not there. Some services hide
        # from strangers what they have: with a credential only what changes nothing is asked for.
        options = HttpRequest("OPTIONS", request.path)
        for caller in callers:
            reply = (await scout.ask(options, f"what is there at {request.path}?", credential=caller)).reply
            elsewhere = HttpRequest("OPTIONS", f"/no-such-path-{scout.run_id}")
            usual = (
                await scout.ask(elsewhere, "what OPTIONS gets where nothing is", credential=caller)
            ).reply
            if reply.status is not None and reply.status not in _GONE and reply.status != usual.status:
                return True
            if caller is not None and request.method == "GET":
                reply = (await scout.ask(request, f"is there {name}?", credential=caller)).reply
                if not _absent(scout, reply, request.path):
                    return True
            if usual.status not in _GONE and caller is None and request.method != "GET" and names:
                return True  # OPTIONS says nothing here, and what is made up may rightly be unknown
        if guarded and request.method != "GET":
            return True  # who calls is asked before what for, and with a credential nothing that changes is tried
    return False


def _absent(scout: Scout, reply: RawReply, path: str) -> bool:
    return reply.status in _GONE or scout.is_fallback(reply, path)
