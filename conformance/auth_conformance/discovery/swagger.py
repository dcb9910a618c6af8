"""Swagger 2 documents as OpenAPI 3: many services still serve nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth_conformance.discovery.sampling import FORM

_FLOWS = {
    "password": "password",
    "implicit": "implicit",
    "application": "clientCredentials",
    "accessCode": "authorizationCode",
}
_MOVED = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
_OF_SCHEMA = (
    "type", "format", "enum", "items", "default", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems",
    "maxItems", "uniqueItems", "multipleOf", "x-example",
)  # fmt: skip


def is_swagger(value: Any) -> bool:
    """Whether JSON data is a Swagger 2 document."""
    return (
        isinstance(value, dict)
        and str(value.get("swagger", "")).startswith("2")
        and isinstance(value.get("paths"), dict)
    )


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same document in the words of OpenAPI 3. What is not understood is left out."""
    consumes = _texts(raw.get("consumes")) or ["application/json"]
    shared = _objects(raw.get("parameters"))
    paths: dict[str, Any] = {}
    for path, item in raw["paths"].items():
        if not isinstance(item, Mapping):
            paths[path] = item
            continue
        common = _parameters(item.get("parameters"), shared)
        paths[path] = {
            str(method): _operation(described, common, shared, consumes)
            for method, described in item.items()
            if method != "parameters" and isinstance(described, Mapping)
        }
    found = {
        "openapi": "3.0.3",
        "info": raw.get("info", {}),
        "servers": [{"url": str(raw.get("basePath") or "/")}],
        "paths": paths,
        "components": {
            "schemas": _objects(raw.get("definitions")),
            "responses": _objects(raw.get("responses")),
            "securitySchemes": {
                name: _scheme(entry) for name, entry in _objects(raw.get("securityDefinitions")).items()
            },
        },
    }
    if "security" in raw:
        found["security"] = raw["security"]
    moved = _moved(found)
    return moved if isinstance(moved, dict) else found


def _operation(
    described: Mapping[str, Any],
    common: list[Mapping[str, Any]],
    shared: Mapping[str, Any],
    consumes: list[str],
) -> dict[str, Any]:
    own = _parameters(described.get("parameters"), shared)
    named = {(item.get("name"), item.get("in")): item for item in (*common, *own)}
    media = _texts(described.get("consumes")) or consumes
    made = {
        key: value for key, value in described.items() if key not in ("parameters", "consumes", "produces")
    }
    made["parameters"] = [
        {**{key: item[key] for key in ("name", "in", "required") if key in item}, "schema": _schema(item)}
        for item in named.values()
        if item.get("in") in ("path", "query", "header")
    ]
    body = next((item for item in named.values() if item.get("in") == "body"), None)
    form = [item for item in named.values() if item.get("in") == "formData"]
    if body is not None:
        made["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {kind: {"schema": body.get("schema") or {}} for kind in media},
        }
    elif form:
        schema = {
            "type": "object",
            "properties": {str(item.get("name")): _schema(item) for item in form},
            "required": [str(item.get("name")) for item in form if item.get("required")],
        }
        kinds = [kind for kind in media if "form" in kind] or [FORM]
        made["requestBody"] = {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}
    made["responses"] = {
        str(status): _response(answer) for status, answer in _objects(described.get("responses")).items()
    }
    return made


def _response(answer: Any) -> Any:
    if not isinstance(answer, Mapping) or not isinstance(answer.get("schema"), Mapping):
        return answer
    return {**answer, "content": {"application/json": {"schema": answer["schema"]}}}


def _scheme(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    match entry.get("type"):
        case "basic":
            return {"type": "http", "scheme": "basic"}
        case "oauth2":
            flow = {key: entry[key] for key in ("tokenUrl", "authorizationUrl", "scopes") if key in entry}
            return {"type": "oauth2", "flows": {_FLOWS.get(str(entry.get("flow")), "implicit"): flow}}
        case _:
            return dict(entry)


def _parameters(listed: Any, shared: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = []
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, Mapping):
            continue
        reference = str(item.get("$ref") or "")
        entry = shared.get(reference.removeprefix("#/parameters/")) if reference else item
        if isinstance(entry, Mapping):
            found.append(entry)
    return found


def _schema(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {key: parameter[key] for key in _OF_SCHEMA if key in parameter}


def _objects(value: Any) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _moved(value: Any) -> Any:
    """Every reference pointed to where OpenAPI 3 keeps what it names."""
    match value:
        case dict():
            return {
                key: _reference(item) if key == "$ref" and isinstance(item, str) else _moved(item)
                for key, item in value.items()
            }
        case list():
            return [_moved(item) for item in value]
        case _:
            return value


def _reference(text: str) -> str:
    for old, new in _MOVED.items():
        if text.startswith(old):
            return new + text.removeprefix(old)
    return text
