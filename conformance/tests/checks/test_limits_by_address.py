"""Services that shut out the address of who was refused too often: what is tested goes on from another one."""

import time
from collections import Counter

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from auth_conformance.model import Inconclusive, Passed
from auth_conformance.probe import lasting

ENDURED = 6


def guarded(*, tells_apart: bool) -> FastAPI:
    """Six refusals, and everything from that address is answered 429, the honest included; or from everywhere."""
    app, refused = FastAPI(), Counter[str]()
    front_desk(app)

    async def limit(request: Request, call_next: RequestResponseEndpoint) -> Response:
        caller = request.client.host if request.client and tells_apart else "all"
        if refused[caller] >= ENDURED:
            return JSONResponse({"detail": "later"}, 429, {"Retry-After": "60"})
        response = await call_next(request)
        refused[caller] += response.status_code == 401
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=limit)
    return app


@pytest.mark.parametrize("code", ["TOK101", "TOK301"])
def test_a_limit_by_address_leaves_nothing_undecided(code: str) -> None:
    result = judged_as_found(code, guarded(tells_apart=True))
    assert isinstance(result.verdict, Passed), said(result)


def test_a_limit_on_everybody_says_how_long_it_asks_to_wait() -> None:
    result = judged_as_found("TOK101", guarded(tells_apart=False))
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert result.verdict.remedy.startswith("patience = 61"), result.verdict.remedy


def minutely(seconds: float) -> FastAPI:
    """Four logins under one name, and the next after `seconds`: how long that takes nobody is told."""
    app, seen = FastAPI(), dict[str, list[float]]()
    front_desk(app)

    async def limit(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/login" and request.method == "POST":
            name = str((await request.json()).get("username"))
            lately = [at for at in seen.get(name, []) if time.monotonic() - at < seconds]
            seen[name] = [*lately, time.monotonic()] if len(lately) < 4 else lately
            if len(lately) >= 4:
                return JSONResponse({"detail": "later"}, 429)
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=limit)
    return app


def test_a_login_outwaits_a_limit_that_names_no_end() -> None:
    result = judged_as_found("TOK401", minutely(3.5))
    assert isinstance(result.verdict, Passed), said(result)


def test_a_limit_of_the_login_that_outlasts_the_run_names_the_line_that_waits() -> None:
    result = judged_as_found("TOK401", minutely(600), patience=0.5)
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert result.verdict.remedy.startswith("patience = 240"), result.verdict.remedy
    assert "POST /login" in result.verdict.remedy


def test_who_lets_nobody_in_by_a_moved_clock_has_locked_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """CRD114: the owner is refused with 403 sixteen minutes later, and so is who has not failed."""
    monkeypatch.setattr(lasting, "CALM", 0.01)
    app, failed, began = FastAPI(), Counter[str](), time.time()
    front_desk(app)

    @app.middleware("http")
    async def shut(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path != "/login":
            return await call_next(request)
        name = str((await request.json()).get("username"))
        if time.time() > began + 600:
            return JSONResponse({"detail": "come back tomorrow"}, 403)
        if failed[name] >= 8:
            return JSONResponse({"detail": "later"}, 429)
        answer = await call_next(request)
        failed[name] += answer.status_code == 401
        return answer

    result = judged_as_found("CRD114", app, spares=["alice"])
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert "nobody else can log in, either" in result.verdict.reason
