"""LIF110 at the database: rows of one name, and what keeps them apart."""

import asyncio
import hashlib
import secrets
import sqlite3
from collections import Counter
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from services.callers import names_its_caller

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result, Severity
from auth_conformance.settings import load


class Person(BaseModel):
    username: str
    password: str


def slowly(password: str) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"a salt for tests", 10)
    return f"pbkdf2_sha256$600000${b'a salt for tests'.hex()}${digest.hex()}"


def service(folder: Path, tables: str, *, one_by_one: bool, taken_is: int = 409, tries: int = 100) -> FastAPI:
    """A look-up before the insert, and a moment between; `one_by_one` has registrations wait for each other.

    `taken_is` answers whose name is taken; a name with more wrong passwords than `tries` is refused every one.
    """
    app, path, sessions, lock = FastAPI(), folder / "people.db", dict[str, str](), asyncio.Lock()
    wrong = Counter[str]()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(tables)

    def ask(query: str, *values: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(query, values).fetchall()

    @app.post("/register", status_code=201)
    async def register(person: Person) -> dict[str, str]:
        name = person.username.lower()
        ask("INSERT INTO log (name) VALUES (?)", name)
        async with lock if one_by_one else nullcontext():
            taken = ask("SELECT name FROM people WHERE name = ?", name)
            await asyncio.sleep(0.02)
            try:
                if not taken:
                    ask("INSERT INTO people (name, secret) VALUES (?, ?)", name, slowly(person.password))
            except sqlite3.IntegrityError:
                taken = [(name,)]
        if taken and taken_is != 201:
            raise HTTPException(taken_is, "taken")
        return {"username": name}

    @app.post("/login")
    async def login(person: Person) -> dict[str, str]:
        name = person.username.lower()
        if wrong[name] >= tries:
            raise HTTPException(429, "too many", {"Retry-After": "900"})
        found = ask("SELECT secret FROM people WHERE name = ?", name)
        if not found or found[0][0] != slowly(person.password):
            wrong[name] += 1
            raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(32)
        sessions[token] = name
        return {"access_token": token, "token_type": "bearer"}

    names_its_caller(app, sessions)
    return app


LOG = "CREATE TABLE log (id INTEGER PRIMARY KEY, name TEXT);"
PLAIN = f"{LOG} CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, secret TEXT);"
APART = [
    f"{LOG} CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE, secret TEXT);",
    f"{LOG} CREATE TABLE people (name TEXT PRIMARY KEY, secret TEXT);",
    f"{PLAIN} CREATE UNIQUE INDEX one_of_each ON people (lower(name));",
    f"{PLAIN} CREATE UNIQUE INDEX one_of_each ON people (name, id);",
]


def judged(folder: Path, tables: str, *, one_by_one: bool, taken_is: int = 409, tries: int = 100) -> Result:
    settings = load({"db": f"sqlite+aiosqlite:///{folder / 'people.db'}"}, start=folder)
    app = service(folder, tables, one_by_one=one_by_one, taken_is=taken_is, tries=tries)
    return asyncio.run(conduct(settings, [catalog.load()["LIF110"]], app=app)).results[0]


@pytest.mark.parametrize("tables", APART, ids=["constraint", "key", "expression", "several columns"])
def test_what_the_database_keeps_apart_passes_and_a_log_is_no_account(tables: str, tmp_path: Path) -> None:
    result = judged(tmp_path, tables, one_by_one="name, id" in tables)
    assert result.name == "passed", result.verdict.reason


def test_rows_of_one_name_are_accounts_although_one_password_logs_in(tmp_path: Path) -> None:
    result = judged(tmp_path, PLAIN, one_by_one=False)
    assert (result.name, result.severity) == ("failed", Severity.MEDIUM), result.verdict.reason
    assert "rows of one name in people.name" in result.verdict.reason


def test_a_race_that_was_only_not_lost_is_a_lesser_finding(tmp_path: Path) -> None:
    result = judged(tmp_path, PLAIN, one_by_one=True)
    assert (result.name, result.severity) == ("failed", Severity.LOW), result.verdict.reason
    assert "people.name has no unique constraint" in result.verdict.reason


@pytest.mark.parametrize(("taken_is", "verdict"), [(409, "passed"), (201, "inconclusive")])
def test_a_password_that_met_a_limit_was_not_seen_to_be_nobodys(
    tmp_path: Path, taken_is: int, verdict: str
) -> None:
    """Of who was told that the name is taken that need not be seen; of who was granted it, it does."""
    result = judged(tmp_path, APART[0], one_by_one=False, taken_is=taken_is, tries=3)
    assert result.name == verdict, result.verdict.reason
