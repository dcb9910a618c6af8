"""JSON data held against a schema of an OpenAPI document: what does not fit, and what nobody documented.

A member counts as documented when any part of a composition that applies to the object names it (as
`unevaluatedProperties` has it in JSON Schema 2020-12). References are resolved before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.oracles.pointer import escape

# Lists are alike from one element to the next; so many are looked at.
_ELEMENTS = 25
_DEEPEST = 12
# Members whose presence in an answer gives a credential away.
CREDENTIAL = re.compile(
    r"passw|pwd|passphrase|secret|salt|(?:^|_)hash|hashed|token|api_?key|private_?key|otp|credential",
    re.IGNORECASE,
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """How a value fits. `extras` are pointers to members that nothing documents.

    `vague` says that the schema allows anything in some place where there is something. `blank` are those of the
    mismatches that are a null in the place of a value.
    """

    mismatches: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    vague: bool = False
    blank: tuple[str, ...] = ()


@dataclass(slots=True)
class _Notes:
    """What one schema says about one object: members with their schemas, and whether others are welcome."""

    mismatches: list[str] = field(default_factory=list)
    members: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    items: list[Mapping[str, Any]] = field(default_factory=list)
    welcome: bool = False
    says: bool = False


def fit(value: Any, schema: Any, pointer: str = "", depth: int = 0) -> Fit:
    """Hold `value` against `schema`."""
    if not isinstance(schema, Mapping) or not schema or depth > _DEEPEST:
        return Fit(vague=True)
    notes = _Notes()
    _read(value, schema, notes, pointer, depth)
    mismatches, extras, vague = list(notes.mismatches), [], False
    blank = list(notes.mismatches) if value is None else []
    if isinstance(value, dict):
        if not notes.members and not notes.welcome:
            vague = bool(value)
        for name, item in value.items():
            below = f"{pointer}/{escape(str(name))}"
            known = notes.members.get(name)
            if known is None:
                if notes.members and not notes.welcome:
                    extras.append(below)
                else:
                    vague = True
                continue
            inner = [fit(item, each, below, depth + 1) for each in known]
            # Several parts may speak about one member: it has to fit all, and any may document what is in it.
            mismatches += [text for one in inner for text in one.mismatches]
            blank += [text for one in inner for text in one.blank]
            extras += sorted(set.intersection(*(set(one.extras) for one in inner)))
            vague = vague or all(one.vague for one in inner)
    elif isinstance(value, list):
        vague = bool(value) and not notes.items
        for index, item in enumerate(value[:_ELEMENTS] if notes.items else []):
            one = fit(item, notes.items[0], f"{pointer}/{index}", depth + 1)
            mismatches += one.mismatches
            blank += one.blank
            extras += one.extras
            vague = vague or one.vague
    elif not notes.says:
        vague = True
    found, foreign, null = (tuple(dict.fromkeys(texts)) for texts in (mismatches, extras, blank))
    return Fit(found, foreign, vague, null)


def _read(value: Any, schema: Mapping[str, Any], notes: _Notes, pointer: str, depth: int) -> None:  # noqa: C901 - one keyword after the other
    where = pointer or "the body"
    if value is None and schema.get("nullable") is True:  # OpenAPI 3.0.3, Schema Object
        notes.says = True
        return
    expected = schema.get("type")
    names = [expected] if isinstance(expected, str) else expected if isinstance(expected, list) else []
    if names:
        notes.says = True
        if not any(_is_of(value, str(name)) for name in names):
            notes.mismatches.append(f"{where} is {_kind(value)}, not {' or '.join(map(str, names))}")
            return
    if isinstance(schema.get("enum"), list):
        notes.says = True
        if value not in schema["enum"]:
            notes.mismatches.append(f"{where} is none of the listed values")
    if "const" in schema:
        notes.says = True
        if value != schema["const"]:
            notes.mismatches.append(f"{where} is not the one value that is documented")
    if isinstance(value, dict):
        _read_object(value, schema, notes, where)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping) and schema["items"]:
        notes.items.append(schema["items"])
    for part in _parts(schema, "allOf"):
        _read(value, part, notes, pointer, depth)
    for keyword in ("anyOf", "oneOf"):
        _read_choice(value, _parts(schema, keyword), notes, pointer, depth)


def _read_object(value: Mapping[str, Any], schema: Mapping[str, Any], notes: _Notes, where: str) -> None:
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        notes.members.setdefault(str(name), []).append(inner if isinstance(inner, Mapping) else {})
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        # What only requests hold is required of them alone (OpenAPI 3.0.3, Schema Object, `writeOnly`).
        if name not in value and not any(_of_requests(inner) for inner in notes.members.get(str(name), ())):
            notes.mismatches.append(f"{where} lacks the required member {name}")
    patterns = schema.get("patternProperties")
    for pattern, inner in patterns.items() if isinstance(patterns, Mapping) else ():
        for name in value:
            if _matches(str(pattern), name):
                notes.members.setdefault(name, []).append(inner if isinstance(inner, Mapping) else {})
    others = schema.get("additionalProperties", schema.get("unevaluatedProperties"))
    if isinstance(others, Mapping) and others:
        known = properties if isinstance(properties, Mapping) else {}
        for name in value.keys() - known.keys():
            notes.members.setdefault(name, []).append(others)
    elif others is True or isinstance(others, Mapping):
        notes.welcome = True


def _of_requests(schema: Mapping[str, Any]) -> bool:
    return schema.get("writeOnly") is True or any(map(_of_requests, _parts(schema, "allOf")))


def _read_choice(
    value: Any, branches: list[Mapping[str, Any]], notes: _Notes, pointer: str, depth: int
) -> None:
    if not branches:
        return
    notes.says = True
    fitting = [branch for branch in branches if not fit(value, branch, pointer, depth + 1).mismatches]
    if not fitting:
        notes.mismatches.append(f"{pointer or 'the body'} fits none of {len(branches)} alternatives")
    for branch in fitting:
        _read(value, branch, notes, pointer, depth)


def _parts(schema: Mapping[str, Any], keyword: str) -> list[Mapping[str, Any]]:
    listed = schema.get(keyword)
    return [part for part in listed if isinstance(part, Mapping)] if isinstance(listed, list) else []


def _matches(pattern: str, name: str) -> bool:
    # Patterns of a hostile document can take for ever: only plain ones are used, others match everything.
    if not re.fullmatch(r"\^?[\w.\-\\\[\]]{0,40}[*+]?\$?", pattern):
        return True
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True


def _is_of(value: Any, name: str) -> bool:
    if name == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
    if name == "number" and isinstance(value, bool):
        return False
    return isinstance(value, _TYPES.get(name, (object,)))


def _kind(value: Any) -> str:
    for name in ("null", "boolean", "object", "array", "string"):
        if _is_of(value, name):
            return name
    return "a number"


def at(responses: Mapping[str, Any], status: int) -> Mapping[str, Any] | None:
    """The response that a document gives for `status`: itself, its range, or the default."""
    for name in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
        response = responses.get(name)
        if isinstance(response, Mapping):
            return response
    return None


def json_schema_of(response: Mapping[str, Any], media_type: str = "") -> Any:
    """The schema of a response's JSON body, of that media type where it is documented; None without any JSON."""
    content = response.get("content")
    found = {
        str(media).split(";")[0].strip().lower(): entry
        for media, entry in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(entry, Mapping)
    }
    spoken = [media for media in found if media.endswith("json")]
    if not spoken:
        return None
    return found[media_type if media_type in spoken else spoken[0]].get("schema") or {}
