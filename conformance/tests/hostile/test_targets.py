"""Each hostile target does what its name says, with a sound service inside."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from hostile import targets
from services import tutorial_app
from services.people import PEOPLE
from services.serving import App, Message, Receive, Send, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ME = "/users/me"
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."


@pytest.fixture(scope="module")
def tutorial() -> App:
    return tutorial_app.create_app()


def drive(app: App, steps: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run `steps` against `app` in this process."""

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://target", timeout=5) as client:
            await steps(client)

    asyncio.run(asyncio.wait_for(run(), 10))


async def sign_in(client: httpx.AsyncClient, name: str = "alice") -> dict[str, str]:
    answer = await client.post("/token", data={"username": name, "password": PEOPLE[name]})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_lifespan_reaches_the_inner_application(name: str) -> None:
    seen: list[str] = []

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        assert scope["type"] == "lifespan"
        for event in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{event}"
            await send({"type": f"lifespan.{event}.complete"})

    asyncio.run(_live(targets.TARGETS[name](inner)))
    assert seen == ["lifespan"]


@pytest.mark.parametrize("target", [targets.same_page, targets.hangs, targets.drops])
def test_without_an_inner_application_the_lifespan_is_answered(target: Callable[[], App]) -> None:
    asyncio.run(_live(target()))


async def _live(app: App) -> None:
    """Start and stop `app` as a server does."""
    events: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answers: list[str] = []

    async def receive() -> Message:
        return events.pop(0)

    async def send(message: Message) -> None:
        answers.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("name", targets.NOTHING_MAY_PASS)
def test_where_nothing_may_pass_the_application_is_never_asked(name: str) -> None:
    async def inner(_: Message, __: Receive, ___: Send) -> None:
        pytest.fail("the request came through")

    async def steps(client: httpx.AsyncClient) -> None:
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            await asyncio.wait_for(client.get("/"), 0.1 if name == "hangs" else 5)

    drive(targets.NOTHING_MAY_PASS[name](inner), steps)


def test_dead_refuses_connections() -> None:
    with targets.dead() as url, pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_drops_connections_hangs_up_each_time() -> None:
    with targets.drops_connections() as url:
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(url)


def test_drops_raises(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        with pytest.raises(ConnectionResetError):
            await client.get(ME)

    drive(targets.drops(tutorial), steps)


def test_uvicorn_makes_a_500_of_drops(tutorial: App) -> None:
    with serve(targets.drops(tutorial)) as url:
        assert httpx.get(url + ME).status_code == 500


def test_cuts_short_breaks_off_over_the_network(tutorial: App) -> None:
    with serve(targets.cuts_short(tutorial)) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url + ME)


def test_hangs_until_the_client_gives_up(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get(ME)).status_code == 401
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get(ME), 0.2)

    drive(targets.hangs(tutorial, after=1), steps)


def test_hangs_lets_the_server_stop(tutorial: App) -> None:
    started = time.monotonic()
    with serve(targets.hangs(tutorial)) as url, pytest.raises(httpx.ReadTimeout):
        httpx.get(url, timeout=0.2)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("target", "status", "kind", "header"),
    [
        (targets.throttled, 429, "application/json", "retry-after"),
        (targets.unavailable, 503, "text/html", "retry-after"),
        (targets.waf, 403, "text/html", "server"),
        (targets.same_page, 200, "text/html", "content-length"),
        (targets.same_json, 200, "application/json", "content-length"),
    ],
)
def test_everybody_gets_the_same(
    target: Callable[[App | None], App], status: int, kind: str, header: str, tutorial: App
) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answers = [
            await client.get(ME),
            await client.get("/openapi.json"),
            await client.post("/token", data={"username": "alice", "password": PEOPLE["alice"]}),
        ]
        for answer in answers:
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers[header]
            assert answer.content == answers[0].content

    drive(target(tutorial), steps)
    drive(target(None), steps)


def test_same_json_can_name_the_victim(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get(ME)).json() == {"username": "alice"}

    drive(targets.same_json(tutorial, body={"username": "alice"}), steps)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zlib"])
def test_gzip_bomb_is_small_on_the_wire(encoding: str, tutorial: App) -> None:
    with serve(targets.gzip_bomb(tutorial, encoding=encoding)) as url:  # type: ignore[arg-type]
        with httpx.stream("GET", url) as answer:
            wire = sum(len(part) for part in answer.iter_raw())
        assert wire < 100_000
        body = httpx.get(url)
        assert len(body.content) > 50 * 2**20
        assert body.json()["padding"].isspace()


