"""MIX105, SES114: a login that issues one value both as a token and as a cookie has not mixed two kinds up."""

import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE


class Person(BaseModel):
    username: str
    password: str


def lobby(*, one_value: bool) -> FastAPI:
    """The answer to a login holds a token, and a cookie of the same value or another; either is taken anywhere."""
    app, sessions = FastAPI(), dict[str, str]()
    bearer, cookie = HTTPBearer(auto_error=False), APIKeyCookie(name="sid", auto_error=False)

    def caller(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        shown = given.credentials if given is not None else sid
        if shown not in sessions:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return sessions[shown]

    @app.post("/login")
    def login(who: Person, response: Response) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        session = token if one_value else secrets.token_urlsafe(24)
        sessions[token] = sessions[session] = who.username
        response.set_cookie("sid", session, httponly=True, secure=True, samesite="strict")
        return {"access_token": token, "token_type": "bearer"}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


@pytest.mark.parametrize(("one_value", "verdict"), [(True, "passed"), (False, "failed")])
@pytest.mark.parametrize("code", ["MIX105", "SES114"])
def test_a_value_is_at_home_where_the_login_puts_it(code: str, *, one_value: bool, verdict: str) -> None:
    result = judged_as_found(code, lobby(one_value=one_value))
    assert result.name == verdict, said(result)
