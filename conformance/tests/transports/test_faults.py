"""Functions that are made to fail for a while: every kind of function, and nothing stays broken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from types import FunctionType
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.faults import Point, Watch, broken, injected
from auth_conformance.transports.message import HttpRequest


def plain(value: int, *, more: int = 1) -> int:
    return value + more


async def waits(value: int) -> int:
    return value


def yields() -> Iterator[int]:
    yield 1


@contextlib.asynccontextmanager
async def opens() -> AsyncIterator[int]:
    yield 1


def closure(value: int) -> Any:
    def inner(more: int) -> int:
        return value + more

    return inner


def point(function: Any) -> Point:
    assert isinstance(function, FunctionType)
    return Point(function.__qualname__, function, 0)


def test_a_plain_function_raises_and_is_whole_again() -> None:
    held = plain
    with broken(point(plain)) as struck:
        with pytest.raises(TimeoutError):
            held(1, more=2)
        assert struck.fired == 1
    assert plain(1) == 2


def test_coroutines_generators_and_closures_raise() -> None:
    inner = closure(1)
    with broken(point(inner)), pytest.raises(TimeoutError):
        inner(2)
    with broken(point(waits)), pytest.raises(injected()):
        asyncio.run(waits(1))
    with broken(point(yields)), pytest.raises(TimeoutError):
        list(yields())

    async def enter() -> None:
        async with opens():
            pass

    with broken(point(opens.__wrapped__)), pytest.raises(TimeoutError):
        asyncio.run(enter())
    asyncio.run(enter())
    assert inner(2) == 3


def test_what_a_sync_dependency_calls_in_its_worker_is_seen_and_can_be_broken() -> None:
    app = FastAPI()

    def caller() -> int:
        return plain(1)

    @app.get("/me")
    def me(name: Annotated[int, Depends(caller)]) -> int:
        return name

    async def ask() -> tuple[int | None, set[str], int | None]:
        transport, watch = AsgiTransport(app, agent="test"), Watch(app)
        with watch.watching():
            good = await transport.send(HttpRequest("GET", "/me"))
        found = {item.name.rpartition(".")[2]: item for item in watch.points()}
        with broken(found["plain"]):
            bad = await transport.send(HttpRequest("GET", "/me"))
        return good.status, set(found), bad.status

    good, names, bad = asyncio.run(ask())
    assert (good, bad) == (200, 500)
    assert {"caller", "plain"} <= names
