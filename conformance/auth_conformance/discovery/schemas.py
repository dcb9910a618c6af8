"""Questions to JSON schemas: one plain schema out of combined ones, and the fields of a body by pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_conformance.oracles.pointer import escape

_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body: `pointer` is its plain name at the top level, a JSON pointer below it."""

    pointer: str
    name: str
    schema: Mapping[str, Any]
    required: bool


def merged(schema: Mapping[str, Any]) -> dict[str, Any]:
    """One schema: `allOf` joined, the first usable branch of `anyOf` and `oneOf` taken."""
    plain = {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "oneOf")}
    branches = schema.get("allOf")
    for branch in branches if isinstance(branches, list) else []:
        if isinstance(branch, Mapping):
            plain = _joined(plain, merged(branch))
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        usable = (
            [option for option in options if isinstance(option, Mapping)] if isinstance(options, list) else []
        )
        chosen = next((option for option in usable if option.get("type") != "null"), None)
        if chosen is not None:
            plain = _joined(plain, merged(chosen))
    return plain


def _joined(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**second, **first}
    for key in ("properties",):
        if isinstance(first.get(key), Mapping) and isinstance(second.get(key), Mapping):
            joined[key] = {**second[key], **first[key]}
    if isinstance(first.get("required"), list) and isinstance(second.get("required"), list):
        joined["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    for key, choose in (("minimum", max), ("minLength", max), ("maximum", min), ("maxLength", min)):
        if isinstance(first.get(key), (int, float)) and isinstance(second.get(key), (int, float)):
            joined[key] = choose(first[key], second[key])
    return joined


def type_of(schema: Mapping[str, Any]) -> str:
    """The type that values are made for: of several the first that is not null; "" when nothing says it."""
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((entry for entry in declared if entry != "null"), "null")
    if isinstance(declared, str):
        return declared
    if "properties" in schema or "additionalProperties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema else ""


def writable(schema: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """A schema of answers as one of requests: without what only the service writes (OpenAPI 3.0 §4.7.24.2 `readOnly`).

    Many generators describe both by one component. `done` holds, by identity, each part and what was made of it: parts
    are shared.
    """
    if isinstance(schema, list):
        return [writable(item, done) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if id(schema) in done:
        return done[id(schema)][1]
    made = {key: writable(item, done) for key, item in schema.items()}
    properties, listed = schema.get("properties"), schema.get("required")
    if isinstance(properties, Mapping):
        shown = {
            name
            for name, inner in properties.items()
            if isinstance(inner, Mapping) and merged(inner).get("readOnly") is True
        }
        if shown:
            made["properties"] = {name: made["properties"][name] for name in properties if name not in shown}
            if isinstance(listed, list):
                made["required"] = [name for name in listed if name not in shown]
    done[id(schema)] = schema, made  # the part itself as well: nothing else may take its identity
    return made


def fields(schema: Any, prefix: str = "", *, required: bool = True, depth: int = 0) -> list[Field]:
    """The scalar members of a body schema that take a value, nested objects entered: a constant takes none."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return []
    plain = merged(schema)
    properties = plain.get("properties")
    listed = plain.get("required")
    demanded = set(map(str, listed)) if isinstance(listed, list) else set()
    found: list[Field] = []
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        schema_of = merged(inner) if isinstance(inner, Mapping) else {}
        needed = required and name in demanded
        pointer = f"{prefix}/{escape(str(name))}"
        if "const" in schema_of:
            continue
        if type_of(schema_of) == "object":
            found += fields(schema_of, pointer, required=needed, depth=depth + 1)
        else:
            found.append(Field(pointer if prefix else str(name), str(name), schema_of, needed))
    return found


def reply_fields(responses: Mapping[str, Any]) -> list[Field]:
    """The members of the bodies that an operation's successful answers are declared to have."""
    found: list[Field] = []
    for status, response in responses.items():
        content = response.get("content") if isinstance(response, Mapping) else None
        if not str(status).startswith("2") or not isinstance(content, Mapping):
            continue
        for media in content.values():
            found += fields(media.get("schema") if isinstance(media, Mapping) else None)
    return found
