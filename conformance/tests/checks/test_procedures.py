"""WEB104 where everything is done by POST: what a change of one's profile did shows where one asks who one is."""

import secrets
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Cookie, Depends, FastAPI, Form, Header, HTTPException, Response, Security
from fastapi.security import APIKeyCookie
from pydantic import BaseModel
from services.people import PEOPLE


class Person(BaseModel):
    username: str
    password: str


def desk(*, guarded: bool, bound: bool = False, ends: bool = True, strict: bool = False) -> FastAPI:
    """A session cookie that other sites send along; unguarded, changes want no CSRF token, and who looks does.

    Where `bound`, a CSRF token is good for its own session alone; unless it `ends`, a session that a login is
    presented with lives on. A `strict` login looks at a session that it is presented with as any change does.
    """
    app = FastAPI()
    sessions: dict[str, str] = {}
    tokens: dict[str, str] = {}
    mottos = dict.fromkeys(PEOPLE, "none")

    def somebody(sid: Annotated[str | None, Security(APIKeyCookie(name="sid", auto_error=False))]) -> str:
        if sid not in sessions:
            raise HTTPException(401, "no")
        return sessions[sid]

    def caller(
        name: Annotated[str, Depends(somebody)],
        sid: Annotated[str | None, Cookie()] = None,
        crumb: Annotated[str | None, Cookie(alias="sid-csrf")] = None,
        said: Annotated[str | None, Header(alias="X-CSRF-Token")] = None,
    ) -> str:
        if crumb is None or crumb != said or (bound and crumb != tokens[sid or ""]):
            raise HTTPException(403, "no csrf token")
        return name

    @app.post("/rpc/auth.login")
    def login(
        who: Person,
        response: Response,
        sid: Annotated[str | None, Cookie()] = None,
        said: Annotated[str | None, Header(alias="X-CSRF-Token")] = None,
    ) -> dict[str, bool]:
        if strict and sid is not None and (sid not in sessions or said != tokens[sid]):
            raise HTTPException(403 if sid in sessions else 401, "no csrf token")
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no")
        session = secrets.token_urlsafe(24)
        if ends:
            sessions.pop(sid or "", None)
        sessions[session] = who.username
        tokens[session] = secrets.token_urlsafe(16)
        response.set_cookie("sid", session, httponly=True, samesite="none", secure=True)
        response.set_cookie("sid-csrf", tokens[session], samesite="none", secure=True)
        return {"ok": True}

    @app.post("/rpc/auth.whoami")
    def whoami(name: Annotated[str, Depends(caller)], response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "no-store"
        return {"username": name, "motto": mottos[name]}

    @app.post("/rpc/profile.update")
    def update(
        motto: Annotated[str, Form()], name: Annotated[str, Depends(caller if guarded else somebody)]
    ) -> dict[str, bool]:
        mottos[name] = motto
        return {"ok": True}

    return app


@pytest.mark.parametrize("guarded", [True, False])
def test_a_change_of_the_profile_is_forged(guarded: bool) -> None:
    result = judged_as_found("WEB104", desk(guarded=guarded), spares=["alice"], allow_disruptive=True)
    assert (result.name == "failed") != guarded, said(result)
    assert ("POST /rpc/profile.update" in result.verdict.reason) != guarded, said(result)
    assert not any("cannot see" in note for note in result.verdict.notes), said(result)


@pytest.mark.parametrize(
    ("ends", "strict", "verdict"),
    [(True, False, "passed"), (True, True, "passed"), (False, False, "failed")],
)
def test_a_session_that_is_seen_by_post_is_judged_with_its_own_token(
    *, ends: bool, verdict: str, strict: bool
) -> None:
    result = judged_as_found("SES110", desk(guarded=True, bound=True, ends=ends, strict=strict))
    shut_out = any("Nobody keeps what lets nobody in" in note for note in result.verdict.notes)
    assert shut_out == strict, said(result)
    assert result.name == verdict, said(result)


def test_what_is_asked_by_post_is_asked_so_under_a_new_url() -> None:
    result = judged_as_found("WEB108", desk(guarded=True, bound=True))
    asked = {item.request.method for item in result.verdict.evidence if "reads" in item.label}
    assert asked == {"POST"}, said(result)
    assert "could not read" not in result.verdict.reason, said(result)


def test_each_of_two_cookies_comes_with_its_own_token() -> None:
    result = judged_as_found("SES113", desk(guarded=True, bound=True))
    assert result.name == "failed", said(result)  # Starlette keeps the last cookie of two
