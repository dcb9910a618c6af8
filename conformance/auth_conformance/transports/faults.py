"""Faults in the parts of an application that runs in this process: one function at a time, and only for a while.

FastAPI's `dependency_overrides` replace a whole dependency, and with it the code that should catch what its
parts raise. So the fault is put one level below: every function that the application's own code runs, or
calls, while it decides about a request is a point at which something may fail. Its code is exchanged for one
that raises; whoever holds a reference to the function (a class, an import, FastAPI's own tree) meets the fault.
A function of a library that loads rows can also find none, or one whose digests are gone. What is written in
C has no code to exchange: such a store is put out of order where a dependency hands it out (`outages`).
"""

from __future__ import annotations

import contextlib
import enum
import gc
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from auth_conformance.transports.inside import arranged, routed, routes

# What a lookup raises when its store is down; one exception is all of these, as far as they are loaded, so
# that whatever the application is prepared for is what it meets.
_ERRORS = (
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("redis.exceptions", "RedisError"),
    ("pymongo.errors", "PyMongoError"),
    ("httpx", "HTTPError"),
)
# What a row keeps in place of a secret: long, in one word, and no address.
_DIGEST = re.compile(r"[!-?A-~]{20,}")
_ASKED = {"__call__", "__enter__", "__aenter__", "__getitem__", "__contains__"}
FRAMEWORKS = {
    "fastapi",
    "starlette",
    "pydantic",
    "pydantic_core",
    "anyio",
    "httpx",
    "auth_conformance",
    "time_machine",  # it stands in for the clock, which we read ourselves
}


class Manner(enum.Enum):
    """How a function fails; the value completes `while X …`."""

    RAISES = "fails"
    ONCE = "fails the first time"
    NOTHING = "finds nothing"
    NO_DIGEST = "finds a row that has lost its digests"


