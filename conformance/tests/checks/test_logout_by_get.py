"""A service that ends a login by GET, which RFC 9110 §9.2.1 forbids: what reads around must not meet it."""

import secrets
from typing import Annotated

from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Login(BaseModel):
    username: str
    password: str


class Issued(BaseModel):
    access_token: str


class Caller(BaseModel):
    username: str


def create_app(refusal: int = 401) -> FastAPI:
    app, alive = FastAPI(), dict[str, str]()

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in alive:
            raise HTTPException(refusal, "no", headers={"WWW-Authenticate": "Bearer"})
        return alive[bearer.credentials]

    @app.post("/login")
    def login(who: Login) -> Issued:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe()
        alive[token] = who.username
        return Issued(access_token=token)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> Caller:
        return Caller(username=name)

    @app.get("/config")
    def config(name: Annotated[str, Depends(caller)]) -> Caller:
        raise HTTPException(403, f"not shown to {name}")

    @app.post("/logout")
    @app.get("/signout")
    @app.get("/admin/logout")
    def end(bearer: Bearer, name: Annotated[str, Depends(caller)]) -> Caller:
        del alive[bearer.credentials]
        return Caller(username=name)

    return app


def test_who_reads_around_does_not_end_the_login() -> None:
    for code in ("DOC101", "DOC110", "AUZ106", "AUZ109"):
        result = judged_as_found(code, create_app())
        assert result.name == "passed", said(result)


def test_a_refusal_of_strangers_is_told_from_what_nobody_may_do() -> None:
    # A forged token is answered 403 here, and so is A at /config, in other words.
    result = judged_as_found("DOC101", create_app(refusal=403))
    assert result.name == "passed", said(result)
