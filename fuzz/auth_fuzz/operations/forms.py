"""The forms of an operation's requests: a media type and choices in the query, behind which other code may stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest

# A pattern that only lists words: `^(json|csv)$`.
_LISTED = re.compile(r"\^?\(?(?:\?:)?(?P<words>[\w.-]+(?:\|[\w.-]+)+)\)?\$?")


def form_of(operation: Operation, request: HttpRequest) -> tuple[str, ...]:
    """What may lead a request through other code than its neighbours."""
    media = next((str(value) for name, value in request.headers if name.lower() == "content-type"), "")
    chosen = {item.name for item in operation.parameters if item.place == "query" and _is_choice(item.schema)}
    picked = sorted(f"{name}={value}" for name, value in request.query if name in chosen)
    return media.split(";")[0], *picked


def choices(operation: Operation) -> list[tuple[str, str]]:
    """Each value that a parameter of the query may be given, where the document names them; not what it is anyway."""
    return [
        (item.name, value)
        for item in operation.parameters
        if item.place == "query"
        for value in dict.fromkeys(_values(item.schema))
        if value != str(item.schema.get("default", "")).lower()
    ]


def chosen(request: HttpRequest, choice: tuple[str, str]) -> HttpRequest:
    """The request with that choice, whatever it had chosen before."""
    kept = tuple(pair for pair in request.query if pair[0] != choice[0])
    return replace(request, query=(*kept, choice))


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [schema, *(item for item in schema.get("anyOf") or () if isinstance(item, Mapping))]


def _is_choice(schema: Mapping[str, Any]) -> bool:
    """Whether a schema allows a few values only."""
    return any(
        "enum" in item or item.get("type") == "boolean" or "|" in str(item.get("pattern", ""))
        for item in _alternatives(schema)
    )


def _values(schema: Mapping[str, Any]) -> Iterator[str]:
    for item in _alternatives(schema):
        listed = _LISTED.fullmatch(str(item.get("pattern", "")))
        if item.get("type") == "boolean":
            yield from ("true", "false")
        elif isinstance(item.get("enum"), list):
            yield from (str(value) for value in item["enum"] if isinstance(value, str | int))
        elif listed is not None:
            yield from listed["words"].split("|")
