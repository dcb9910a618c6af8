"""CRD105 beside logins that take long: who waits because the event loop stands still, and who because all are busy."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import argon2
import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Request, Response
from services.people import PEOPLE
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from auth_conformance.model import Failed, Passed, Result

HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=19456, parallelism=1)
# So many logins at once keep the machine busy, as hashes do on few processors; one leaves room.
ENOUGH, SECONDS = 4, 0.2
SPARE = "carol"


async def in_a_thread() -> None:
    await run_in_threadpool(HASHER.hash, "a password")
    await asyncio.sleep(SECONDS)


async def elsewhere() -> None:
    await asyncio.sleep(SECONDS)


async def on_the_loop() -> None:
    HASHER.hash("a password")


async def on_the_loop_unseen() -> None:
    time.sleep(SECONDS)  # noqa: ASYNC251 # the flaw: what no counter of hashes knows, on the event loop


def judged(hashing: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> Result:
    app, busy, room = FastAPI(), list[Request](), asyncio.Event()
    monkeypatch.setenv(f"PASSWORD_OF_{SPARE}".upper(), "Kestrel-Marble-62-oat")
    front_desk(app, people={**PEOPLE, SPARE: "Kestrel-Marble-62-oat"})

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    async def work(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/login":
            busy.append(request)
            await hashing()
            busy.pop()
            if len(busy) < ENOUGH:
                room.set()
        if len(busy) >= ENOUGH:
            room.clear()
            await room.wait()
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=work)
    return judged_as_found("CRD105", app, spares=[SPARE])


@pytest.mark.parametrize("hashing", [in_a_thread, elsewhere])
def test_busy_processors_are_no_blocked_loop(
    hashing: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(hashing, monkeypatch)
    assert isinstance(result.verdict, Passed), said(result)
    assert "busy processors" in said(result)


@pytest.mark.parametrize("hashing", [on_the_loop, on_the_loop_unseen])
def test_hashes_on_the_loop_are_seen_and_measured(
    hashing: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(hashing, monkeypatch)
    assert isinstance(result.verdict, Failed), said(result)
    assert "block the event loop" in result.verdict.reason
