"""LIF104 where no operation shuts an account: a flag in its row does, and the database is given."""

import asyncio
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result, Severity
from auth_conformance.settings import load


class Person(BaseModel):
    username: str
    password: str


def service(
    folder: Path, flag: str, *, at_login: bool, always: bool, wipes: bool = True, shut_is: int = 401
) -> FastAPI:
    """An account may act while `flag` says so, as far as the login and every other call ask for it.

    `shut_is` answers the login of one that may not.
    """
    app, path, sessions = FastAPI(), folder / "people.db", dict[str, str]()
    opens = 0 if flag in ("disabled", "is_blocked") else 1
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE people (name TEXT PRIMARY KEY, secret TEXT, {flag} BOOLEAN)")
        connection.execute("CREATE TABLE visits (name TEXT, active BOOLEAN)")

    def row(name: str) -> tuple[str, bool] | None:
        with closing(sqlite3.connect(path)) as connection:
            query = f"SELECT secret, {flag} FROM people WHERE name = ?"  # noqa: S608 - a name of this test
            found = connection.execute(query, (name,)).fetchone()
        return (found[0], found[1] == opens) if found else None

    @app.post("/register", status_code=201)
    async def register(person: Person) -> dict[str, str]:
        if row(person.username):
            raise HTTPException(409, "taken")
        with closing(sqlite3.connect(path)) as connection, connection:
            values = (person.username, person.password, opens)
            connection.execute("INSERT INTO people VALUES (?, ?, ?)", values)
            connection.executemany("INSERT INTO visits VALUES (?, 1)", [(person.username,)] * 2)
        return {"username": person.username}

    @app.post("/login")
    async def login(person: Person) -> dict[str, str]:
        found = row(person.username)
        if found is not None and at_login and not found[1] and shut_is != 401:
            raise HTTPException(shut_is, "later", {"Retry-After": "900"})
        if found is None or found[0] != person.password or (at_login and not found[1]):
            raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(32)
        sessions[token] = person.username
        return {"access_token": token, "token_type": "bearer"}

    @app.get("/me")
    async def me(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> dict[str, str]:
        name = sessions.get(given.credentials) if given is not None else None
        found = row(name) if name is not None else None
        if name is None or found is None or (always and not found[1]):
            if wipes and given is not None:
                sessions.pop(given.credentials, None)
            raise HTTPException(401, "log in", {"WWW-Authenticate": "Bearer"})
        return {"username": name}

    return app


def judged(folder: Path, app: FastAPI) -> Result:
    settings = load({"db": f"sqlite+aiosqlite:///{folder / 'people.db'}"}, start=folder)
    return asyncio.run(conduct(settings, [catalog.load()["LIF104"]], app=app)).results[0]


@pytest.mark.parametrize("flag", ["is_active", "disabled", "is_blocked"])
def test_an_account_whose_row_is_shut_loses_everything(flag: str, tmp_path: Path) -> None:
    result = judged(tmp_path, service(tmp_path, flag, at_login=True, always=True))
    assert result.name == "passed", result.verdict.reason
    assert f"a change of people.{flag}" in result.verdict.reason


@pytest.mark.parametrize(
    ("app", "severity"),
    [
        ({"at_login": True, "always": False}, Severity.HIGH),
        ({"at_login": False, "always": True}, Severity.HIGH),
        ({"at_login": True, "always": True, "wipes": False}, Severity.MEDIUM),
    ],
    ids=["tokens live on", "the login forgets to look", "tokens revive"],
)
def test_what_survives_is_found(app: dict[str, bool], severity: Severity, tmp_path: Path) -> None:
    result = judged(tmp_path, service(tmp_path, "is_active", **app))
    assert (result.name, result.severity) == ("failed", severity), result.verdict.reason


def test_a_flag_that_shuts_nothing_accuses_nobody(tmp_path: Path) -> None:
    result = judged(tmp_path, service(tmp_path, "is_active", at_login=False, always=False))
    assert result.name == "skipped", result.verdict.reason


@pytest.mark.parametrize("shut_is", [429, 500])
def test_a_login_that_gave_no_answer_was_not_refused(tmp_path: Path, shut_is: int) -> None:
    app = service(tmp_path, "is_active", at_login=True, always=True, shut_is=shut_is)
    result = judged(tmp_path, app)
    assert result.name == "inconclusive", result.verdict.reason
    assert "no orderly answer" in result.verdict.reason
