"""WEB113: what a service makes of a name that only the client uses."""

import secrets
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.security import APIKeyCookie
from pydantic import BaseModel
from services.people import PEOPLE
from starlette.types import ASGIApp, Receive, Scope, Send

from auth_conformance.model import Severity

OWN = "https://shop.example"


class Credentials(BaseModel):
    """What a login takes."""

    username: str
    password: str


def named(request: Request) -> str:
    """The name that the client used."""
    return request.headers.getlist("host")[-1]


def hosts_app(flaw: str = "") -> ASGIApp:
    """A service with a browser session; `flaw` says which of its answers follows the client's name for it.

    `cookie`: the Domain of the cookie; `servers`: the document; `next`: where the login leads; `path`: a redirect of
    doubled slashes. `quotes` is none: a member of the profile holds an address that somebody wrote there. `strict`
    refuses every name but its own. `once` is `servers` for one answer.
    """
    app = FastAPI(redirect_slashes=False, openapi_url=None)
    sessions: dict[str, str] = {}
    misled: list[str] = []

    @app.post("/login")
    def login(body: Credentials, request: Request) -> Response:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no")
        value = secrets.token_urlsafe(24)
        sessions[value] = body.username
        answer: Response = JSONResponse({"ok": True})
        if flaw == "next" and "next" in request.query_params:
            answer = RedirectResponse(request.query_params["next"], 303)
        domain = named(request).partition(":")[0] if flaw == "cookie" else None
        answer.set_cookie("sid", value, secure=True, httponly=True, samesite="lax", domain=domain)
        return answer

    def caller(sid: Annotated[str, Depends(APIKeyCookie(name="sid"))]) -> str:
        if sid not in sessions:
            raise HTTPException(401, "no")
        return sessions[sid]

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, Any]:
        written = "https://evil.example/about" if flaw == "quotes" else ""
        return {"username": name, "self": f"{OWN}/me", "page": written}

    @app.get("/openapi.json", include_in_schema=False)
    def document(request: Request) -> dict[str, Any]:
        follows = flaw == "servers" or (flaw == "once" and "evil" in named(request) and not misled)
        misled.extend([named(request)] * (flaw == "once" and follows))
        server = f"https://{named(request)}" if follows else OWN
        return {**app.openapi(), "servers": [{"url": server}]}

    return behind(app, flaw)


def behind(app: ASGIApp, flaw: str) -> ASGIApp:
    """What stands before the routes."""

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        if flaw == "strict" and hosts and any(b"evil" in value for value in hosts):
            await JSONResponse({"detail": "Unknown host."}, 421)(scope, receive, send)
        elif flaw == "path" and scope["type"] == "http" and scope["path"].startswith("//"):
            where = scope["path"].rstrip("/.") or "/"
            await RedirectResponse(where, 307)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return outer


@pytest.mark.parametrize("habit", ["", "quotes", "strict"])
def test_names_that_nothing_follows_are_no_finding(habit: str) -> None:
    result = judged_as_found("WEB113", hosts_app(habit))
    assert result.name == "passed", said(result)


@pytest.mark.parametrize(
    ("flaw", "severity", "told"),
    [
        ("cookie", Severity.HIGH, "sets a cookie for that domain"),
        ("servers", Severity.MEDIUM, "GET /openapi.json believes another Host"),
        ("next", Severity.MEDIUM, "redirects to another site for next at the login"),
        ("path", Severity.MEDIUM, "redirects to another site for an address in the path"),
    ],
)
def test_an_answer_that_follows_the_name_is_a_finding(flaw: str, severity: Severity, told: str) -> None:
    result = judged_as_found("WEB113", hosts_app(flaw))
    assert (result.name, result.severity) == ("failed", severity), said(result)
    assert any(told in item.message for item in result.verdict.violations), said(result)
    # Seen twice, and the proof says what must not stand in the answer.
    assert all(len(item.evidence) >= 2 and item.expected is not None for item in result.verdict.violations)


def test_an_answer_that_followed_the_name_once_is_a_doubt() -> None:
    result = judged_as_found("WEB113", hosts_app("once"))
    assert result.name == "inconclusive", said(result)
    assert "once, and then not" in result.verdict.reason
