"""STO105 where a login issues a signed token and stores nothing."""

import asyncio
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import jwt
from checks.judging import said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Skipped
from auth_conformance.settings import load

KEY = secrets.token_hex(32)
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    username: str
    password: str


def members(file: Path) -> FastAPI:
    app = FastAPI()

    def told(statement: str, *values: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    told("create table people (name text primary key, password text)")

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        told("insert into people values (?, ?)", who.username, who.password)
        return {"username": who.username}

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if not told("select 1 from people where name = ? and password = ?", who.username, who.password):
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return {"access_token": jwt.encode({"sub": who.username, "exp": int(time.time()) + 600}, KEY)}

    @app.get("/me")
    def me(bearer: Bearer) -> dict[str, str]:
        try:
            return {"username": jwt.decode(bearer.credentials, KEY, ["HS256"])["sub"]}
        except jwt.InvalidTokenError:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"}) from None

    return app


def test_what_is_not_stored_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "people.db"
    app = members(file)
    settings = load({"db": f"sqlite+aiosqlite:///{file}"}, start=tmp_path)
    (result,) = asyncio.run(conduct(settings, [catalog.load()["STO105"]], app=app)).results
    assert isinstance(result.verdict, Skipped), said(result)
    assert "signed tokens only" in result.verdict.reason
