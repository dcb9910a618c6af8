"""A login that is sent on: to another path of the same host it is followed by asking there, to another host never."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse

from auth_conformance.settings import ConfigurationError

DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Redirects", "version": "1"},
    "paths": {
        "/login": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["username", "password"],
                                "properties": {
                                    "username": {"type": "string"},
                                    "password": {"type": "string"},
                                },
                            }
                        }
                    }
                }
            }
        },
        "/me": {"get": {"security": [{"bearer": []}]}},
    },
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
}
SECRETS = {name: f"t0ken-of-{name}-5c1d9e4b" for name in ("alice", "bob")}


def service(status: int, there: str, *, at: str = "/login/") -> FastAPI:
    app = FastAPI(redirect_slashes=False)

    @app.post(at)
    async def login(request: Request) -> dict[str, str]:
        given = await request.json()
        if given.get("username") not in SECRETS:
            raise HTTPException(401)
        return {"access_token": SECRETS[given["username"]]}

    @app.post("/login")
    def moved() -> RedirectResponse:
        return RedirectResponse(there, status)

    @app.get("/me")
    def me(request: Request) -> dict[str, str]:
        caller = {f"Bearer {secret}": name for name, secret in SECRETS.items()}
        name = caller.get(request.headers.get("authorization", ""))
        if name is None:
            raise HTTPException(401)
        return {"username": name}

    app.openapi = lambda: DOCUMENT  # type: ignore[method-assign] # as FastAPI documents it
    return app


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize(
    ("status", "there"),
    [(307, "/login/"), (308, "https://testserver/login/"), (301, "/login/"), (308, "/v2/login")],
)
def test_a_login_that_moved_on_its_host_is_found(
    learn: Any, status: int, there: str, *, declared: bool
) -> None:
    path = there.removeprefix("https://testserver")
    more = {"login": [{"operation": "POST /login", "token": "/access_token"}]} if declared else {}
    target = learn(service(status, there, at=path), kind="url", **more).target
    assert [login.operation.name for login in target.logins] == [f"POST {path}"]
    assert {item.name for item in target.operations} >= {f"POST {path}", "GET /me"}
    assert target.operation("POST /login") is None


@pytest.mark.parametrize("there", ["https://elsewhere.example/login/", "//elsewhere.example/login"])
def test_no_credential_follows_to_another_host(learn: Any, there: str) -> None:
    log: list[Any] = []
    with pytest.raises(ConfigurationError, match="another host, where no credential is sent"):
        learn(service(307, there), kind="url", log=log)
    assert not [request for request, _ in log if request.path.startswith("/login/")]


def test_a_page_after_a_wrong_password_is_not_asked_for_a_login(learn: Any) -> None:
    log: list[Any] = []
    with pytest.raises(ConfigurationError, match="cannot log in"):
        learn(service(302, "/login-failed"), kind="url", log=log)
    assert not [request for request, _ in log if request.path == "/login-failed" and request.method == "POST"]


def test_a_declared_login_that_is_limited_is_not_said_to_be_wrong(learn: Any) -> None:
    app = FastAPI(openapi_url=None)

    @app.post("/login")
    def login() -> None:
        raise HTTPException(429, "too many", {"Retry-After": "900"})

    with pytest.raises(ConfigurationError, match="run again when the limit has passed"):
        learn(app, kind="url", login=[{"operation": "POST /login"}])
