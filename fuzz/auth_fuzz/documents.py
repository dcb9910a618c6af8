"""An OpenAPI document of one operation, as Schemathesis reads it: what discovery understood, and no security."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from auth_conformance.target import HOLE

if TYPE_CHECKING:
    from auth_conformance.credentials import Carrier
    from auth_conformance.target import Operation


def document_of(operation: Operation, carriers: tuple[Carrier, ...] = ()) -> dict[str, Any]:
    """The operation by itself. Parameters that carry credentials are left out: those are ours to send."""
    ours = {(carrier.place, carrier.name.lower()) for carrier in carriers} | {("header", "authorization")}
    parameters = [
        {
            "name": item.name,
            "in": item.place,
            "required": item.required or item.place == "path",
            "schema": dict(item.schema) or {"type": "string"},
        }
        for item in operation.parameters
        if (item.place, item.name.lower()) not in ours and "csrf" not in item.name.lower()
    ]
    named = {item["name"] for item in parameters if item["in"] == "path"}
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in placeholders(operation.path)
        if name not in named
    ]
    described: dict[str, Any] = {
        "operationId": "operation",
        "parameters": parameters,
        "responses": {"default": {"description": "any"}},
    }
    bodies = {media: {"schema": schema} for media, schema in operation.bodies.items()}
    if bodies:
        described["requestBody"] = {"required": True, "content": bodies}
    return {
        "openapi": "3.1.0",
        "info": {"title": "one operation", "version": "1"},
        "paths": {operation.path: {operation.method.lower(): described}},
    }


def placeholders(path: str) -> list[str]:
    """The names in braces."""
    return HOLE.findall(path)


def encoded(document: dict[str, Any]) -> bytes:
    """The document as bytes; what JSON cannot hold is written as text."""
    return json.dumps(document, default=str).encode()
