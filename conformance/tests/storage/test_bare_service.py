"""STO101 where there is nothing but registration and login: no change of password, no reset, no mail."""

import asyncio
import hashlib
import importlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.callers import names_its_caller
from starlette.middleware.base import RequestResponseEndpoint

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load


class Person(BaseModel):
    username: str
    password: str


def slowly(password: str, salt: bytes) -> str:
    return f"pbkdf2_sha256$600000${salt.hex()}${hashlib.pbkdf2_hmac('sha256', password.encode(), salt, 10).hex()}"


def service(folder: Path, stored: Callable[[str, bytes], str], history: str | None = None) -> FastAPI:
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

    if history is not None:
        keeps_history(app, path, sessions, stored, clear=history == "clear")
    names_its_caller(app, sessions)
    return app


class Change(BaseModel):
    current_password: str
    new_password: str


def keeps_history(
    app: FastAPI, path: Path, sessions: dict[str, str], stored: Callable[[str, bytes], str], *, clear: bool
) -> None:
    """A password can be changed, and a table keeps what it was changed to: in clear, or hashed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE history (name TEXT, given TEXT)")

    @app.post("/me/change-password", status_code=204)
    async def change(
        change: Change, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
    ) -> None:
        name = sessions.get(bearer.credentials)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        salt = os.urandom(16)
        made = stored(change.new_password, salt)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE people SET salt = ?, secret = ? WHERE name = ?", (salt, made, name))
            connection.execute(
                "INSERT INTO history VALUES (?, ?)", (name, change.new_password if clear else made)
            )


def judged(
    folder: Path, stored: Callable[[str, bytes], str], code: str = "STO101", *, history: str | None = None
) -> Result:
    return on(service(folder, stored, history), folder, code)


def on(app: FastAPI, folder: Path, code: str, **more: Any) -> Result:
    settings = load({"db": f"sqlite+aiosqlite:///{folder / 'people.db'}", **more}, start=folder)
    return asyncio.run(conduct(settings, [catalog.load()[code]], app=app)).results[0]


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


@pytest.mark.parametrize(("history", "name"), [("clear", "failed"), ("hashed", "passed")])
def test_what_is_kept_of_a_changed_password_is_seen(history: str, name: str, tmp_path: Path) -> None:
    result = judged(tmp_path, slowly, history=history)
    assert result.name == name, result.verdict.reason
    assert name == "passed" or "history.given holds the password in clear" in result.verdict.reason


@pytest.mark.parametrize(
    ("answers", "name"),
    [((200, 200), "failed"), ((200, 404), "inconclusive"), ((503,), "inconclusive"), ((404,), "passed")],
)
def test_a_database_is_served_when_it_is_seen_twice(
    answers: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    app, left = service(tmp_path, slowly), iter(answers)
    (tmp_path / "people.db").chmod(0o600)

    @app.middleware("http")
    async def served(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path != "/app.db":
            return await call_next(request)
        status = next(left, 404)
        return Response(b"SQLite format 3\0" if status == 200 else b"", status)

    result = on(app, tmp_path, "STO106")
    assert result.name == name, result.verdict.reason


def test_a_fast_digest_is_told_though_the_password_stands_beside_it_in_clear(tmp_path: Path) -> None:
    def noted(password: str, _: bytes) -> str:
        return json.dumps({"typed": password, "hash": hashlib.sha256(password.encode()).hexdigest()})

    result = judged(tmp_path, noted, "STO102")
    assert result.name == "failed", result.verdict.reason
    assert "fast to try (sha256)" in result.verdict.reason


def argon2(data: bytes, salt: bytes) -> str:
    hasher = importlib.import_module("argon2").PasswordHasher(1, 8, 1)
    return str(hasher.hash(data, salt=salt))


@pytest.mark.parametrize(
    ("stored", "name", "told"),
    [
        (lambda password, salt: argon2(password.encode(), salt), "passed", "it is the hash of the password"),
        (
            lambda password, salt: argon2(hashlib.sha256(password.encode()).digest(), salt),
            "passed",
            "sha256 in bytes",
        ),
        (
            lambda password, salt: argon2(b"pepper" + password.encode(), salt),
            "inconclusive",
            "what was hashed is not known",
        ),
    ],
    ids=["the password", "its digest", "something else"],
)
def test_the_hash_is_computed_again(
    stored: Callable[[str, bytes], str], name: str, told: str, tmp_path: Path
) -> None:
    result = on(service(tmp_path, stored, None), tmp_path, "STO102", policy={"test_hashing": True})
    assert result.name == name, result.verdict.reason
    assert told in f"{result.verdict.reason} {getattr(result.verdict, 'notes', '')}"
