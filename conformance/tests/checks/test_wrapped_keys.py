"""A service whose session is a JWT in a cookie, and whose keys go behind `Bearer`, made in an envelope."""

import secrets
from typing import Annotated, Any

import jwt
import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from services.people import PEOPLE

KEY = APIKeyHeader(name="Authorization", scheme_name="Bearer", auto_error=False)
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Wish(BaseModel):
    name: str
    note: str = ""


class Wrapped(BaseModel):
    data: Wish


class Person(BaseModel):
    username: str
    password: str


def service(*, secret: str = "") -> tuple[FastAPI, dict[str, tuple[str, str]]]:
    """Returns what keys there are, too: by value, the id and whose it is."""
    app, keys = FastAPI(), dict[str, tuple[str, str]]()
    secret = secret or secrets.token_hex(32)

    def caller(request: Request, key: Annotated[str | None, Depends(KEY)]) -> str:
        _, name = keys.get((key or "").removeprefix("Bearer "), ("", ""))
        try:
            return name or str(jwt.decode(request.cookies.get("sid", ""), secret, ["HS256"])["sub"])
        except (jwt.PyJWTError, KeyError):
            raise HTTPException(401, "no", CHALLENGE) from None

    Caller = Annotated[str, Depends(caller)]

    @app.post("/login", status_code=204)
    def login(who: Person, response: Response) -> None:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", CHALLENGE)
        claims = {"sub": who.username, "jti": secrets.token_hex(8)}
        response.set_cookie("sid", jwt.encode(claims, secret, "HS256"), httponly=True)

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/keys")
    def make(wish: Wrapped, name: Caller) -> dict[str, Any]:
        keys[key := secrets.token_urlsafe(24)] = (number := secrets.token_hex(8), name)
        return {"data": {"id": number, "key": key, **wish.data.model_dump()}}

    @app.delete("/keys/{number}", status_code=204)
    def revoke(number: str, name: Caller) -> None:
        mine = [key for key, made in keys.items() if made == (number, name)]
        if not mine:
            raise HTTPException(404, "none")
        keys.pop(mine[0])

    return app, keys


@pytest.mark.parametrize("code", ["AUZ105", "ERR102"])
def test_what_is_wrapped_or_behind_a_word_is_a_clients_own(code: str) -> None:
    app, keys = service()
    result = judged_as_found(code, app)
    assert result.name == "passed", said(result)
    assert keys == {}, "keys that the check made are revoked again"


def test_the_secret_of_a_session_is_guessed_as_well() -> None:
    app, _ = service(secret="09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7")
    result = judged_as_found("TOK114", app)
    assert result.name == "failed", said(result)
