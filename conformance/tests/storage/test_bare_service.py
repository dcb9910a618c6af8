"""STO101 where there is nothing but registration and login: no change of password, no reset, no mail."""

import asyncio
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from services.callers import names_its_caller

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load


class Person(BaseModel):
    username: str
    password: str


def slowly(password: str, salt: bytes) -> str:
    return f"pbkdf2_sha256$600000${salt.hex()}${hashlib.pbkdf2_hmac('sha256', password.encode(), salt, 10).hex()}"


def service(folder: Path, stored: Callable[[str, bytes], str]) -> FastAPI:
    app, path, sessions = FastAPI(), folder / "people.db", dict[str, str]()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE people (name TEXT PRIMARY KEY, salt BLOB, secret TEXT)")

    def row(name: str) -> tuple[bytes, str] | None:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT salt, secret FROM people WHERE name = ?", (name,)).fetchone()
        return (found[0], found[1]) if found else None

    @app.post("/register", status_code=201)
    async def register(person: Person) -> dict[str, str]:
        if row(person.username):
            raise HTTPException(409, "taken")
        salt = os.urandom(16)
        values = (person.username, salt, stored(person.password, salt))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO people VALUES (?, ?, ?)", values)
        return {"username": person.username}

    @app.post("/login")
    async def login(person: Person) -> dict[str, str]:
        found = row(person.username)
        if found is None or found[1] != stored(person.password, found[0]):
            raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(32)
        sessions[token] = person.username
        return {"access_token": token, "token_type": "bearer"}

    names_its_caller(app, sessions)
    return app


def judged(folder: Path, stored: Callable[[str, bytes], str], code: str = "STO101") -> Result:
    settings = load({"db": f"sqlite+aiosqlite:///{folder / 'people.db'}"}, start=folder)
    run = conduct(settings, [catalog.load()[code]], app=service(folder, stored))
    return asyncio.run(run).results[0]


@pytest.mark.parametrize(
    "stored",
    [
        lambda password, _: password,
        lambda password, _: hashlib.sha256(password.encode()).hexdigest(),
        lambda password, salt: hashlib.sha256(salt + password.encode()).hexdigest(),
        lambda password, _: password.encode().hex(),
    ],
    ids=["in clear", "fast digest", "salted fast digest", "hex"],
)
def test_what_can_be_undone_is_found(stored: Callable[[str, bytes], str], tmp_path: Path) -> None:
    result = judged(tmp_path, stored)
    assert result.name == "failed", result.verdict.reason


def test_a_slow_hash_passes(tmp_path: Path) -> None:
    result = judged(tmp_path, slowly)
    assert result.name == "passed", result.verdict.reason


def test_a_fast_digest_is_told_though_the_password_stands_beside_it_in_clear(tmp_path: Path) -> None:
    def noted(password: str, _: bytes) -> str:
        return json.dumps({"typed": password, "hash": hashlib.sha256(password.encode()).hexdigest()})

    result = judged(tmp_path, noted, "STO102")
    assert result.name == "failed", result.verdict.reason
    assert "fast to try (sha256)" in result.verdict.reason
