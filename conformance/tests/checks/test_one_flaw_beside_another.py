"""A flaw that is proved by using it must not hide the next one: what was used up is not used again."""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.desk import Person, Sessions
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.probe import keyends
from auth_conformance.settings import load

Header = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Newcomer(Person):
    password: str = Field(min_length=8)


class Change(BaseModel):
    old_password: str = ""
    new_password: str


class Wish(BaseModel):
    label: str


def careless() -> FastAPI:
    """Keys set passwords without the current one, and outlive their revocation."""
    app, people = FastAPI(), dict(PEOPLE)
    logins = Sessions(people)
    keys: dict[str, tuple[int, str]] = {}

    def caller(bearer: Bearer, key: Header) -> str:
        name = keys[key][1] if key in keys else logins.get(bearer.credentials if bearer else "")
        if name is None:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/register", status_code=201)
    def register(who: Newcomer) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password
        return {"username": who.username}

    @app.post("/login")
    def login(who: Newcomer) -> dict[str, str]:
        return {"access_token": logins.opened(who)}

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/me/password", status_code=204)
    def change(body: Change, name: Caller) -> None:
        people[name] = body.new_password

    @app.get("/keys")
    def listed(name: Caller) -> list[int]:
        return [number for number, owner in keys.values() if owner == name]

    @app.post("/keys", status_code=201)
    def make(body: Wish, name: Caller) -> dict[str, Any]:
        key = "k_" + secrets.token_urlsafe(24)
        keys[key] = (len(keys) + 1, name)
        return {"id": len(keys), "key": key}

    @app.delete("/keys/{key_id}", status_code=204)
    def revoke(key_id: int, name: Caller) -> None:
        if (key_id, name) not in keys.values():
            raise HTTPException(404, "none")

    return app


def test_a_key_that_sets_a_password_does_not_hide_that_it_outlives_its_revocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyends, "LATER", (0.1,))
    monkeypatch.setattr(keyends, "CACHED", 0.0)
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    settings = load({"accounts": accounts}, start=Path("/"))
    checks = [catalog.load()[code] for code in ("KEY110", "LIF103")]
    found = asyncio.run(conduct(settings, checks, app=careless())).results
    assert [(item.rule.code, item.name) for item in found] == [("KEY110", "failed"), ("LIF103", "failed")], [
        item.verdict.reason for item in found
    ]