@dataclass(slots=True)
class Point:
    """One function that can fail. `depth` orders: 0 waits for something, 2 is asked by the framework.

    `rows` tells that it belongs to a library and returned a row of the application's.
    """

    name: str
    function: types.FunctionType = field(repr=False)
    depth: int
    fired: int = 0
    rows: bool = False

    @property
    def yields(self) -> bool:
        """Whether it is a generator: what stands in for one can only fail."""
        return bool(self.function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


@dataclass(slots=True)
class _Armed:
    point: Point
    manner: Manner
    original: types.FunctionType
    lost: list[tuple[Any, str, object]] = field(default_factory=list)


_ARMED: list[_Armed] = []


def strike(*args: object, **kwargs: object) -> Any:
    """Do what the armed fault does in place of a function. Called by the code that stands in for it."""
    armed = _ARMED[-1]
    if armed.manner is Manner.RAISES:
        armed.point.fired += 1
        raise injected()("injected: the store does not answer")
    if armed.manner is Manner.ONCE and not armed.point.fired:
        armed.point.fired += 1
        raise injected()("injected: the store does not answer yet")
    return armed.original(*args, **kwargs)


def spoil(found: object) -> Any:
    """What is found when rows are lost or empty; whatever is no row stays what it is."""
    armed = _ARMED[-1]
    if armed.manner is Manner.ONCE or not _is_row(found):
        return found
    armed.point.fired += 1
    if armed.manner is Manner.NOTHING:
        return None
    armed.lost += _lose_digests(found)
    return found


def _is_row(value: object) -> bool:
    """Whether an object-relational mapper made this of a row: SQLAlchemy, and what is built on it."""
    return hasattr(type(value), "__mapper__")


def _lose_digests(row: Any) -> list[tuple[Any, str, object]]:
    """Let the row forget what looks like a hash or a digest, unseen by its session; return what it was."""
    lost: list[tuple[Any, str, object]] = []
    for column in type(row).__mapper__.column_attrs:
        value = getattr(row, column.key)
        primary = any(item.primary_key or item.foreign_keys for item in column.columns)
        if isinstance(value, str) and not primary and _DIGEST.fullmatch(value):
            lost.append((row, column.key, value))
    _set(lost, forget=True)
    return lost


def _set(values: list[tuple[Any, str, object]], *, forget: bool) -> None:
    if not values:
        return
    attributes = importlib.import_module("sqlalchemy.orm.attributes")  # loaded, or there were no rows of it
    for row, key, value in values:
        attributes.set_committed_value(row, key, None if forget else value)


@cache
def _error(base: type[OSError], loaded: tuple[type[BaseException], ...]) -> type[BaseException]:
    def build(self: OSError, *args: object) -> None:
        base.__init__(self, *args)

    try:
        return type("InjectedError", (base, *loaded), {"__init__": build, "__str__": lambda _: "injected"})
    except TypeError:  # two of them do not go together
        return type("InjectedError", (base,), {})


def injected() -> type[BaseException]:
    """The exception of a store that is down: it timed out, or was not reached where a mapper asks.

    Out of its own work SQLAlchemy takes a timeout for the end of the task, and throws the connection away amid its
    transaction. What still held a cursor of it kept SQLite locked, and the rest of the run was judged on that.
    """
    found = [getattr(sys.modules.get(module), name, None) for module, name in _ERRORS]
    base = ConnectionError if _asked_by_a_mapper(inspect.currentframe()) else TimeoutError
    return _error(base, tuple(item for item in found if isinstance(item, type)))


def _asked_by_a_mapper(frame: types.FrameType | None) -> bool:
    while frame is not None:
        # What stands in for a function of the mapper's is no work of it.
        if _package(frame) == "sqlalchemy" and frame.f_code.co_name != "stand_in":
            return True
        frame = frame.f_back
    return False


class Watch:
    """Collects the functions that an application runs while it answers.

    `packages` are the top-level names of the modules in which its routes are defined.
    """

    def __init__(self, app: object) -> None:
        self.packages = _packages(app)
        self._handlers = _handlers(app)
        self._seen: dict[types.CodeType, int] = {}
        self._loaders: set[types.CodeType] = set()
        # What functions handed over: FastAPI's dependencies among them, sync ones in their worker.
        self.handed: dict[types.CodeType, type] = {}

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

    def _note(self, frame: types.FrameType, event: str, value: object) -> None:
        if event == "return":
            if value is not None and self._is_own(frame):
                self.handed.setdefault(frame.f_code, type(value))
            elif frame.f_code in self._seen and _is_row(value):
                self._loaders.add(frame.f_code)
        if event != "call" or frame.f_code in self._seen:
            return
        own = self._is_own(frame)
        caller = frame.f_back
        by_own = caller is not None and self._is_own(caller)
        if not own and not by_own:
            return
        if not own and _package(frame) in FRAMEWORKS | sys.stdlib_module_names:
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
        # What was frozen, as servers do that load the application before they fork, is listed nowhere.
        gc.unfreeze()
        holders: dict[int, types.FunctionType] = {}
        for item in gc.get_objects():
            if type(item) is types.FunctionType:
                holders.setdefault(id(item.__code__), item)
        found = []
        for code, depth in self._seen.items():
            # Code is equal to other code that does the same; which one ran is a matter of identity.
            function = holders.get(id(code))
            if function is not None:
                name = f"{function.__module__}.{function.__qualname__}"
                found.append(Point(name, function, depth, rows=code in self._loaders))
        return sorted(found, key=lambda point: point.depth)


@contextlib.contextmanager
def broken(point: Point, manner: Manner = Manner.RAISES) -> Iterator[Point]:
    """Let one function fail while the block runs; `point.fired` counts how often it did."""
    function = point.function
    original = function.__code__
    point.fired = 0
    whole = types.FunctionType(
        original,
        function.__globals__,  # pyright: ignore[reportAttributeAccessIssue] # no method
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    whole.__kwdefaults__ = function.__kwdefaults__  # pyright: ignore[reportAttributeAccessIssue] # no method
    _ARMED.append(_Armed(point, manner, whole))
    function.__code__ = _stand_in(original)  # pyright: ignore[reportAttributeAccessIssue] # no method
    try:
        with arranged(f"a fault in {point.name}"):
            yield point
    finally:
        function.__code__ = original  # pyright: ignore[reportAttributeAccessIssue]
        _set(_ARMED.pop().lost, forget=False)


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
        "        from auth_conformance.transports.faults import spoil, strike",
        *[f"        {name}" for name in names],
        "        found_ = strike(*args, **kwargs)",
        *(["        yield"] if yields else [f"        return spoil({'await ' if waits else ''}found_)"]),
        "    return stand_in",
    ]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)  # noqa: S102 - our own lines; only names of variables come from outside
    made: types.FunctionType = space["outer"]()
    return made.__code__


def _packages(app: object) -> frozenset[str]:
    found = set()
    inner = routed(app)
    for route in routes(inner):
        module = getattr(getattr(route, "endpoint", None), "__module__", "") or ""
        found.add(module.partition(".")[0])
    return frozenset(found - FRAMEWORKS - {""})


def _handlers(app: object) -> frozenset[types.CodeType]:
    codes = set()
    for route in routes(routed(app)):
        code = getattr(inspect.unwrap(getattr(route, "endpoint", None) or _packages), "__code__", None)
        if code is not None:
            codes.add(code)
    return frozenset(codes)


def _package(frame: types.FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
