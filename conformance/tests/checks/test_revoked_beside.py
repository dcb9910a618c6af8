"""MIX103 where nobody can register: what was revoked is a session of B."""

import secrets
from typing import Annotated

import pytest
from checks.desk import Person, Sessions
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from auth_conformance.model import Failed, Severity


def hall(*, forgives: bool, ends: bool = True) -> FastAPI:
    """Tokens and cookies; where it `forgives`, a token that was logged out gives way to the cookie beside it.

    Where its logout `ends` nothing, a token goes on working, and decides alone.
    """
    app, sessions, ended = FastAPI(), Sessions(), set[str]()
    bearer, cookie = HTTPBearer(auto_error=False), APIKeyCookie(name="sid", auto_error=False)

    def caller(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        token = given.credentials if given is not None else None
        given_up = forgives and token in ended
        shown = [value for value in (None if given_up else token, sid) if value is not None]
        names = [sessions.get(value) for value in shown]
        name = names[0] if names and None not in names else None
        if name is None or (ends and len(set(names)) > 1):
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        return {"access_token": sessions.opened(who), "token_type": "bearer"}

    @app.post("/session")
    def start(who: Person, response: Response) -> dict[str, str]:
        response.set_cookie("sid", sessions.opened(who), httponly=True, secure=True, samesite="strict")
        return {"hello": who.username}

    @app.post("/logout", status_code=204)
    def leave(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
        if ends and sessions.pop(given.credentials, None) is not None:
            ended.add(given.credentials)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


def counter() -> FastAPI:
    """A hall where keys open the orders alone, whatever cookie comes with them."""
    app, keys = hall(forgives=False), dict[str, str]()
    by_login = next(route.dependant.dependencies[0].call for route in app.routes if route.path == "/me")

    def customer(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
        sid: Annotated[str | None, Depends(APIKeyCookie(name="sid", auto_error=False))],
        key: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))],
    ) -> str:
        return keys[key] if key in keys else by_login(given, sid)

    @app.post("/keys", status_code=201)
    def make(name: Annotated[str, Depends(by_login)]) -> dict[str, str]:
        value = secrets.token_urlsafe(24)
        keys[value] = name
        return {"id": value[:8], "key": value}

    @app.delete("/keys/{number}", status_code=204)
    def revoke(number: str, name: Annotated[str, Depends(by_login)]) -> None:
        for value in [value for value in keys if value.startswith(number) and keys[value] == name]:
            del keys[value]

    @app.get("/orders")
    def orders(name: Annotated[str, Depends(customer)]) -> list[dict[str, str]]:
        return [{"of": name}]

    return app


@pytest.mark.parametrize(("forgives", "verdict"), [(False, "passed"), (True, "failed")])
def test_a_token_that_was_logged_out_gives_way_to_nothing(*, forgives: bool, verdict: str) -> None:
    result = judged_as_found("MIX103", hall(forgives=forgives))
    assert result.name == verdict, said(result)
    assert ("a revoked credential" in result.verdict.reason) == forgives, said(result)


def test_a_token_that_outlives_its_logout_is_ignored_by_nobody() -> None:
    """It is good: that it gets in beside another good one is LIF101's finding, and says nothing of this rule."""
    result = judged_as_found("MIX103", hall(forgives=False, ends=False))
    assert "a revoked credential" not in result.verdict.reason, said(result)
    assert result.name == "passed", said(result)
    assert any("alone it is not clearly refused" in note for note in result.verdict.notes), said(result)


def test_what_takes_tokens_only_has_no_cookie_to_ignore() -> None:
    """A second operation that never looks at cookies was held against the first one, which refuses a bad one."""
    app = hall(forgives=False)
    by_login = next(route.dependant.dependencies[0].call for route in app.routes if route.path == "/me")

    @app.get("/quota", tags=["quota"])
    def quota(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> dict[str, str]:
        return {"left": "3", "of": by_login(given, None)}

    result = judged_as_found("MIX103", app)
    assert result.name == "passed", said(result)
    assert any("not tried there: GET /quota" in note for note in result.verdict.notes), said(result)


def test_a_key_is_tried_where_it_opens_something() -> None:
    """The page that names its caller refuses every key: that is no other answer to the bad cookie beside it."""
    result = judged_as_found("MIX103", counter())
    assert isinstance(result.verdict, Failed), said(result)
    assert {item.severity for item in result.verdict.violations} == {Severity.LOW}, said(result)
    assert any("X-API-Key" in item.message for item in result.verdict.violations), said(result)
