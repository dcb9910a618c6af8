"""An operation of the configuration that the service does not have is refused; one that is only hidden is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from auth_conformance.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TOKEN = "t0ken-of-alice-5c1d9e"


def service(*, hide: bool = False) -> FastAPI:
    """A service that documents less than it has; with `hide` strangers get 404 for everything but the login."""
    app = FastAPI()

    def caller(request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise HTTPException(401)

    @app.post("/login")
    async def login(request: Request) -> dict[str, str]:
        if (await request.json()).get("username") != "alice":
            raise HTTPException(401)
        return {"access_token": TOKEN}

    @app.get("/me")
    def me(request: Request) -> dict[str, str]:
        caller(request)
        return {"username": "alice"}

    @app.post("/bye", include_in_schema=False)
    def bye(request: Request) -> None:
        caller(request)

    @app.delete("/things/{number}", include_in_schema=False)
    def thing(number: int, request: Request) -> None:
        raise HTTPException(404)

    @app.get("/kept/{name}", include_in_schema=False)
    def kept(name: str, request: Request) -> None:
        raise HTTPException(404)

    if hide:
        app.middleware("http")(hidden)
    return app


async def hidden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    known = request.headers.get("authorization") == f"Bearer {TOKEN}"
    if not known and request.url.path not in ("/login", "/openapi.json"):
        return JSONResponse({"detail": "Not Found"}, 404)
    return await call_next(request)


def settings(**more: Any) -> dict[str, Any]:
    login = {"operation": "POST /login", "token": "/access_token"}
    return {
        "kind": "url",
        "login": [login],
        "witness": {"operation": "GET /me", "identity": "/username"},
        **more,
    }


ALICE = {"alice": {"password": {"env": "PASSWORD_OF_ALICE"}}}


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {"logout": ["POST /bye"]},
        {"users": {"delete": {"operation": "DELETE /things/{number}"}}},
        {"policy": {"privileged_operations": ["GET /kept/{name}"]}},
    ],
    ids=["post", "typed-parameter", "found-nothing"],
)
def test_what_no_document_lists_is_asked_for(learn: Any, more: dict[str, Any], hide: bool) -> None:
    assert learn(service(hide=hide), ALICE, **settings(**more)).target.witness is not None


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"logout": ["POST /byebye"]}, 'logout[1].operation = "POST /byebye"'),
        ({"public": "GET /health"}, 'public = "GET /health"'),
        ({"users": {"delete": {"operation": "DELETE /thing/{number}"}}}, "users.delete.operation"),
        ({"policy": {"request_limits": {"GET /m": 5}}}, 'policy.request_limits = "GET /m"'),
        ({"second": {"operation": "GET /mee"}}, "did you mean GET /me?"),
    ],
    ids=["post", "get", "parameter", "key", "near"],
)
def test_what_is_not_there_is_refused(learn: Any, more: dict[str, Any], sentence: str, hide: bool) -> None:
    with pytest.raises(ConfigurationError) as caught:
        learn(service(hide=hide), ALICE, **settings(**more))
    assert sentence in str(caught.value)
    assert "this service has no such operation" in str(caught.value)


def test_a_method_that_the_path_does_not_have_is_refused(learn: Any) -> None:
    with pytest.raises(ConfigurationError, match="did you mean GET /me"):
        learn(service(), ALICE, **settings(second={"operation": "POST /me"}))


def test_nothing_is_changed_by_asking(learn: Any) -> None:
    lesson = learn(service(), ALICE, **settings(users={"delete": {"operation": "DELETE /things/{number}"}}))
    asked = [request for request, _ in lesson.log if request.path.startswith("/things")]
    assert [(request.method, request.path) for request in asked] == [
        ("DELETE", "/things/0"),
        ("OPTIONS", "/things/0"),
    ]
    assert all(name.lower() != "authorization" for request in asked for name, _ in request.headers)


def test_a_login_that_is_not_there_is_named_as_such(learn: Any) -> None:
    with pytest.raises(ConfigurationError, match="did you mean POST /login"):
        learn(service(), ALICE, **{**settings(), "login": [{"operation": "POST /logn"}]})


def test_a_service_that_asks_who_calls_before_it_looks_is_believed(learn: Any) -> None:
    """MLflow: strangers get 401 wherever they ask, and people 403 for what is nobody's business, OPTIONS among it."""
    app = service()

    @app.middleware("http")
    async def first(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        known = request.headers.get("authorization") == f"Bearer {TOKEN}"
        if request.url.path in ("/login", "/openapi.json"):
            return await call_next(request)
        return (
            await call_next(request)
            if known and request.method != "OPTIONS"
            else JSONResponse({}, 403 if known else 401)
        )

    assert learn(app, ALICE, **settings(logout=["POST /bye"])).target.logouts
