"""A login that gives the same token each time: all is searched that can be, and the rest names a line."""

import hashlib
import secrets
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result, Severity, Skipped
from auth_conformance.settings import load
from auth_fuzz import Budget, fuzz

WORDS = {"ann": "Kq8vYb2nLr6XwZ4m", "ben": "Hk9sPd3fTq7cWx5j"}


class Login(BaseModel):
    username: str
    password: str


def shop(*, registers: bool, ends: bool = True) -> FastAPI:
    """One token per account for good; a logout ends it until the next login, where `ends` says so."""
    app, people, alive = FastAPI(), dict(WORDS), dict[str, str]()
    bearer, salt = HTTPBearer(auto_error=False), secrets.token_bytes(16)

    def caller(held: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        found = alive.get(held.credentials) if held is not None else None
        if found is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return found

    name_of = Annotated[str, Depends(caller)]

    def token_of(name: str) -> str:
        return hashlib.sha256(salt + name.encode()).hexdigest()

    @app.post("/login")
    def log_in(body: Login) -> dict[str, str]:
        if people.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        alive[token_of(body.username)] = body.username
        return {"access_token": token_of(body.username), "token_type": "bearer"}

    @app.post("/logout", status_code=204)
    def log_out(name: name_of) -> None:
        if ends:
            del alive[token_of(name)]

    @app.get("/me")
    def me(name: name_of) -> dict[str, str]:
        return {"username": name}

    if registers:

        @app.post("/register", status_code=201)
        def register(body: Login) -> dict[str, str]:
            if body.username in people:
                raise HTTPException(409, "taken")
            people[body.username] = body.password
            return {"username": body.username}

    return app


def searched(app: FastAPI, only: list[str] | None = None, requests: int = 500) -> dict[str, Result]:
    async def go() -> list[Result]:
        accounts = {
            label: {"username": name, "password": {"env": f"SECRET_{label}"}}
            for label, name in (("a", "ann"), ("b", "ben"))
        }
        settings = load({"accounts": accounts}, start=Path(__file__).parent)
        async with opened(settings, app=app) as door:
            return await fuzz(door.scene, Budget(300.0, requests, shrinking=20), 1, only=only)

    with pytest.MonkeyPatch.context() as patch:
        for label, name in (("a", "ann"), ("b", "ben")):
            patch.setenv(f"SECRET_{label}", WORDS[name])
        return {result.rule.code: result for result in run_to_end(go())}


@pytest.mark.parametrize("registers", [True, False])
def test_what_can_be_searched_is_and_the_rest_says_what_is_missing(registers: object) -> None:
    results = searched(shop(registers=bool(registers)))
    passed = {code for code, result in results.items() if result.name == "passed"}
    assert {"FUZ100", "FUZ101", "FUZ102", "FUZ201", "FUZ402", "FUZ403"} <= passed
    assert ({"FUZ301", "FUZ302", "FUZ303"} <= passed) == registers
    for result in results.values():
        assert not [finding for finding in result.findings if finding.severity > Severity.LOW]
        if isinstance(result.verdict, Skipped):
            assert "same credential" not in result.verdict.reason
            assert ".." not in result.verdict.reason
    if not registers:
        assert all("[register]" in results[code].verdict.remedy for code in ("FUZ301", "FUZ304"))


def test_a_logout_that_ends_nothing_is_found_there_too() -> None:
    result = searched(shop(registers=True, ends=False), ["lifecycle"], 1200)["FUZ301"]
    assert "its session was logged out" in result.findings[0].message


def test_it_is_found_also_where_nobody_can_register() -> None:
    result = searched(shop(registers=False, ends=False), ["differential"])["FUZ301"]
    assert "that was logged out (POST /logout" in result.findings[0].message
