"""Requests that an operation's schemas allow: complete, the same for the same seed, without credentials."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import mentions, names, rank
from auth_conformance.discovery.patterns import compiled
from auth_conformance.discovery.schemas import Field, fields, merged, type_of
from auth_conformance.discovery.values import bounds, most_of, sample
from auth_conformance.oracles.pointer import put, put_alike, resolve
from auth_conformance.target import another, file_members, open_texts, typed
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    import random

    from auth_conformance.target import Operation, Parameter

FORM = "application/x-www-form-urlencoded"
_UUID_LENGTH = 36
_FREE = 12
# Of the make of every mark that is written into objects: small letters and digits.
_MARK = "cn0123456789"

__all__ = [
    "FORM",
    "body_type",
    "build_request",
    "creation",
    "free_text",
    "sample",
    "searching",
    "unguessable",
    "with_body",
]


def build_request(
    operation: Operation, rng: random.Random, *, path_values: Mapping[str, str] | None = None
) -> HttpRequest:
    """A request that the operation's schemas allow: required parameters and a body, no credential.

    Path parameters that `path_values` does not give get ids that nobody can have guessed.
    """
    values = dict(path_values or {})
    declared = {item.name: item for item in operation.parameters if item.place == "path"}
    for part in operation.path.split("{")[1:]:
        name = part.split("}")[0]
        if name not in values:
            values[name] = unguessable(declared.get(name), rng)
    request = operation.request(values)
    for item in operation.parameters:
        if (
            not item.required
            or item.place == "path"
            or f"header {item.name}" in values
            or (item.place == "query" and item.name in operation.asks and f"?{item.name}" in values)
            or (item.place, item.name) in {(place, name) for place, name, _ in operation.fixed}
            or rank(item.name, names("tokens", "headers")) is not None
        ):
            continue
        text = _written(sample(item.schema, rng, item.name))
        if item.place == "query":
            request = request.with_query((item.name, text))
        elif item.place == "header":
            request = request.with_headers((item.name, text))
        else:
            request = request.with_headers(("Cookie", f"{item.name}={text}"))
    media = body_type(operation)
    if media is None:
        return request
    made = sample(operation.bodies[media], rng)
    if isinstance(made, dict):
        made = operation.named(path_values, made)
    return with_body(request, media, made, file_members(operation.bodies[media]))


def creation(
    operation: Operation,
    rng: random.Random,
    text: str,
    mark: str,
    above: Mapping[str, str],
    *,
    apart: bool = False,
) -> tuple[HttpRequest, dict[str, Any]]:
    """The request that creates an object with `mark` at `text` in what stands `above` it, and its template.

    `apart`: with other texts than the examples of the document, which an object may have already.
    """
    media = body_type(operation) or "application/json"
    made = sample(operation.bodies[media], rng)
    template: dict[str, Any] = made if isinstance(made, dict) else {}
    for pointer in open_texts(operation, template, text) if apart else ():
        template = put(template, pointer, another(resolve(template, pointer), rng))
    for name, value in above.items():
        if name.startswith("/"):
            template = put_alike(template, name, value, template)
    body = put(template, text, mark)
    request = with_body(operation.request(above), media, body, file_members(operation.bodies[media]))
    return request, template


def body_type(operation: Operation) -> str | None:
    """The media type to send a body in: JSON before forms; None when the operation takes no such body."""
    for wanted in ("json", "x-www-form-urlencoded", "multipart/form-data"):
        for media in operation.bodies:
            if media.endswith(wanted):
                return media
    return "application/json" if "*/*" in operation.bodies else None


def with_body(request: HttpRequest, media: str, value: Any, files: Collection[str] = ()) -> HttpRequest:
    """`request` with `value` as its body; `files` are the members of a multipart body that are files."""
    if media.endswith("json") or not isinstance(value, Mapping):
        return typed(request.with_json(value), media)
    if media.endswith("x-www-form-urlencoded"):
        return request.with_form(tuple((str(key), _written(item)) for key, item in value.items()))
    return request.with_parts({key: _written(item) for key, item in value.items()}, files)


def _written(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case list():
            return ",".join(_written(item) for item in value)
        case _:
            return str(value)


def unguessable(parameter: Parameter | None, rng: random.Random) -> str:
    """An id of the parameter's type that no object has: a large integer, or a UUID of version 4."""
    schema = merged(parameter.schema) if parameter is not None else {}
    if type_of(schema) in ("integer", "number"):
        low, high = bounds(schema)
        return str(rng.randint(int(max(low, min(1_500_000_000, high - 1))), int(min(2_147_000_000, high))))
    if schema.get("enum") or schema.get("pattern") or most_of(schema) < _UUID_LENGTH:
        return _written(sample({key: item for key, item in schema.items() if key != "example"}, rng))
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def searching(parameter: Parameter) -> bool:
    """Whether a parameter of a query takes any text, and its document gives no value for it."""
    schema = merged(parameter.schema)
    told = ("enum", "const", "default", "example", "examples", "format", "pattern")
    return type_of(schema) == "string" and not any(key in schema for key in told)


def _takes_words(pattern: object) -> bool:
    """Whether a pattern lets the marks of this suite through: most only forbid control characters."""
    expression = compiled(pattern)
    return pattern is None or (expression is not None and expression.search(_MARK) is not None)


# Members whose text is more often of one form.
_OF_A_FORM = ("url", "uri", "image", "color")


def free_text(schema: Any) -> Field | None:
    """The member of a body that takes free text; of a form that uploads, a file where it takes nothing else."""
    files = file_members(schema) if isinstance(schema, Mapping) else frozenset[str]()
    found = [
        item
        for item in fields(schema)
        if item.schema.get("type") == "string"
        and item.pointer not in files
        and not any(key in item.schema for key in ("enum", "const", "format"))
        and _takes_words(item.schema.get("pattern"))
        and int(item.schema.get("maxLength", 999)) >= _FREE
        and not mentions(item.name, ("password", "token", "id", "email", "phone", "date"))
    ]
    # Where nothing else is text, an image may be the name of one, and an address is not always looked at.
    found = [item for item in found if not mentions(item.name, _OF_A_FORM)] or found
    found = found or [item for item in fields(schema) if item.pointer in files]
    wanted = names("objects", "text")
    ranked = sorted(
        found,
        key=lambda item: (not item.required, 99 if (place := rank(item.name, wanted)) is None else place),
    )
    return ranked[0] if ranked else None
