"""Which dependencies of each route look at a credential: read from the dependency tree of the loaded application."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from auth_conformance.discovery.routes import routes_of, source_of
from auth_conformance.source.tree import Module
from auth_conformance.source.wiring import CREDENTIALS, hand_reads
from auth_conformance.source.words import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.model import SourceLine

_DEEP = 12
# What `_reads` said of a function. One dependency guards many routes, and reading its source is what takes long.
_SEEN: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
_OF_HEADERS = frozenset(("authorization", "cookie"))


def guards_of(app: object) -> dict[str, tuple[str, ...]]:
    """The guards of each operation, by name; operations whose dependencies cannot be seen are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for path, route in routes_of(app):
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            continue
        guards = tuple(dict.fromkeys(_guards(dependant, _overrides(route))))
        for method in sorted(getattr(route, "methods", None) or ()):
            if method not in {"HEAD", "OPTIONS"}:
                found.setdefault(f"{method} {path}", guards)
    return found


def guard_lines(app: object) -> dict[str, SourceLine]:
    """Where the function is written that looks at the credential of each operation: the innermost one."""
    lines: dict[int, SourceLine | None] = {}
    reading: dict[int, bool] = {}
    found: dict[str, SourceLine] = {}
    for path, route in routes_of(app):
        call = _innermost(getattr(route, "dependant", None), reading)
        if call is None:
            continue
        if id(call) not in lines:
            lines[id(call)] = source_of(call)
        line = lines[id(call)]
        for method in getattr(route, "methods", None) or ():
            if line is not None:
                found.setdefault(f"{method} {path}", line)
    return found


def _innermost(dependant: Any, reading: dict[int, bool], depth: int = _DEEP) -> Any:
    for inner in getattr(dependant, "dependencies", None) or ():
        call = getattr(inner, "call", None)
        if call is None or _is_scheme(call):
            continue
        deeper = _innermost(inner, reading, depth - 1) if depth else None
        if deeper is not None:
            return deeper
        if id(call) not in reading:
            nested = getattr(inner, "dependencies", None) or ()
            scheme = any(_is_scheme(getattr(item, "call", None)) for item in nested)
            reading[id(call)] = scheme or _takes(inner) or _reads(call)
        if reading[id(call)]:
            return call
    return None


def middleware_of(app: object) -> tuple[str, ...]:
    """The middleware of the application that reads credentials."""
    listed = getattr(app, "user_middleware", None) or ()
    found = []
    for item in listed:
        kind = getattr(item, "cls", None)
        options = getattr(item, "kwargs", None) or {}
        subject = options.get("dispatch") or kind
        if subject is not None and _reads(subject):
            found.append(getattr(subject, "__name__", type(subject).__name__))
    return tuple(found)


def origins_of(app: object) -> tuple[str, ...]:
    """The origins that Starlette's CORSMiddleware was told to let in; a pattern or "everybody" is no list."""
    for item in getattr(app, "user_middleware", None) or ():
        kinds = getattr(getattr(item, "cls", None), "__mro__", ())
        if any(kind.__name__ == "CORSMiddleware" for kind in kinds):
            told = (getattr(item, "kwargs", None) or {}).get("allow_origins") or ()
            told = (told,) if isinstance(told, str) else told
            return tuple(text for text in map(str, told) if text.startswith(("http://", "https://")))
    return ()


def _overrides(route: Any) -> Mapping[Any, Any]:
    """What runs in place of a dependency: `app.dependency_overrides`, of the application that holds the route."""
    provider = getattr(route, "dependency_overrides_provider", None)
    found = getattr(provider, "dependency_overrides", None)
    return found if isinstance(found, dict) else {}


def _in_place(inner: Any, overrides: Mapping[Any, Any]) -> Any:
    """The dependency that runs; without FastAPI's help, one that depends on nothing."""
    call = getattr(inner, "call", None)
    replaced = overrides.get(call) if overrides and isinstance(call, Hashable) else None
    if replaced is None:
        return inner
    routing = sys.modules.get("fastapi.dependencies.utils")
    try:
        return routing.get_dependant(path="/", call=replaced) if routing else SimpleNamespace(call=replaced)
    except Exception:  # noqa: BLE001 - FastAPI raises what it likes at a signature; the function is still the one that runs
        return SimpleNamespace(call=replaced)


def _guards(dependant: Any, overrides: Mapping[Any, Any], depth: int = _DEEP) -> Iterator[str]:
    for declared in getattr(dependant, "dependencies", None) or ():
        inner = _in_place(declared, overrides)
        call = getattr(inner, "call", None)
        if call is None:
            continue
        deeper = list(_guards(inner, overrides, depth - 1)) if depth else []
        if _is_scheme(call) or deeper or _takes(inner) or _reads(call):
            yield getattr(call, "__name__", type(call).__name__)


def _is_scheme(call: object) -> bool:
    return any(kind.__name__ == "SecurityBase" for kind in type(call).__mro__)


def _takes(dependant: Any) -> bool:
    """Whether a dependency declares a header, cookie or query parameter that holds a credential."""
    for place in ("header_params", "cookie_params", "query_params"):
        for field in getattr(dependant, place, None) or ():
            name = str(getattr(field, "alias", None) or getattr(field, "name", "")).lower()
            named = name in CREDENTIALS or name.replace("_", "-") in CREDENTIALS
            if named or (place != "query_params" and is_secret(name) and "csrf" not in name):
                return True
    return False


def _reads(call: Any) -> bool:
    """Whether the code of a callable reads a credential from the request."""
    inner = inspect.unwrap(call)
    while hasattr(inner, "func"):
        inner = inner.func
    if not (inspect.isroutine(inner) or inspect.isclass(inner)):
        inner = vars(type(inner)).get("__call__", inner)
    inner = getattr(inner, "__func__", inner)
    try:
        if inner not in _SEEN:
            _SEEN[inner] = _source_reads(inner)
        return _SEEN[inner]
    except TypeError:  # What is no function, and what has slots, is neither hashable nor weakly held.
        return _source_reads(inner)


def _source_reads(inner: Any) -> bool:
    try:
        if inspect.isclass(inner):
            file = inspect.getsourcefile(inner) or ""
            return _class_reads("".join(linecache.getlines(file)), inner.__qualname__)
        return _tree_reads(ast.parse(textwrap.dedent(inspect.getsource(inner))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False


@lru_cache(maxsize=32)
def _class_reads(text: str, name: str) -> bool:
    """Whether a class of that file reads a credential. Before 3.13 `inspect` parses the file anew for each class."""
    return any(
        _tree_reads(ast.Module([node], [])) for found, node in _classes(_parsed(text)) if found == name
    )


@lru_cache(maxsize=2)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _classes(parent: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """Each class with its name as `__qualname__` has it."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield inside + node.name, node
            yield from _classes(node, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node, f"{inside}{node.name}.<locals>.")
        else:
            yield from _classes(node, inside)


def _tree_reads(tree: ast.Module) -> bool:
    module = Module(Path("dependency.py"), "dependency.py", "dependency", "", tree)
    if any(True for function in module.functions for _ in hand_reads(module, function)):
        return True
    texts = {
        node.value.lower()
        for node in module.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    raw = {
        node.value
        for node in module.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
    }
    return (
        bool(texts & _OF_HEADERS and _touches_headers(module)) or b"authorization" in raw or b"cookie" in raw
    )


def _touches_headers(module: Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in {"headers", "cookies"})
        or (isinstance(node, ast.Name) and node.id in {"headers", "Headers"})
        for node in module.nodes
    )
