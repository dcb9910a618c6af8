"""What can be put into an application that runs in this process, and is taken out again.

Only attributes that Starlette and FastAPI document are used, and only where the application has them.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from auth_conformance.model import INSIDE

_WRAPPERS = 8
# What has been arranged inside the application for the requests of now: nobody outside can repeat it.
ARRANGED: ContextVar[str] = ContextVar("auth_conformance_arranged", default="")


@contextlib.contextmanager
def arranged(what: str) -> Iterator[None]:
    """Requests of the block are recorded as answered by an application in which `what` had been arranged."""
    token = ARRANGED.set(f"{INSIDE} {what}")
    try:
        yield
    finally:
        ARRANGED.reset(token)


def routed(app: object) -> Any | None:
    """The application object that holds the routes, inside middleware that was wrapped around it by hand."""
    inner: Any = app
    for _ in range(_WRAPPERS):
        if isinstance(getattr(getattr(inner, "router", None), "routes", None), list):
            return inner
        inner = getattr(inner, "app", None) or getattr(inner, "_honest", None)
        if inner is None:
            return None
    return None


def routes(holder: Any, depth: int = 0) -> Iterator[Any]:
    """Routes with those of included routers and mounts, however a version of the framework keeps them."""
    for route in getattr(getattr(holder, "router", holder), "routes", None) or ():
        yield route
        for name in ("app", "router", "original_router", "included_router"):
            inner = getattr(route, name, None)
            if depth < 4 and inner is not None and inner is not holder and hasattr(inner, "routes"):
                yield from routes(inner, depth + 1)


@contextlib.contextmanager
def failing_route(app: object, path: str, error: BaseException) -> Iterator[bool]:
    """Serve `path` by a handler that raises `error`; yields whether the application could be given one.

    The request passes the application's own middleware and exception handlers.
    """
    inner = routed(app)
    if inner is None:
        yield False
        return
    routing = importlib.import_module("starlette.routing")

    async def fail(request: object) -> None:
        del request
        raise error

    route = routing.Route(path, fail, methods=["GET", "POST"])
    inner.router.routes.insert(0, route)
    try:
        with arranged("a handler that raises"):
            yield True
    finally:
        inner.router.routes.remove(route)
