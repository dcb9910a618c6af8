"""A service whose refresh ends the access token that came before: what a login holds is what the refresh gave."""

import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from services.people import PEOPLE


class Person(BaseModel):
    username: str
    password: str


class Renewal(BaseModel):
    refresh_token: str = Field(max_length=40)


class Pair(BaseModel):
    access_token: str
    refresh_token: str


def shop(*, outlives: bool = False) -> FastAPI:
    """One token at a time for each login, in the body and in a cookie. `outlives`: it is good without its account."""
    app, people = FastAPI(), dict(PEOPLE)
    tokens, refreshes = dict[str, tuple[str, str]](), dict[str, tuple[str, str]]()
    bearer, cookie = HTTPBearer(auto_error=False), APIKeyCookie(name="sid", auto_error=False)

    def issue(response: Response, name: str, family: str) -> Pair:
        for held in (tokens, refreshes):
            for value in [value for value, whose in held.items() if whose[1] == family]:
                del held[value]
        pair = Pair(access_token=secrets.token_urlsafe(48), refresh_token=secrets.token_urlsafe(24))
        tokens[pair.access_token] = refreshes[pair.refresh_token] = name, family
        response.set_cookie("sid", pair.access_token, httponly=True, secure=True, samesite="strict")
        return pair

    def caller(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        token = given.credentials if given is not None else sid or ""
        if token not in tokens:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return token

    Caller = Annotated[str, Depends(caller)]

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        if people.setdefault(who.username, who.password) != who.password:
            raise HTTPException(409, "no")
        return {"username": who.username}

    @app.post("/login")
    def login(who: Person, response: Response) -> Pair:
        if people.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return issue(response, who.username, secrets.token_hex(4))

    @app.post("/refresh")
    def refresh(body: Renewal, response: Response) -> Pair:
        if body.refresh_token not in refreshes:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return issue(response, *refreshes[body.refresh_token])

    @app.post("/logout", status_code=204)
    def logout(token: Caller, response: Response) -> None:
        issue(Response(), *tokens[token])
        response.delete_cookie("sid", httponly=True, secure=True, samesite="strict")

    @app.get("/me")
    def me(token: Caller) -> dict[str, str]:
        return {"username": tokens[token][0]}

    @app.delete("/me", status_code=204)
    def leave(token: Caller) -> None:
        name = tokens[token][0]
        del people[name]
        for held in (refreshes,) if outlives else (tokens, refreshes):
            for value in [value for value, whose in held.items() if whose[0] == name]:
                del held[value]

    return app


@pytest.mark.parametrize(
    ("code", "outlives", "name"),
    [
        ("LIF104", False, "passed"),
        ("LIF104", True, "failed"),
        ("SES104", False, "passed"),
        ("TOK210", False, "passed"),
    ],
)
def test_what_a_refresh_ended_is_not_used_again(code: str, name: str, *, outlives: bool) -> None:
    result = judged_as_found(code, shop(outlives=outlives))
    assert result.name == name, said(result)