def test_waf_on_suspicion_blocks_what_looks_like_an_attack(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        good = await sign_in(client)
        assert (await client.get(ME, headers=good)).json()["username"] == "alice"
        attacks = [
            client.build_request("GET", ME, headers={"Authorization": f"Bearer {UNSIGNED}"}),
            client.build_request("GET", ME, headers=[(b"authorization", b"Bearer \xff")]),
            client.build_request("GET", "/users/%00", headers=good),
            client.build_request("GET", "/users", params={"q": "<script>"}),
            client.build_request("POST", "/token", content=b"username='+or+1=1"),
        ]
        for attack in attacks:
            answer = await client.send(attack)
            assert (answer.status_code, answer.headers.get("server")) == (403, "waf")

    drive(targets.waf(tutorial, everything=False), steps)


def test_waf_on_attack_knows_what_was_issued(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get(ME)).status_code == 401
        good = await sign_in(client)
        assert (await client.get(ME, headers=good)).json()["username"] == "alice"
        token = good["Authorization"].removeprefix("Bearer ")
        for headers in (
            {"Authorization": f"Bearer {token[:-8]}AAAAAAAA"},
            {"Authorization": f"Bearer  {token}"},
            {"Authorization": "Bearer"},
            {"Cookie": "sid=made-up"},
            {"X-API-Key": "made-up"},
        ):
            assert (await client.get(ME, headers=headers)).status_code == 403
        assert (await client.get(ME, headers={"X-API-Key": "handed-out"})).status_code == 401

    drive(targets.waf_on_attack(tutorial, known=["handed-out"]), steps)


def test_waf_on_attack_learns_cookies() -> None:
    async def inner(scope: Message, _: Receive, send: Send) -> None:
        cookie = (("set-cookie", "sid=abc; HttpOnly"),) if scope["path"] == "/login" else ()
        await targets.Reply(204, headers=tuple((n.encode(), v.encode()) for n, v in cookie)).to(send)

    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get("/", headers={"Cookie": "sid=abc"})).status_code == 403
        await client.get("/login")
        assert (await client.get("/")).status_code == 204
        assert (await client.get("/", headers={"Cookie": "sid=abd"})).status_code == 403

    drive(targets.waf_on_attack(inner), steps)


def test_stale_cache_serves_alice_to_everybody(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get(ME)).status_code == 401
        first = await client.get(ME, headers=await sign_in(client))
        assert "age" not in first.headers
        for headers in ({}, await sign_in(client, "bob")):
            answer = await client.get(ME, headers=headers)
            assert answer.json()["username"] == "alice"
            assert 0 <= int(answer.headers["age"]) < 10

    drive(targets.stale_cache(tutorial), steps)


def test_spa_has_a_page_for_every_unknown_path(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get(ME)).status_code == 401
        for path in ("/", "/users/me/secrets", "/api/v1/nothing"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")

    drive(targets.spa(tutorial), steps)


@pytest.mark.parametrize(("target", "status"), [(targets.dies_after, 502), (targets.throttles_after, 429)])
def test_some_give_up_after_n(target: Callable[[App, int], App], status: int, tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert [(await client.get(ME)).status_code for _ in range(5)] == [401, 401, 401, status, status]

    drive(target(tutorial, 3), steps)


def test_dies_after_can_hang_up(tutorial: App) -> None:
    with serve(targets.dies_after(tutorial, 1, closed=True)) as url:
        assert httpx.get(url + ME).status_code == 401
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url + ME)


def test_half_broken_breaks_every_second(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answers = [await client.get(ME) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 500, 401, 500]
        assert answers[1].headers["content-type"].startswith("text/plain")

    drive(targets.half_broken(tutorial), steps)


def test_slow_is_late_but_right(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        started = time.monotonic()
        assert (await client.get(ME)).status_code == 401
        assert time.monotonic() - started >= 0.2

    drive(targets.slow(tutorial, 0.2), steps)


def test_logs_out_ends_each_token_by_itself(tutorial: App) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        alice, bob = await sign_in(client), await sign_in(client, "bob")
        assert [(await client.get(ME, headers=alice)).status_code for _ in range(4)] == [200, 200, 401, 401]
        assert (await client.get(ME, headers=bob)).status_code == 200

    drive(targets.logs_out(tutorial, 2), steps)


def test_bodies_survive_inspection_under_a_real_server(tutorial: App) -> None:
    for target in (targets.waf(tutorial, everything=False), targets.waf_on_attack(tutorial)):
        with serve(target) as url:
            form = {"username": "alice", "password": PEOPLE["alice"]}
            assert httpx.post(f"{url}/token", data=form).status_code == 200


def test_the_state_of_the_lifespan_survives() -> None:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, str]]:
        yield {"motto": "here"}

    async def motto(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.motto)

    with serve(targets.spa(Starlette(routes=[Route("/motto", motto)], lifespan=lifespan))) as url:
        assert httpx.get(f"{url}/motto").text == "here"
