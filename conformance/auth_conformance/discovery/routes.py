"""What the application object itself knows: routes with their source lines, hidden ones and mounted ones too.

Frameworks are recognised by their attributes; FastAPI is imported only when the application is made of it.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.references import References
from auth_conformance.model import Provenance, SourceLine
from auth_conformance.source.tree import relative
from auth_conformance.target import Operation, Parameter, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_WRAPPERS = 6
_MOUNTS = 4
_TYPES: Mapping[str, Schema] = {
    "IntegerConvertor": {"type": "integer"},
    "FloatConvertor": {"type": "number"},
    "UUIDConvertor": {"type": "string", "format": "uuid"},
}


@dataclass(frozen=True, slots=True)
class SeenRoute:
    """A route of the application; `hidden` ones are not in its document. `path` has the mounts' prefix."""

    operation: Operation
    hidden: bool


@dataclass(frozen=True, slots=True)
class Described:
    """An application that makes an OpenAPI document, below `prefix`; `path` is None where it serves none."""

    prefix: str
    path: str | None
    make: Callable[[], Any] = field(repr=False)


def unwrapped(app: object) -> object:
    """The application inside middleware that wraps it by hand; the object itself when nothing has routes."""
    inner: object = app
    for _ in range(_WRAPPERS):
        if hasattr(inner, "routes"):
            return inner
        inner = getattr(inner, "app", None)
        if inner is None:
            break
    return app


def described_apps(app: object) -> list[Described]:
    """The application and its mounted sub-applications, as far as they make documents."""
    return [
        Described(prefix, getattr(part, "openapi_url", None), part.openapi)
        for prefix, part in _parts(unwrapped(app))
        if callable(getattr(part, "openapi", None))
    ]


def seen_routes(app: object) -> tuple[SeenRoute, ...]:
    """Every HTTP route of a FastAPI or Starlette application; nothing for other objects."""
    found: list[SeenRoute] = []
    for prefix, part in _parts(unwrapped(app)):
        for route in _flat(part):
            methods, path = getattr(route, "methods", None), getattr(route, "path_format", None)
            if not methods or not isinstance(path, str):
                continue
            hidden = not getattr(route, "include_in_schema", True) or not _documented(part)
            found += [
                SeenRoute(_operation(method, prefix + path, route), hidden)
                for method in sorted(methods)
                if method not in ("HEAD", "OPTIONS")
            ]
    return tuple(found)


def seen_websockets(app: object) -> tuple[str, ...]:
    """The paths at which a FastAPI or Starlette application speaks WebSocket; nothing for other objects."""
    found: list[str] = []
    for prefix, part in _parts(unwrapped(app)):
        for route in _flat(part):
            path = getattr(route, "path_format", None)
            inner = getattr(route, "original_route", route)
            if isinstance(path, str) and "websocket" in type(inner).__name__.lower():
                found.append(prefix + path)
    return tuple(dict.fromkeys(found))


def routes_of(app: object) -> Iterator[tuple[str, Any]]:
    """Every HTTP route with its whole path, as the framework keeps it."""
    for prefix, part in _parts(unwrapped(app)):
        for route in _flat(part):
            path = getattr(route, "path_format", None)
            if isinstance(path, str):
                yield prefix + path, route


def endpoints(app: object) -> Iterator[Callable[..., Any]]:
    """The functions behind every route of a FastAPI or Starlette application."""
    for _, part in _parts(unwrapped(app)):
        for route in _flat(part):
            endpoint = getattr(route, "endpoint", None)
            if callable(endpoint):
                yield endpoint


def _documented(part: object) -> bool:
    return callable(getattr(part, "openapi", None))


def _parts(app: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if not hasattr(app, "routes"):
        return
    yield prefix, app
    if depth >= _MOUNTS:
        return
    for route in getattr(app, "routes", None) or ():
        inner = getattr(route, "app", None)
        path = getattr(route, "path", "")
        if inner is not None and not getattr(route, "methods", None) and isinstance(path, str):
            yield from _parts(unwrapped(inner), prefix + path.rstrip("/"), depth + 1)


def _flat(part: Any) -> list[Any]:
    """The routes with included routers opened. FastAPI 0.137.0 and 0.137.1 offer no way: nothing then."""
    routing = sys.modules.get("fastapi.routing")
    if routing is None or not _documented(part):
        return list(part.routes)
    opened = getattr(routing, "iter_route_contexts", None)
    if opened is not None:
        with contextlib.suppress(Exception):
            return list(opened(part.routes))
    return list(part.routes)


def _operation(method: str, path: str, route: Any) -> Operation:
    convertors = getattr(route, "param_convertors", None) or {}
    parameters = tuple(
        Parameter(name, "path", required=True, schema=_TYPES.get(type(convertor).__name__, {}))
        for name, convertor in convertors.items()
    )
    endpoint = getattr(route, "endpoint", None)
    return Operation(
        method=method,
        path=path,
        operation_id=str(getattr(route, "name", "") or ""),
        parameters=parameters,
        bodies=_bodies(route),
        provenance=Provenance.OBSERVED,
        source=source_of(endpoint),
    )


def _bodies(route: Any) -> dict[str, Schema]:
    """The body of a FastAPI route that its document hides."""
    body = getattr(route, "body_field", None)
    if body is None:
        return {}
    with contextlib.suppress(Exception):  # internals of another library: no schema is no loss
        from pydantic import TypeAdapter  # noqa: PLC0415 - FastAPI has loaded it

        annotation = getattr(body, "type_", None) or body.field_info.annotation
        schema = TypeAdapter(annotation).json_schema()
        media = getattr(body.field_info, "media_type", None) or "application/json"
        return {str(media): References(schema).resolve(schema)}
    return {}


def source_of(function: Any) -> SourceLine | None:
    """Where a function is written; None for what Python has no source of."""
    if function is None:
        return None
    try:
        inner = inspect.unwrap(function)
        while hasattr(inner, "func"):  # functools.partial
            inner = inspect.unwrap(inner.func)
        if not (inspect.isroutine(inner) or inspect.isclass(inner)):
            inner = type(inner)
        file = inspect.getsourcefile(inner)
        _, line = inspect.getsourcelines(inner)
    except (OSError, TypeError, ValueError):
        return None
    if file is None:
        return None
    return SourceLine(relative(Path(file)), line, getattr(inner, "__qualname__", ""))
