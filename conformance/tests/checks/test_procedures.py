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


def desk(*, guarded: bool) -> FastAPI:
    """A session cookie that other sites send along; unguarded, changes want no CSRF token, and who looks does."""
    app = FastAPI()
    sessions: dict[str, str] = {}
    mottos = dict.fromkeys(PEOPLE, "none")

    def somebody(sid: Annotated[str | None, Security(APIKeyCookie(name="sid", auto_error=False))]) -> str:
        if sid not in sessions:
            raise HTTPException(401, "no")
        return sessions[sid]

    def caller(
        name: Annotated[str, Depends(somebody)],
        crumb: Annotated[str | None, Cookie(alias="sid-csrf")] = None,
        said: Annotated[str | None, Header(alias="X-CSRF-Token")] = None,
    ) -> str:
        if crumb is None or crumb != said:
            raise HTTPException(403, "no csrf token")
        return name

    @app.post("/rpc/auth.login")
    def login(who: Person, response: Response) -> dict[str, bool]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no")
        session = secrets.token_urlsafe(24)
        sessions[session] = who.username
        response.set_cookie("sid", session, httponly=True, samesite="none", secure=True)
        response.set_cookie("sid-csrf", secrets.token_urlsafe(16), samesite="none", secure=True)
        return {"ok": True}

    @app.post("/rpc/auth.whoami")
    def whoami(name: Annotated[str, Depends(caller)]) -> dict[str, Any]:
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
