"""HTTP Basic before everything: the challenge is all that the service says of itself (RFC 7617)."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store, bearer_of, let_in
from fastapi import Body, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from auth_conformance.credentials import Kind
from auth_conformance.discovery.access import WRONG_TRIES
from auth_conformance.discovery.basic import asks_for_basic
from auth_conformance.discovery.gaps import ADMIN_ALONE
from auth_conformance.model import Need
from auth_conformance.settings import ConfigurationError
from auth_conformance.transports.message import RawReply

PAIRS = {
    "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode(): name for name, word in PASSWORDS.items()
}


def caller(request: Request) -> str:
    return PAIRS[request.headers["Authorization"]]


def front(request: Request) -> Response:
    return HTMLResponse('<title>Runs</title><a href="/people">People</a> <a href="/about">About</a>')


def people(request: Request) -> Response:
    return HTMLResponse(f"<p>You are <b>{caller(request)}</b></p>")


def about(request: Request) -> Response:
    return HTMLResponse("<p>A tool</p>")


def mine(request: Request) -> Response:
    return JSONResponse({"person": {"login": caller(request)}})


def document(request: Request) -> Response:
    app = FastAPI()

    @app.get("/v3/person")
    def person() -> None: ...

    return JSONResponse(app.openapi())


def tool(*routes: Route) -> Any:
    """A tool that asks who calls before it looks what stands at a path."""
    inner = Starlette(routes=routes)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer: Any = inner
        if (
            scope["type"] == "http"
            and dict(scope["headers"]).get(b"authorization", b"").decode() not in PAIRS
        ):
            answer = PlainTextResponse("Who are you?", 401, {"WWW-Authenticate": 'Basic realm="tool"'})
        await answer(scope, receive, send)

    return app


def pairs_in(log: list[Any]) -> list[str]:
    """The name and password of each request that had some."""
    given = [dict(request.headers).get("Authorization", "") for request, _ in log]
    return [base64.b64decode(value.split()[1]).decode() for value in given if value]


Moment = Annotated[datetime, Body()]
PERSON, FRONT = Route("/v3/person", mine), Route("/", front)


@pytest.mark.parametrize(
    ("routes", "more", "witness"),
    [
        ([Route("/api/me", mine)], {}, ("GET /api/me", "/person/login")),
        ([FRONT, Route("/people", people), Route("/about", about)], {}, ("GET /people", "text <b>{}<")),
        ([FRONT, PERSON], {}, ("GET /", "")),
        ([FRONT, PERSON], {"witness": {"operation": "GET /v3/person"}}, ("GET /v3/person", "/person/login")),
        ([PERSON, Route("/openapi.json", document)], {}, ("GET /v3/person", "/person/login")),
    ],
    ids=["usual path", "linked page", "unnamed", "told in one line", "document behind it"],
)
def test_a_challenge_is_enough_to_get_in(
    learn: Any, routes: list[Route], more: dict[str, Any], witness: tuple[str, str]
) -> None:
    lesson = learn(tool(*routes), kind="url", **more)
    found = lesson.target.witness
    assert found is not None
    assert (found.operation.name, found.identity) == witness
    assert lesson.target.kinds() == {Kind.BASIC}
    lines = [fact.value for fact in lesson.target.facts if fact.name == "caller"]
    assert bool(lines) is (witness[1] == "")
    assert all('[witness] operation = "GET /' in line for line in lines)
    # A wrong password locks people out somewhere: none was tried.
    wrong = {pair for pair in pairs_in(lesson.log) if pair.partition(":")[2] not in PASSWORDS.values()}
    assert 0 < len(wrong) <= 2
    assert all(pair.startswith("nobody") for pair in wrong)
    assert not [request for request, _ in lesson.log if b"Tangerine" in (request.body or b"")]


def test_who_gets_in_where_nothing_is_known_is_told_what_is_missing(learn: Any) -> None:
    target = learn(tool(PERSON), kind="url").target
    assert target.kinds() == {Kind.BASIC}
    assert "[witness]" in target.remedies[Need.WITNESS]
    assert "HTTP Basic carries the password" in target.remedies[Need.LOGIN]


def test_a_password_that_is_refused_is_told(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_OF_ALICE", "another")
    log: list[Any] = []
    with pytest.raises(ConfigurationError, match=r"GET / asks for HTTP Basic and answered 401"):
        learn(tool(PERSON), kind="url", log=log)
    assert pairs_in(log).count("alice:another") <= WRONG_TRIES


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, ['Negotiate, Basic realm="x"'], True),
        (401, ["Negotiate", 'basic realm="x"'], True),
        (401, ['Bearer realm="Basic"'], False),
        (401, ['Basic realm="x'], False),
        (403, ['Basic realm="x"'], False),
        (401, [], False),
    ],
)
def test_what_asks_for_basic(status: int, headers: list[str], expected: bool) -> None:
    reply = RawReply(status, tuple(("WWW-Authenticate", value) for value in headers), b"")
    assert asks_for_basic(reply) is expected


def test_a_document_that_says_nothing_of_credentials_is_asked(learn: Any) -> None:
    """Kinto: its front greets everybody, and only what is somebody's asks for a pair."""
    app = FastAPI()

    @app.get("/")
    async def front(request: Request) -> dict[str, str]:
        name = PAIRS.get(request.headers.get("authorization", ""))
        return {"hello": "everybody", **({"user": name} if name else {})}

    @app.get("/buckets", response_model=None)
    async def buckets(request: Request) -> Response:
        name = PAIRS.get(request.headers.get("authorization", ""))
        if name is None:
            return JSONResponse({}, 401, {"WWW-Authenticate": 'Basic realm="Realm"'})
        return JSONResponse({"owner": name})

    target = learn(app, kind="url").target
    assert target.kinds() == {Kind.BASIC}
    assert target.witness is not None
    assert target.witness.operation.name == "GET /buckets"
    assert target.second is None, "the front lets everybody in"


