"""What an OpenAPI document leaves unsaid about its operations: read from the document alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
# What a schema says without saying anything of values (JSON Schema 2020-12 §9).
_WORDS = {"title", "description", "example", "examples", "deprecated", "$comment"}
_WITHOUT_BODY = {"204", "205", "304"}
# FastAPI writes this response by itself wherever there is input: nobody has declared it.
_OF_THE_FRAMEWORK = "HTTPValidationError"


@dataclass(frozen=True, slots=True)
class Lack:
    """What one operation, or the document ("" as operation), lacks. Notes are no fault."""

    operation: str
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()


def lacks(raw: Mapping[str, Any]) -> list[Lack]:
    """Everything that a reader of the document misses, by operation."""
    found = [_of_document(raw)]
    seen: dict[str, str] = {}
    for name, described in operations(raw):
        lack = _of_operation(name, described, raw)
        number = described.get("operationId")
        if isinstance(number, str) and number:
            if number in seen:
                lack = Lack(name, (*lack.missing, f"an operationId of its own ({seen[number]} has it too)"))
            seen.setdefault(number, name)
        else:
            lack = Lack(name, (*lack.missing, "an operationId"), lack.notes)
        found.append(lack)
    return [lack for lack in found if lack.missing or lack.notes]


def operations(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every operation as `GET /path`, with its own description."""
    paths = raw.get("paths")
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        for method, described in item.items() if isinstance(item, Mapping) else ():
            if method in _METHODS and isinstance(described, Mapping):
                yield f"{method.upper()} {path}", described


def _of_document(raw: Mapping[str, Any]) -> Lack:
    info = raw.get("info")
    info = info if isinstance(info, Mapping) else {}
    missing = [f"a {name} in `info`" for name in ("title", "version") if not _text(info.get(name))]
    notes = []
    components = raw.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    for name, scheme in schemes.items() if isinstance(schemes, Mapping) else ():
        if isinstance(scheme, Mapping) and not _text(scheme.get("description")) and "$ref" not in scheme:
            notes.append(f"the security scheme {name} has no description")
    return Lack("", tuple(missing), tuple(notes))


def _of_operation(name: str, described: Mapping[str, Any], raw: Mapping[str, Any]) -> Lack:
    missing: list[str] = []
    notes: list[str] = []
    if not described.get("tags"):
        missing.append("tags")
    summary = _text(described.get("summary"))
    if not summary:
        missing.append("a summary")
    elif _is_generated(summary, str(described.get("operationId") or "")):
        notes.append("its summary is the name of the function")
    if not _text(described.get("description")):
        notes.append("it has no description")
    responses = described.get("responses")
    responses = responses if isinstance(responses, Mapping) else {}
    if not any(_is_typed(str(status), response) for status, response in responses.items()):
        missing.append("a schema of its success")
    # Parameters of a path may stand beside its operations (OpenAPI 3.1 §4.8.9).
    takes = described.get("parameters") or described.get("requestBody") or "{" in name
    demanded = described.get("security", raw.get("security"))
    # An empty alternative makes the credential optional (OpenAPI 3.1 §4.8.10.1): nobody has to be refused.
    guarded = bool(demanded) and isinstance(demanded, list) and all(demanded)
    if (takes or guarded) and not any(_is_error(str(status), item) for status, item in responses.items()):
        missing.append("an error response")
    return Lack(name, tuple(missing), tuple(notes))


def _is_typed(status: str, response: Any) -> bool:
    if status in _WITHOUT_BODY or status.startswith("3"):
        return True
    if not status.startswith("2") and status != "default":
        return False
    if not isinstance(response, Mapping):
        return False
    content = response.get("content")
    if "$ref" in response:
        return True
    media = content.items() if isinstance(content, Mapping) else ()
    return any(
        not str(kind).endswith("json") or (isinstance(item, Mapping) and _says_something(item.get("schema")))
        for kind, item in media
    )


def _says_something(schema: Any) -> bool:
    """Whether a schema is more than a title: FastAPI writes one for whatever returns `Any`."""
    return isinstance(schema, Mapping) and bool(schema.keys() - _WORDS)


def _is_error(status: str, response: Any) -> bool:
    if status[:1] not in ("4", "5") and status != "default":
        return False
    return _OF_THE_FRAMEWORK not in str(response)


def _is_generated(summary: str, identifier: str) -> bool:
    """FastAPI makes "Read Users Me" of `read_users_me`, and `read_users_me_users_me_get` of both."""
    words = summary.lower().replace(" ", "_")
    return summary == summary.title() and " " in summary and identifier.lower().startswith(words)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
