"""CRD110 at a service whose second login skips the hash, and where a lock answers in the place of a login."""

import hashlib
import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
NO = HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})


class Person(BaseModel):
    username: str
    password: str


def hashed(password: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt of the house", 10)


def hall(*, skips: bool = False, plain: bool = False, locks_at: int = 10_000) -> FastAPI:
    """The app logs in at a door of its own, which `skips` the hash for strangers; `plain` hashes nothing anywhere."""
    app = FastAPI()
    people = {name: password if plain else hashed(password) for name, password in PEOPLE.items()}
    logins, wrong = dict[str, str](), dict[str, int]()

    def let_in(who: Person, *, quick: bool) -> dict[str, str]:
        if wrong.get(who.username, 0) >= locks_at:
            raise HTTPException(423, "locked")
        if quick and who.username not in people:
            raise NO
        given = who.password if plain else hashed(who.password)
        if people.get(who.username) != given:
            wrong[who.username] = wrong.get(who.username, 0) + 1
            raise NO
        wrong.pop(who.username, None)
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.post("/join", status_code=201)
    def join(who: Person) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password if plain else hashed(who.password)
        return {"username": who.username}

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        return let_in(who, quick=False)

    @app.post("/app/login")
    def app_login(who: Person) -> dict[str, str]:
        return let_in(who, quick=skips)

    @app.get("/me")
    def me(bearer: Bearer) -> dict[str, str]:
        if bearer.credentials not in logins:
            raise NO
        return {"username": logins[bearer.credentials]}

    return app


@pytest.mark.parametrize(("skips", "name"), [(False, "passed"), (True, "failed")])
def test_every_login_is_counted(*, skips: bool, name: str) -> None:
    result = judged_as_found("CRD110", hall(skips=skips))
    assert result.name == name, said(result)
    assert "POST /app/login computes" in result.verdict.reason


def test_a_lock_is_not_timed_as_a_login() -> None:
    result = judged_as_found("CRD110", hall(plain=True, locks_at=3))
    assert result.name == "inconclusive", said(result)
    assert "answered a known name 401, and later 423" in result.verdict.reason
