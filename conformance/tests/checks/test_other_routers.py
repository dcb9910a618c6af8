"""TOK102 and LIF101 where a second router reads tokens in a way of its own: the witness shows nothing of it."""

import secrets
from collections.abc import Callable
from typing import Annotated

import jwt
import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE, SIGNING_SECRET


class Person(BaseModel):
    username: str
    password: str


def reader(alive: set[str], *, verifies: bool = True, asks: bool = True) -> Callable[..., str]:
    """Who calls; without `verifies` whoever the token names, without `asks` also when its session has ended."""

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        options = {"verify_signature": verifies}
        try:
            claims = jwt.decode(bearer.credentials, SIGNING_SECRET, algorithms=["HS256"], options=options)
        except jwt.InvalidTokenError:
            claims = {}
        if claims.get("sub") not in PEOPLE or (asks and claims["sid"] not in alive):
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return f"{claims['sub']} {claims['sid']}"

    return caller


def house(alive: set[str], reports: Callable[..., str]) -> FastAPI:
    """People below one router, their reports below another, which has its own way to know who calls."""
    app, known = FastAPI(), reader(alive)

    @app.post("/api/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        alive.add(sid := secrets.token_hex(8))
        return {"access_token": jwt.encode({"sub": who.username, "sid": sid}, SIGNING_SECRET)}

    @app.post("/api/logout")
    def logout(caller: Annotated[str, Depends(known)]) -> dict[str, str]:
        alive.remove(caller.partition(" ")[2])
        return {"detail": "ended"}

    @app.get("/api/users/me")
    def me(caller: Annotated[str, Depends(known)]) -> dict[str, str]:
        return {"username": caller.partition(" ")[0]}

    @app.get("/api/places")
    def places(caller: Annotated[str, Depends(known)]) -> dict[str, list[str]]:
        return {"places": [caller[:1]]}

    @app.get("/api/reports")
    def listed(caller: Annotated[str, Depends(reports)]) -> dict[str, int]:
        return {"reports": len(caller)}

    @app.get("/api/ping")
    def ping() -> dict[str, str]:
        return {"pong": secrets.token_hex(4)}  # nobody is asked who they are, and no two answers are alike

    return app


@pytest.mark.parametrize("code", ["TOK102", "LIF101"])
@pytest.mark.parametrize("flaw", ["", "verifies", "asks"])
def test_a_router_that_reads_tokens_in_its_own_way_is_asked_as_well(code: str, flaw: str) -> None:
    alive = set[str]()
    reports = reader(alive, verifies=flaw != "verifies", asks=flaw != "asks")
    result = judged_as_found(code, house(alive, reports))
    broken = {"TOK102": "verifies", "LIF101": "asks"}[code] == flaw
    assert result.name == ("failed" if broken else "passed"), said(result)
    assert [item.operation for item in result.findings] == (["GET /api/reports"] if broken else [])