@pytest.mark.parametrize("word", [PASSWORDS["alice"], "another"])
def test_a_gate_that_does_not_say_what_it_wants_is_shown_the_pair(
    learn: Any, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """A document that protects nothing, 401 to everybody without a challenge, and no login (Prefect's server).

    What it describes is mounted elsewhere, and it does not say so.
    """
    app, api = FastAPI(openapi_url=None), FastAPI()
    app.mount("/api", api)

    @app.middleware("http")
    async def gate(request: Request, following: Any) -> Response:
        open_to_all = not request.url.path.startswith("/api")
        if not open_to_all and request.headers.get("authorization", "") not in PAIRS:
            return JSONResponse({"message": "Unauthorized"}, 401)
        return await following(request)

    @api.get("/whoami")
    async def whoami(request: Request) -> dict[str, str]:
        return {"login": caller(request)}

    @api.post("/history")
    async def history(since: Moment, until: Moment) -> None: ...

    @app.get("/openapi.json")
    def described() -> dict[str, Any]:
        return api.openapi()

    monkeypatch.setenv("PASSWORD_OF_ALICE", word)
    lesson = learn(app, kind="url")
    right = word == PASSWORDS["alice"]
    assert lesson.target.kinds() == ({Kind.BASIC} if right else set())
    assert lesson.target.witness is None or lesson.target.witness.operation.name == "GET /api/whoami"
    # What takes two dates is no login, and nothing of what is there can be a logout.
    assert "history" not in "".join(lesson.target.remedies.values())
    assert pairs_in(lesson.log).count(f"alice:{word}") == 1 or right


def test_an_administrator_alone_is_told_to_be_no_ordinary_person(learn: Any) -> None:
    admin = {"admin": {"username": "alice", "password": {"env": "PASSWORD_OF_ALICE"}}}
    with pytest.raises(ConfigurationError, match=r"only \[accounts.admin\] is given"):
        learn(tool(FRONT), admin, kind="url")
    app = FastAPI()
    let_in(app, (store := Store()), bearer_of(store))
    target = learn(app, admin).target
    assert [fact.because for fact in target.facts if fact.name == "login"] == [ADMIN_ALONE]
    assert target.remedies[Need.TWO_USERS].startswith("[accounts.a]")
