"""Notes over a WebSocket: for those who may, from our own pages, and as long as their login lives."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.websocket import AsgiSockets, Talk
from reference_app import create_app
from reference_app.dependencies import Settings

BASE = "https://testserver"


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    app = create_app(
        Settings(
            secret_key=secrets.token_urlsafe(48),
            database_url="sqlite+aiosqlite://",
            public_url=BASE,
            password_hash_memory_kib=8,
            password_hash_time_cost=1,
            allow_weak_password_hashing=True,
            websocket_check_seconds=0.2,
        )
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=BASE) as client,
    ):
        yield app, client


async def person(client: httpx.AsyncClient) -> tuple[dict[str, str], dict[str, str]]:
    credentials = {"email": f"p{secrets.token_hex(6)}@example.com", "password": secrets.token_urlsafe(16)}
    await client.post("/auth/register", json=credentials)
    token = (await client.post("/auth/login", json=credentials)).json()["access_token"]
    return credentials, {"Authorization": f"Bearer {token}"}


async def note(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    return str((await client.post("/notes", json={"title": "hers"}, headers=headers)).json()["id"])


async def talked(app: Any, headers: dict[str, str], *say: str, **more: Any) -> RawReply:
    request = HttpRequest("GET", "/notes/live").with_headers(*headers.items())
    return await Talk(AsgiSockets(app), say, listen=2.0, **more).send(request)


def question(note_id: str) -> str:
    return json.dumps({"note_id": note_id})


def test_owners_are_answered_and_others_find_nothing() -> None:
    async def story() -> None:
        async with running() as (app, client):
            (_, hers), (_, his) = await person(client), await person(client)
            wanted = question(await note(client, hers))
            assert json.loads((await talked(app, hers, wanted)).json["heard"][0])["title"] == "hers"
            assert json.loads((await talked(app, his, wanted)).json["heard"][0])["error"] == "not_found"
            for odd in ("", "{}", "[]", question("../x"), "x" * 100):
                assert json.loads((await talked(app, hers, odd)).json["heard"][0])["error"] == "bad_request"

    asyncio.run(story())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"X-API-Key": "x"}])
def test_strangers_are_refused_before_the_handshake(headers: dict[str, str]) -> None:
    async def story() -> None:
        async with running() as (app, _):
            assert (await talked(app, headers, "{}")).status == 403

    asyncio.run(story())


def test_a_cookie_counts_only_from_our_own_pages() -> None:
    async def story() -> None:
        async with running() as (app, client):
            credentials, _ = await person(client)
            answer = await client.post("/auth/session", json=credentials)
            cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
            assert (await talked(app, {**cookie, "Origin": BASE}, "{}")).status == 101
            for origin in ("https://evil.example", "null", f"{BASE}.evil.example"):
                assert (await talked(app, {**cookie, "Origin": origin}, "{}")).status == 403

    asyncio.run(story())


def test_it_ends_with_its_login_also_when_nobody_says_anything() -> None:
    async def story() -> None:
        async with running() as (app, client):
            _, hers = await person(client)

            async def log_out() -> None:
                assert (await client.post("/auth/logout", headers=hers)).status_code == 204
                await asyncio.sleep(0.5)

            told = (await talked(app, hers, "{}", meanwhile=log_out, afterwards="{}")).json
            assert (len(told["heard"]), told["later"], told["closed"], told["code"]) == (1, [], True, 1008)

    asyncio.run(story())


def test_a_narrow_key_is_told_what_it_lacks() -> None:
    async def story() -> None:
        async with running() as (app, client):
            _, hers = await person(client)
            body = {"name": "narrow", "scopes": ["notes:write"]}
            key = (await client.post("/keys", json=body, headers=hers)).json()["key"]
            heard = (await talked(app, {"X-API-Key": key}, question("0"))).json["heard"]
            assert json.loads(heard[0])["error"] == "insufficient_scope"

    asyncio.run(story())
