"""Accounts that have one API key each, which a new one replaces: nothing makes a second or revokes the first."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.discovery.keyrolls import ends_what_others_use
from auth_conformance.discovery.knowledge import Knowledge
from auth_conformance.probe import keyends
from auth_conformance.settings import load

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
Header = Annotated[str | None, Depends(APIKeyHeader(name="X-Api-Key", auto_error=False))]


class Person(BaseModel):
    username: str
    password: str


def studio(flaw: str = "", *, told: bool = False, given: Mapping[str, str] | None = None) -> FastAPI:
    """Each new key ends the one before, unless the flaw is "lasting"; "counted" ones can be guessed.

    What is `told` about oneself is the whole key.
    """
    app = FastAPI()
    people, keys, sessions = dict(PEOPLE), dict[str, str](), dict[str, str]()
    now = dict(given or {})
    keys.update({key: name for name, key in now.items()})

    def caller(bearer: Bearer, key: Header) -> str:
        name = sessions.get(bearer.credentials if bearer else "") or keys.get(key or "")
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password
        return {"username": who.username}

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if people.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        sessions[value := secrets.token_urlsafe(24)] = who.username
        return {"access_token": value}

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name, **({"api_key": now.get(name, "")} if told else {})}

    @app.post("/me/api-key/roll")
    def roll(name: Caller) -> dict[str, str]:
        if flaw != "lasting":
            keys.pop(now.get(name, ""), None)
        now[name] = f"sk_live_{secrets.token_urlsafe(30) if flaw != 'counted' else 7 * 10**20 + len(keys)}"
        keys[now[name]] = name
        return {"api_key": now[name]}

    return app


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("code", "flaw", "verdict", "words"),
    [
        ("LIF103", "", "passed", "After POST /me/api-key/roll the key before was refused at once"),
        ("KEY107", "", "passed", "API keys"),
        ("KEY107", "counted", "failed", "POST /me/api-key/roll issues API keys"),
        ("KEY110", "", "skipped", "an account has one API key, and POST /me/api-key/roll makes it anew"),
        ("KEY101", "", "passed", "GET /me"),
    ],
)
def test_a_new_key_ends_the_one_before(code: str, flaw: str, verdict: str, words: str, *, told: bool) -> None:
    """Each check that made a key ended those of the others, and four were undecided on a sound service."""
    result = judged_as_found(code, studio(flaw, told=told))
    assert result.name == verdict, said(result)
    assert words in result.verdict.reason, said(result)


def test_the_key_before_is_seen_to_live_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyends, "LATER", (0.1,))
    monkeypatch.setattr(keyends, "CACHED", 0.0)
    result = judged_as_found("LIF103", studio("lasting", told=True))
    assert result.name == "failed", said(result)
    assert "A replaced API key was accepted" in result.verdict.reason, said(result)


@pytest.mark.parametrize("logs_in", [True, False])
def test_a_key_that_was_given_is_replaced_for_who_logs_in_and_spared_otherwise(
    monkeypatch: pytest.MonkeyPatch, *, logs_in: bool
) -> None:
    """The run ended the key that it was given, and had no other: "refused a live credential"."""
    given = {name: f"sk_live_{secrets.token_urlsafe(30)}" for name in PEOPLE}
    accounts = dict[str, Any]()
    for label, name in zip("ab", PEOPLE, strict=False):
        monkeypatch.setenv(f"KEY_OF_{name.upper()}", given[name])
        accounts[label] = {"username": name, "key": {"env": f"KEY_OF_{name.upper()}"}}
        accounts[label] |= {"password": {"env": f"PASSWORD_OF_{name.upper()}"}} if logs_in else {}
    result = judged_as_found("KEY101", studio(given=given), accounts=accounts)
    assert result.name == "passed", said(result)


@pytest.mark.parametrize("told", [True, False])
def test_the_only_key_is_told_once(*, told: bool) -> None:
    result = judged_as_found("KEY108", studio(told=told))
    assert result.name == ("failed" if told else "skipped"), said(result)
    assert ("GET /me shows its owner the whole key each time" in result.verdict.reason) is told, said(result)


@pytest.mark.parametrize(
    ("given", "kind", "address", "spared"),
    [
        (
            {"accounts": {"a": {"username": "ann", "password": {"env": "ANNS"}}}},
            "url",
            "https://api.example",
            True,
        ),
        ({}, "url", "https://api.example", False),
        (
            {"accounts": {"a": {"username": "ann", "password": {"env": "ANNS"}}}},
            "url",
            "http://127.0.0.1",
            False,
        ),
        (
            {"accounts": {"a": {"username": "ann", "password": {"env": "ANNS"}}}, "allow_disruptive": True},
            "url",
            "https://api.example",
            False,
        ),
    ],
)
def test_a_key_that_may_be_in_use_elsewhere_is_ended_by_leave_only(
    given: dict[str, Any], kind: str, address: str, *, spared: bool
) -> None:
    assert ends_what_others_use(Knowledge(load(given), kind, address, None)) is spared
