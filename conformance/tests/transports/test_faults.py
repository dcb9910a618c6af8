"""Functions that are made to fail for a while: every kind of function, and nothing stays broken."""

import asyncio
import contextlib
import gc
import sqlite3
from collections.abc import AsyncIterator, Iterator
from types import FunctionType
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.faults import Manner, Point, Watch, broken, injected
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.outages import down, stores


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


def test_functions_that_were_frozen_are_found() -> None:
    watch = Watch(FastAPI())
    watch.packages = frozenset({__name__.partition(".")[0]})
    gc.freeze()
    with watch.watching():
        plain(1)
    assert "plain" in {item.name.rpartition(".")[2] for item in watch.points()}


# A store of sqlite3 is written in C: it can only be out of order where a dependency hands it out.


def connection() -> Iterator[sqlite3.Connection]:
    held = sqlite3.connect(":memory:")
    yield held
    held.close()


def careless(held: Annotated[sqlite3.Connection, Depends(connection)]) -> bool:
    try:
        return held.execute("select 0").fetchone()[0] == 1
    except Exception:  # noqa: BLE001 - the flaw that a fault shows
        return True


def test_what_a_dependency_hands_out_can_be_down_and_is_whole_again() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(*, open_to_all: Annotated[bool, Depends(careless)]) -> bool:
        return open_to_all

    async def ask() -> tuple[object, int, object, object]:
        transport, watch = AsgiTransport(app, agent="test"), Watch(app)
        with watch.watching():
            good = await transport.send(HttpRequest("GET", "/me"))
        (store,) = stores(app, watch)
        assert "Connection" in store.name
        with down(app, store):
            failing = await transport.send(HttpRequest("GET", "/me"))
        after = await transport.send(HttpRequest("GET", "/me"))
        return good.json, store.fired, failing.json, after.json

    assert asyncio.run(ask()) == (False, 1, True, False)
    assert app.dependency_overrides == {}


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    password_hash: Mapped[str]


def new_number() -> str:
    return "T-1"


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(default=new_number)


def test_rows_can_be_lost_and_can_lose_their_digests_for_a_while() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    digest = "0123456789abcdef" * 4
    with Session(engine) as session:
        session.add(Person(id=1, name="ada@lovelace.example.com", password_hash=digest))
        session.commit()
        load = Point("scalar", Session.scalar, 0, rows=True)  # type: ignore[arg-type]  # a function it is
        statement = select(Person)
        with broken(load, Manner.NOTHING):
            assert session.scalar(statement) is None
            assert session.scalar(select(Person.name)) == "ada@lovelace.example.com"
        assert load.fired == 1
        with broken(load, Manner.NO_DIGEST):
            found = session.scalar(statement)
            assert found is not None
            assert (found.id, found.name, found.password_hash) == (1, "ada@lovelace.example.com", None)
        assert found.password_hash == digest
        assert not session.dirty
    engine.dispose()


def test_a_fault_in_what_a_mapper_asks_does_not_cost_the_connection() -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    lost: list[object] = []
    event.listen(engine, "invalidate", lambda *told: lost.append(told))
    with broken(point(new_number)) as struck, Session(engine) as session:
        session.add(Ticket(id=7))
        with pytest.raises(SQLAlchemyError):
            session.flush()
    assert struck.fired == 1
    assert lost == []
    engine.dispose()
