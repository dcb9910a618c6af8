"""MIX102 to MIX105 where one of two logins breaks in mid-run: nothing was seen of it, and nothing is skipped."""

from dataclasses import replace
from typing import Annotated, Any

import pytest
from checks.desk import Person, Sessions
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.middleware.base import RequestResponseEndpoint

from auth_conformance import catalog
from auth_conformance.credentials import Credential, Kind
from auth_conformance.probe.answers import Answer
from auth_conformance.sdk import Probe, Verdict
from auth_conformance.target import Operation


def gate(*, by_cookie: bool = True) -> FastAPI:
    """Tokens and cookies; once `app.state.full`, no login gives a cookie. Cookies open the profile, or a page."""
    app, sessions = FastAPI(), Sessions()
    app.state.full = False
    bearer, cookie = HTTPBearer(auto_error=False), APIKeyCookie(name="sid", auto_error=False)

    def somebody(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        token = given.credentials if given is not None else None
        names = {sessions.get(value) for value in (token, sid if by_cookie else None) if value is not None}
        if len(names) != 1 or None in names:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return str(names.pop())

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        value = sessions.opened(who)
        return {"access_token": value, "token_type": "bearer"}

    @app.post("/session")
    def start(who: Person, response: Response) -> dict[str, str]:
        value = sessions.opened(who)
        if app.state.full:
            raise HTTPException(500, "the store of sessions is full")
        response.set_cookie("sid", value, httponly=True, secure=True, samesite="strict")
        return {"hello": who.username}

    if not by_cookie:

        @app.get("/page")
        def page(sid: Annotated[str | None, Depends(cookie)]) -> dict[str, str]:
            if sid not in sessions:
                raise HTTPException(401, "no")
            return {"page": "empty"}

    @app.get("/me")
    def me(name: Annotated[str, Depends(somebody)]) -> dict[str, str]:
        return {"username": name}

    return app


@pytest.mark.parametrize("code", ["MIX102", "MIX103", "MIX104", "MIX105"])
def test_a_login_that_breaks_is_no_login_that_is_not_there(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, check = gate(), catalog.load()[code]

    async def breaking(probe: Probe) -> Verdict:
        app.state.full = True  # discovery is done: the login is known
        return await check.procedure(probe)

    monkeypatch.setattr(catalog, "load", lambda: {code: replace(check, procedure=breaking)})
    result = judged_as_found(code, app, patience=0)
    assert result.name == "inconclusive", said(result)
    assert "POST /session refused the right password" in result.verdict.reason, said(result)


@pytest.mark.parametrize("code", ["MIX102", "MIX103", "MIX105"])
def test_a_cookie_that_opens_another_door_is_not_broken(code: str) -> None:
    result = judged_as_found(code, gate(by_cookie=False))
    assert result.name == "skipped", said(result)
    assert "fewer than two kinds" in result.verdict.reason, said(result)


def test_a_page_in_the_place_of_a_profile_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    app = gate()
    app.state.blocked = False

    @app.middleware("http")
    async def filtered(request: Request, call_next: RequestResponseEndpoint) -> Response:
        page = HTMLResponse("<html><h1>Sorry, you have been blocked</h1></html>", 403)
        return page if app.state.blocked else await call_next(request)

    ask = Probe.call

    async def call(probe: Probe, operation: Operation, who: Credential, **more: Any) -> Answer:
        app.state.blocked = more.get("label") == "the profile" and who.carrier.kind is Kind.COOKIE
        answer = await ask(probe, operation, who, **more)
        app.state.blocked = False
        return answer

    monkeypatch.setattr(Probe, "call", call)
    result = judged_as_found("MIX102", app)
    assert result.name == "inconclusive", said(result)
    assert "the profile by cookie: no clear answer" in result.verdict.reason
