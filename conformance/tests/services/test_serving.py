"""`serve` starts, says so when it cannot, and leaves nothing behind."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from services.catalogue import SERVICES
from services.serving import serve
from starlette.applications import Starlette


def test_nothing_is_left_behind() -> None:
    threads = set(threading.enumerate())
    with serve(Starlette()) as url:
        assert httpx.get(url).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert set(threading.enumerate()) <= threads


def test_an_application_that_cannot_start_is_an_error() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    with pytest.raises(RuntimeError, match="did not start"), serve(Starlette(lifespan=lifespan)):
        pass


def test_several_workers_share_the_port_and_no_memory() -> None:
    with serve("services.tutorial_app:create_app", workers=2) as url, httpx.Client(base_url=url) as client:
        tutorial = next(service for service in SERVICES if service.name == "tutorial")
        credential = tutorial.sign_in(client, "alice")
        for _ in range(4):
            answer = httpx.get(url + tutorial.witness, headers=credential)
            assert answer.json()["username"] == "alice"
    with pytest.raises(TypeError, match="module:function"), serve(Starlette(), workers=2):
        pass
