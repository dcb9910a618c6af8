"""Stores that do not answer, put where FastAPI's dependencies hand them out.

A connection of sqlite3, asyncpg or a cache is written in C: there is no code of it to exchange. But where a
dependency of a route hands it to the application, `dependency_overrides` can hand out one that is down.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from auth_conformance.transports.faults import FRAMEWORKS, Watch, injected
from auth_conformance.transports.inside import arranged, routed, routes

_ABSENT = object()
# Of the standard library only what holds data.
_STORES = {"sqlite3", "dbm", "shelve"}


@dataclass(slots=True)
class Store:
    """Something of a library's that a dependency hands out. `fired` counts how often it was asked while down."""

    name: str
    dependency: Callable[..., Any] = field(repr=False)
    fired: int = 0


def stores(app: object, watch: Watch) -> list[Store]:
    """The stores that dependencies of the application handed out while it was watched."""
    inner = routed(app)
    overrides = getattr(inner, "dependency_overrides", None)
    if overrides is None:
        return []
    found: dict[int, Store] = {}
    for dependency in _dependencies(inner):
        code = getattr(inspect.unwrap(overrides.get(dependency, dependency)), "__code__", None)
        kind = watch.handed.get(code) if isinstance(code, types.CodeType) else None
        if kind is not None and _is_store(kind, watch):
            name = f"what {getattr(dependency, '__qualname__', dependency)} hands out ({kind.__qualname__})"
            found.setdefault(id(dependency), Store(name, dependency))
    return list(found.values())


@contextlib.contextmanager
def down(app: object, store: Store) -> Iterator[Store]:
    """Hand out a store that does not answer while the block runs."""
    inner = routed(app)
    if inner is None:
        yield store
        return
    overrides = inner.dependency_overrides
    before = overrides.get(store.dependency, _ABSENT)
    store.fired = 0
    overrides[store.dependency] = lambda: _Down(store)
    try:
        with arranged(f"an outage of {store.name}"):
            yield store
    finally:
        if before is _ABSENT:
            del overrides[store.dependency]
        else:
            overrides[store.dependency] = before


class _Down:
    """Whatever is asked of it fails, as a call, in a `with` block, or in a loop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._fail

    def _fail(self, *_: object, **__: object) -> NoReturn:
        self._store.fired += 1
        raise injected()("injected: the store does not answer")

    __call__ = __enter__ = __aenter__ = __getitem__ = __contains__ = __iter__ = _fail

    def __exit__(self, *_: object) -> None:
        """Nothing was entered."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing was entered."""


def _dependencies(inner: Any) -> Iterator[Callable[..., Any]]:
    waiting = [dependant for route in routes(inner) if (dependant := getattr(route, "dependant", None))]
    while waiting:
        dependant = waiting.pop()
        for part in getattr(dependant, "dependencies", ()):
            waiting.append(part)
            if callable(part.call):
                yield part.call


def _is_store(kind: type, watch: Watch) -> bool:
    package = kind.__module__.partition(".")[0]
    if package in _STORES:
        return True
    return package not in watch.packages | FRAMEWORKS | set(sys.stdlib_module_names)
