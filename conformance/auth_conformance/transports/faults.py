"""Faults in the parts of an application that runs in this process: one function at a time, and only for a while.

FastAPI's `dependency_overrides` replace a whole dependency, and with it the code that should catch what its
parts raise. So the fault is put one level below: every function that the application's own code runs, or
calls, while it decides about a request is a point at which something may fail. Its code is exchanged for one
that raises; whoever holds a reference to the function (a class, an import, FastAPI's own tree) meets the fault.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from auth_conformance.transports.inside import routed

# What a lookup raises when its store is down; one exception is all of these, as far as they are loaded, so
# that whatever the application is prepared for is what it meets.
_ERRORS = (
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("redis.exceptions", "RedisError"),
    ("pymongo.errors", "PyMongoError"),
    ("httpx", "HTTPError"),
)
_ASKED = {"__call__", "__enter__", "__aenter__", "__getitem__", "__contains__"}
_FRAMEWORKS = {"fastapi", "starlette", "pydantic", "pydantic_core", "anyio", "httpx", "auth_conformance"}


@dataclass(slots=True)
class Point:
    """One function that can fail. `depth` orders: 0 waits for something, 2 is asked by the framework."""

    name: str
    function: types.FunctionType = field(repr=False)
    depth: int
    fired: int = 0


@dataclass(slots=True)
class _Armed:
    point: Point
    error: type[BaseException]


_ARMED: list[_Armed] = []


def strike() -> None:
    """Raise the fault that is armed. Called by the code that stands in for a function."""
    armed = _ARMED[-1]
    armed.point.fired += 1
    raise armed.error("injected: the store does not answer")


@cache
def _error(loaded: tuple[type[BaseException], ...]) -> type[BaseException]:
    def build(self: TimeoutError, *args: object) -> None:
        TimeoutError.__init__(self, *args)

    try:
        return type(
            "InjectedError", (TimeoutError, *loaded), {"__init__": build, "__str__": lambda _: "injected"}
        )
    except TypeError:  # two of them do not go together
        return type("InjectedError", (TimeoutError,), {})


def injected() -> type[BaseException]:
    """The exception of a store that is down."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in _ERRORS]
    return _error(tuple(item for item in found if isinstance(item, type)))


class Watch:
    """Collects the functions that an application runs while it answers.

    `packages` are the top-level names of the modules in which its routes are defined.
    """

    def __init__(self, app: object) -> None:
        self.packages = _packages(app)
        self._handlers = _handlers(app)
        self._seen: dict[types.CodeType, int] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Collect while the block runs, on this thread and in the workers that sync functions run in."""
        workers = importlib.import_module("anyio.to_thread")
        run_sync = workers.run_sync

        def run(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
            def profiled(*inner: Any) -> Any:
                before = sys.getprofile()
                sys.setprofile(self._note)
                try:
                    return function(*inner)
                finally:
                    sys.setprofile(before)

            return run_sync(profiled, *args, **options)

        before = sys.getprofile()
        workers.run_sync = run  # type: ignore[attr-defined]  # a module is an object like any other
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)
            workers.run_sync = run_sync  # type: ignore[attr-defined]

    def _note(self, frame: types.FrameType, event: str, _: object) -> None:
        if event != "call" or frame.f_code in self._seen:
            return
        own = self._is_own(frame)
        caller = frame.f_back
        by_own = caller is not None and self._is_own(caller)
        if not own and not by_own:
            return
        if not own and _package(frame) in _FRAMEWORKS | sys.stdlib_module_names:
            return
        name = frame.f_code.co_name
        if frame.f_code in self._handlers or name.startswith("<"):
            return
        if name.startswith("__") and name not in _ASKED:
            return  # operators and constructors ask no store
        if not own and name.startswith("_") and name not in _ASKED:
            return  # callbacks of a library (on collected references, say) run in whatever frame is current
        waits = frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
        self._seen[frame.f_code] = 2 if own and not by_own else 0 if waits else 1

    def _is_own(self, frame: types.FrameType) -> bool:
        return _package(frame) in self.packages

    def points(self) -> list[Point]:
        """The functions seen so far, those that wait for something first."""
        found = []
        for code, depth in self._seen.items():
            function = next(
                (
                    item
                    for item in gc.get_referrers(code)
                    if isinstance(item, types.FunctionType) and item.__code__ is code
                ),
                None,
            )
            if function is not None:
                found.append(Point(f"{function.__module__}.{function.__qualname__}", function, depth))
        return sorted(found, key=lambda point: point.depth)


@contextlib.contextmanager
def broken(point: Point) -> Iterator[Point]:
    """Let one function raise while the block runs; `point.fired` counts how often it did."""
    function = point.function
    original = function.__code__
    point.fired = 0
    _ARMED.append(_Armed(point, injected()))
    function.__code__ = _stand_in(original)  # pyright: ignore[reportAttributeAccessIssue] # no method
    try:
        yield point
    finally:
        function.__code__ = original  # pyright: ignore[reportAttributeAccessIssue]
        _ARMED.pop()


def _stand_in(code: types.CodeType) -> types.CodeType:
    """Code that raises and is of the same kind: plain, generator, coroutine or asynchronous generator."""
    flags = code.co_flags
    waits = bool(flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))
    yields = bool(flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
    names = code.co_freevars
    lines = ["def outer():"]
    lines += [f"    {name} = None" for name in names]
    lines += [
        f"    {'async ' if waits else ''}def stand_in(*args, **kwargs):",
        "        from auth_conformance.transports.faults import strike",
        *[f"        {name}" for name in names],
        "        strike()",
        *(["        yield"] if yields else []),
        "    return stand_in",
    ]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)  # noqa: S102 - our own lines; only names of variables come from outside
    made: types.FunctionType = space["outer"]()
    return made.__code__


def _packages(app: object) -> frozenset[str]:
    found = set()
    inner = routed(app)
    for route in _routes(inner):
        module = getattr(getattr(route, "endpoint", None), "__module__", "") or ""
        found.add(module.partition(".")[0])
    return frozenset(found - _FRAMEWORKS - {""})


def _handlers(app: object) -> frozenset[types.CodeType]:
    codes = set()
    for route in _routes(routed(app)):
        code = getattr(inspect.unwrap(getattr(route, "endpoint", None) or _packages), "__code__", None)
        if code is not None:
            codes.add(code)
    return frozenset(codes)


def _routes(holder: Any, depth: int = 0) -> Iterator[Any]:
    """Routes with those of included routers and mounts, however a version of the framework keeps them."""
    for route in getattr(getattr(holder, "router", holder), "routes", None) or ():
        yield route
        for name in ("app", "router", "original_router", "included_router"):
            inner = getattr(route, name, None)
            if depth < 4 and inner is not None and inner is not holder and hasattr(inner, "routes"):
                yield from _routes(inner, depth + 1)


def _package(frame: types.FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
