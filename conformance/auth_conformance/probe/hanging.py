"""What hangs on an object without standing below it in the path: operations that name it in their body or query."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.oracles.privilege import access_words

if TYPE_CHECKING:
    from auth_conformance.target import Objects, Operation, Target

# What a member that names an object ends with, and what alone says nothing of which collection it is of.
_ENDS = ("id", "uuid", "guid", "slug", "key", "ref")
_BELOW = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Hook:
    """An operation, and the parameter of its query that takes the object's id; "" where the path does."""

    operation: Operation
    parameter: str = ""

    def query(self, identifier: str) -> tuple[tuple[str, str], ...]:
        """What the query says of the object."""
        return ((self.parameter, identifier),) if self.parameter else ()


def read_at(target: Target, objects: Objects) -> Iterator[Hook]:
    """What is read below an object, or by its id in the query: its members, its history, the remarks on it."""
    start = objects.read.path.rstrip("/") + "/"
    names = _called(objects)
    own = {item.name for item in (objects.read, objects.listing) if item is not None}
    for operation in target.reads():
        if operation.path.startswith(start) and "{" not in operation.path[len(start) :]:
            yield Hook(operation)
        if operation.name in own or operation.method != "GET" or "{" in operation.path:
            continue
        asked = (item.name for item in operation.parameters if item.place == "query")
        found = next((name for name in asked if _plain(name) in names), None)
        if found is not None:
            yield Hook(operation, found)


def named_in_body(operation: Operation, objects: Objects) -> tuple[Operation, str] | None:
    """The operation as one whose body names the object, and the pointer of the member that does: `{vehicle_id}`."""
    schema = next((item for media, item in operation.bodies.items() if media.endswith("json")), {})
    # What has a body of its own, as GraphQL has, says there what it is about.
    members: Mapping[str, Any] = (schema.get("properties") or {}) if operation.body is None else {}
    names = _called(objects)
    for name in schema.get("required") or ():
        kind = members[name].get("type") if isinstance(members.get(name), Mapping) else None
        if _plain(str(name)) in names and kind in ("string", "integer"):
            return replace(operation, body={name: "" if kind == "string" else 0}), f"/{name}"
    return None


def several_at_once(target: Target, objects: Objects) -> Iterator[tuple[Operation, str]]:
    """What answers with the objects whose ids a body lists, and the member that does; "" where the body is the list."""
    collection, text = objects.create.path.rstrip("/"), objects.text_field.rpartition("/")[2]
    for operation in target.operations:
        named = (
            operation.method == "POST" and operation.path.startswith(collection) and operation.body is None
        )
        if not named or operation.path.count("{") > collection.count("{"):
            continue
        member = id_list(operation)
        if member is not None and f'"{text}"' in json.dumps(granted_by(operation), default=str):
            yield operation, member


def granted_by(operation: Operation) -> list[Any]:
    """What an operation is documented to answer where it says yes."""
    return [answer for status, answer in operation.responses.items() if str(status).startswith("2")]


def id_list(operation: Operation) -> str | None:
    """The member of a body that takes several ids; "" when the body itself does; None when none."""
    for schema in operation.bodies.values():
        if schema.get("type") == "array":
            return ""
        for name, member in schema.get("properties", {}).items():
            if isinstance(member, dict) and member.get("type") == "array" and "id" in name.lower():
                return str(name)
    return None


def typed(identifier: str) -> str | int:
    """An identifier as it stands in JSON: a number where it is one."""
    with contextlib.suppress(ValueError):
        return int(identifier)
    return identifier


def asks_to_be_let_in(operation: Operation) -> bool:
    """Whether an operation may be meant for people who do not see the object: they ask to join, or report it."""
    return not set(access_words("asking")).isdisjoint(_BELOW.findall(operation.path.lower()))


def _called(objects: Objects) -> frozenset[str]:
    """How other operations may name one of the objects, in one spelling: its parameter, or its collection's word."""
    found = {_plain(objects.id_parameter.rpartition("/")[2])} - set(_ENDS)
    for operation in (objects.create, objects.read):
        parts = [part for part in operation.path.split("/") if part and "{" not in part]
        for word in _BELOW.findall(parts[-1].lower()) if parts else ():
            stems = {word, word.removesuffix("s"), word.removesuffix("es")}
            stems |= {word.removesuffix("ies") + "y"} if word.endswith("ies") else set()
            found |= {stem + end for stem in stems for end in _ENDS}
    return frozenset(found)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").lstrip("?")
