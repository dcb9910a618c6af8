"""TOK210, LIF101 and LIF106 where each login of a person gives the same token, as Django REST framework's does."""

import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

SPARE = "vera-Copper-Meadow-63"
ACCESS = {f"one-token-of-{name}-0123456789abcdef": name for name in PEOPLE}
REFRESH = {f"refresh-token-of-{name}-0123456789abcdef": name for name in PEOPLE}


class Person(BaseModel):
    username: str
    password: str


class Change(BaseModel):
    current_password: str
    new_password: str


class Renewal(BaseModel):
    refresh_token: str


def one_for_all(*, mixes: bool) -> FastAPI:
    """A service of people whose tokens never change; or one that takes either token for the other."""
    app = FastAPI()
    taken = {**ACCESS, **REFRESH} if mixes else ACCESS

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        if bearer.credentials not in taken:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return taken[bearer.credentials]

    def tokens(name: str) -> dict[str, str]:
        found = {"access_token": ACCESS, "refresh_token": REFRESH}
        return {
            kind: next(text for text, owner in held.items() if owner == name) for kind, held in found.items()
        }

    @app.post("/login")
    def login(body: Person) -> dict[str, str]:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return tokens(body.username)

    @app.post("/refresh")
    def refresh(body: Renewal) -> dict[str, str]:
        if body.refresh_token not in REFRESH:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return tokens(REFRESH[body.refresh_token])

    @app.post("/logout", status_code=204)
    def logout(_: Annotated[str, Depends(caller)]) -> None: ...

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


def changed_passwords(*, renews: bool) -> FastAPI:
    """One token for all logins of a person; `renews`: a new password is given a new one."""
    app, people = FastAPI(), {**PEOPLE, "vera": SPARE}
    tokens = {name: f"one-token-of-{name}-0123456789abcdef" for name in people}

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        name = next((name for name, text in tokens.items() if text == bearer.credentials), None)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    @app.post("/login")
    def login(body: Person) -> dict[str, str]:
        if people.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return {"access_token": tokens[body.username]}

    @app.post("/me/password", status_code=204)
    def change(body: Change, name: Annotated[str, Depends(caller)]) -> None:
        if people[name] != body.current_password:
            raise HTTPException(403, "no")
        people[name] = body.new_password
        if renews:
            tokens[name] = secrets.token_urlsafe(32)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


@pytest.mark.parametrize(("renews", "verdict"), [(True, "passed"), (False, "failed")])
def test_a_new_password_ends_the_one_token_of_a_person_or_nothing(
    renews: bool, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_OF_VERA", SPARE)
    monkeypatch.setattr("auth_conformance.probe.sessions.NEXT_SECOND", 0.0)
    app = changed_passwords(renews=renews)
    result = judged_as_found("LIF106", app, spares=("vera",), allow_disruptive=True)
    assert result.name == verdict, said(result)
    assert "gives the same credential again" in said(result)


@pytest.mark.parametrize(("mixes", "verdict"), [(False, "passed"), (True, "failed")])
def test_who_only_shows_a_token_takes_it_as_it_is(
    mixes: bool, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth_conformance.probe.sessions.NEXT_SECOND", 0.0)
    result = judged_as_found("TOK210", one_for_all(mixes=mixes))
    assert result.name == verdict, said(result)


def test_what_cannot_be_ended_alone_is_told_with_what_would_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auth_conformance.probe.sessions.NEXT_SECOND", 0.0)
    result = judged_as_found("LIF101", one_for_all(mixes=False))
    assert result.name == "inconclusive", said(result)
    assert "let each login issue a credential of its own" in getattr(result.verdict, "remedy", "")
