"""Filters of a collection: which members of an object they compare with, and what has to stand there to be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.oracles.nesting import joined, put_within, wrapped
from auth_conformance.oracles.standing import flattened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.probe.scene import Scene
    from auth_conformance.target import Objects


def findable(scene: Scene, objects: Objects, filters: Iterable[str]) -> dict[str, Any]:
    """The body of a creation with a word in each optional member that a filter compares with.

    What chooses among words, or stands for something if nothing is said, stays as it is: `visibility` may open it.
    """
    template = dict(objects.template)
    schema = next((item for media, item in objects.create.bodies.items() if media.endswith("json")), {})
    path, plain = wrapped(schema, template, {})
    present = {
        name.rpartition("/")[2] for name, value in flattened(template).items() if value not in ("", "[]")
    }
    made: dict[str, Any] = {}
    for member, inner in (plain.get("properties") or {}).items():
        if member in present or not any(member in _members_of(name) for name in filters):
            continue
        listed = joined(inner).get("items")
        free = joined(listed or inner)
        if (
            free.get("type") not in ("string", ["string", "null"])
            or {"enum", "const", "format"} & free.keys()
            or joined(inner).get("default")
        ):
            continue
        demanded = {"type": "object", "properties": {member: listed or inner}, "required": [member]}
        asked = replace(objects.create, bodies={"application/json": demanded}, body=None)
        value = scene.required_of(asked).get(member)
        made |= {} if value is None else {member: [value] if listed else value}
    return put_within(template, path, made) if made else template


def values_for(filters: Iterable[str], shown: Any) -> dict[str, str]:
    """What each filter is asked for so that it finds the object that a reply shows."""
    plain = [
        ([part for part in pointer.split("/") if not part.isdecimal()][-1], value)
        for pointer, value in flattened(shown).items()
        if pointer and value not in (None, "", "[]", "{}")
    ]
    found: dict[str, str] = {}
    for name in filters:
        value = next((value for member, value in plain if member in _members_of(name)), None)
        if value is not None:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _members_of(name: str) -> set[str]:
    """How the member may be called that a filter of this name compares with: `tag` finds `tags`."""
    stem = name.removesuffix("[]")
    found = {stem, f"{stem}s", f"{stem}es", f"is_{stem}"}
    found |= {stem[:-1]} if stem.endswith("s") else set()
    return found | ({f"{stem[:-1]}ies"} if stem.endswith("y") else set())
