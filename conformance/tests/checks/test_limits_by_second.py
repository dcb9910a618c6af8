"""CRD112 to CRD114 behind a gateway that limits requests: it slows floods down, and stops nobody who guesses."""

import math
import time
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from checks.desk import ban, front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from services.people import PEOPLE
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from auth_conformance import engine
from auth_conformance.clock import Clock
from auth_conformance.model import Failed, Inconclusive, Passed
from auth_conformance.probe import lasting
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.message import HttpRequest, RawReply, no_answer

# What counts as a second here: the pauses of a check, and how soon the gateway lets the next request through.
SECOND = 0.08
ENDURED = 8
TARRED = 20
FEW = {"throttle_limit": 20}


@pytest.fixture(autouse=True)
def _short_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "CALM", SECOND)


class Newcomer(BaseModel):
    username: str
    password: str


def counting(*, counts: bool, said_so: JSONResponse | None = None, lasts: float = math.inf) -> FastAPI:
    """A service where people register; after eight wrong passwords an account is limited where it `counts` them.

    A limit `lasts` for so many right passwords that it refuses, so that a test does not depend on the clock.
    """
    app, people, failures, turned_away = FastAPI(), dict(PEOPLE), Counter[str](), Counter[str]()

    @app.post("/register", status_code=201)
    def register(who: Newcomer) -> dict[str, str]:
        people[who.username] = who.password
        return {"username": who.username}

    async def limit(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path != "/login":
            return await call_next(request)
        form = await request.json()
        name = str(form.get("username"))
        if counts and failures[name] >= ENDURED and turned_away[name] < lasts:
            turned_away[name] += people.get(name) == form.get("password")
            return said_so or JSONResponse({"detail": "locked"}, 429, {"Retry-After": "60"})
        response = await call_next(request)
        failures[name] += response.status_code == 401
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=limit)
    front_desk(app, people=people)
    return app


def by_the_second(app: FastAPI, status: int) -> FastAPI:
    """Let through one request of an address every half second of ours; the others are refused with `status`.

    Not at the first address, where the run gets to know the service: that has tests of its own.
    """
    last: defaultdict[str, float] = defaultdict(float)
    first: list[str] = []

    async def limit(request: Request, call_next: RequestResponseEndpoint) -> Response:
        caller, now = request.client.host if request.client else "", time.monotonic()
        first[:] = first or [caller]
        limited = caller not in first and request.url.path in ("/login", "/me")
        if limited and now - last[caller] < SECOND / 2:
            return Response("<h1>Slow down</h1>", status, media_type="text/html")
        last[caller] = now
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=limit)
    return app


def in_all(app: FastAPI, endured: int) -> FastAPI:
    """Serve so many requests of an address to logins and pages, and no more."""
    served: Counter[str] = Counter()

    async def limit(request: Request, call_next: RequestResponseEndpoint) -> Response:
        caller = request.client.host if request.client else ""
        if request.url.path in ("/login", "/me"):
            served[caller] += 1
        if served[caller] > endured:
            return JSONResponse({"detail": "quota"}, 429)
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=limit)
    return app


def tarpit(app: FastAPI, *paths: str, seconds: float = 3) -> FastAPI:
    """After so many requests to these paths an address waits for each answer to them; not the first address."""
    asked: Counter[str] = Counter()
    first: list[str] = []

    async def delay(request: Request, call_next: RequestResponseEndpoint) -> Response:
        caller = request.client.host if request.client else ""
        first[:] = first or [caller]
        asked[caller] += request.url.path in paths and caller not in first
        response = await call_next(request)
        if request.url.path in paths and asked[caller] > TARRED:
            response.headers["X-Seconds"] = str(seconds)
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=delay)
    return app


@pytest.fixture
def _told_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer took as long as it says, so that a test depends on no machine; ten seconds are waited for it."""
    honest = AsgiTransport.send

    async def send(self: AsgiTransport, request: HttpRequest) -> RawReply:
        reply = await honest(self, request)
        seconds = float(reply.header("x-seconds") or 0.01)
        return replace(reply, took=seconds) if seconds < 10 else no_answer(10, 10)

    monkeypatch.setattr(AsgiTransport, "send", send)


@pytest.mark.usefixtures("_told_seconds")
@pytest.mark.parametrize(
    ("paths", "seconds", "verdict"),
    [(("/login",), 3, Passed), (("/login",), 60, Passed), (("/login", "/me"), 3, Inconclusive)],
)
def test_delays_count_where_they_are_for_guesses(
    paths: tuple[str, ...], seconds: float, verdict: type
) -> None:
    """Also those that nobody waits for. A gateway that delays whatever an address asks for says nothing of guessing."""
    result = judged_as_found("CRD112", tarpit(counting(counts=False), *paths, seconds=seconds), policy=FEW)
    assert isinstance(result.verdict, verdict), said(result)
    assert ("times slower" in result.verdict.reason) is (verdict is Passed)


@pytest.mark.parametrize("status", [429, 503])
def test_a_limit_on_requests_is_none_on_guesses(status: int) -> None:
    result = judged_as_found("CRD112", by_the_second(counting(counts=False), status), policy=FEW)
    assert isinstance(result.verdict, Failed), said(result)
    assert "limit on requests" in result.verdict.reason


@pytest.mark.parametrize("code", ["CRD112", "CRD113"])
def test_a_limit_on_guesses_behind_one_on_requests_is_seen(code: str) -> None:
    result = judged_as_found(code, by_the_second(counting(counts=True), 429), policy=FEW)
    assert isinstance(result.verdict, Passed), said(result)


def test_what_nobody_counts_is_no_limit_to_evade() -> None:
    result = judged_as_found("CRD113", by_the_second(counting(counts=False), 429), policy=FEW)
    assert isinstance(result.verdict, Inconclusive), said(result)


def test_a_quota_of_requests_says_nothing_of_guesses() -> None:
    result = judged_as_found("CRD112", in_all(counting(counts=False), 25), policy=FEW)
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert "requests of every kind" in result.verdict.reason
    counted = judged_as_found("CRD112", in_all(counting(counts=True), 25), policy=FEW)
    assert isinstance(counted.verdict, Passed), said(counted)


def test_who_shuts_an_address_out_because_of_its_guesses_limits_them() -> None:
    app = counting(counts=False)
    ban(app, ENDURED)
    result = judged_as_found("CRD112", app, policy=FEW)
    assert isinstance(result.verdict, Passed), said(result)


@pytest.mark.parametrize(
    ("body", "lasts", "patience", "word"),
    [
        ({"retryAfter": 20}, math.inf, 0, "it ends after 20 s"),
        ({}, 1, 0.01, "was over after"),
        ({}, math.inf, 0.01, "patience = 120"),
        ({"retry_after_seconds": 7200}, math.inf, 0.01, "the clock can then be moved"),
    ],
)
def test_the_end_of_a_block_is_read_or_waited_for(
    monkeypatch: pytest.MonkeyPatch, body: dict[str, int], lasts: float, patience: float, word: str
) -> None:
    """Services in other languages have no clock that could be moved: what helps there is patience."""
    monkeypatch.setattr(engine, "Clock", lambda *, movable: Clock(movable=not movable))
    app = counting(counts=True, said_so=JSONResponse(body, 429), lasts=lasts)
    result = judged_as_found("CRD114", app, policy=FEW, patience=patience)
    told = [*getattr(result.verdict, "notes", ()), getattr(result.verdict, "remedy", "")]
    assert any(word in item for item in told), said(result)
    assert isinstance(result.verdict, Inconclusive if "=" in word or "moved" in word else Passed), said(
        result
    )
