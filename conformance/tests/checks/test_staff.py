"""A service that calls its people staff: they are known by the members of the page that names its caller."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Failed, Passed, Skipped
from auth_conformance.settings import load

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
NOBODY = HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
STAFF = {**PEOPLE, "chief": "chief-Saffron-Meadow-63", "spare": "spare-Copper-Lantern-85"}


class Entry(BaseModel):
    username: str
    password: str


class Colleague(BaseModel):
    uid: str
    username: str
    extension: int
    motto: str = ""


class Block(BaseModel):
    blocked: bool


def offices(
    app: FastAPI,
    chief: Callable[..., None],
    people: dict[str, Colleague],
    blocked: set[str],
    logins: dict[str, str],
) -> None:
    """Where people are blocked, which ends those of their logins that are known here."""

    @app.put("/staff/{uid}/blocked", status_code=204, dependencies=[Depends(chief)])
    def block(uid: str, wish: Block) -> None:
        name = next((name for name, person in people.items() if person.uid == uid), None)
        if name is None:
            raise HTTPException(404, "nobody")
        (blocked.add if wish.blocked else blocked.discard)(name)
        for token in [token for token, whose in logins.items() if whose == name and wish.blocked]:
            del logins[token]


class Card(BaseModel):
    extension: int = 0
    motto: str = ""


def cards(app: FastAPI, caller: Callable[..., str], people: dict[str, Colleague], *, anybody: bool) -> None:
    """What each colleague writes of themselves, at the path that names them."""

    @app.patch("/staff/{uid}")
    def write(uid: str, card: Card, name: Annotated[str, Depends(caller)]) -> Colleague:
        whose = next((item for item in people.values() if item.uid == uid), None)
        if whose is None or (whose.username != name and not anybody):
            raise HTTPException(404, "nobody")
        whose.motto = card.motto
        return whose


def works(
    *, forgets: bool, anybody: bool = False, greets: bool = False, written: bool | None = None
) -> FastAPI:
    """A block ends every login; with `forgets` it only keeps people from logging in. Where `anybody` may block, do.

    Where it is `written` who they are instead, they write that themselves, or anybody does.

    One that `greets` gives whoever is blocked a token that opens nothing.
    """
    app = FastAPI()
    people = {name: Colleague(uid=secrets.token_hex(8), username=name, extension=200) for name in STAFF}
    blocked: set[str] = set()
    logins: dict[str, str] = {}

    @app.post("/login")
    def login(entry: Entry) -> dict[str, str]:
        if STAFF.get(entry.username) != entry.password or (entry.username in blocked and not greets):
            raise NOBODY
        token = secrets.token_urlsafe(24)
        logins[token] = entry.username
        return {"access_token": token}

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins or (greets and logins[bearer.credentials] in blocked):
            raise NOBODY
        return logins[bearer.credentials]

    def chief(name: Annotated[str, Depends(caller)]) -> None:
        if name != "chief" and not anybody:
            raise HTTPException(403, "no")

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> Colleague:
        return people[name]

    @app.get("/staff", dependencies=[Depends(chief)])
    def staff() -> list[Colleague]:
        return list(people.values())

    if written is None:
        offices(app, chief, people, blocked, {} if forgets else logins)
    else:
        cards(app, caller, people, anybody=written)
    return app


def judged(code: str, app: FastAPI) -> Any:
    names = {"a": "alice", "b": "bob", "admin": "chief", "spare": "spare"}
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in names.items()
    }
    accounts["spare"]["role"] = "expendable"
    return judged_as_found(code, app, accounts=accounts)


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in STAFF.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name}".upper(), password)


@pytest.mark.parametrize("forgets", [True, False])
def test_who_is_shut_out_is_found_by_what_is_listed(forgets: bool) -> None:
    result = judged("LIF104", works(forgets=forgets))
    assert isinstance(result.verdict, Failed if forgets else Passed), said(result)


def test_a_login_that_gives_what_opens_nothing_is_none() -> None:
    result = judged("LIF104", works(forgets=False, greets=True))
    assert isinstance(result.verdict, Passed), said(result)
    assert any("what it gave opens nothing" in note for note in result.verdict.notes)


@pytest.mark.parametrize("anybody", [True, False])
def test_who_shuts_others_out_is_seen_by_those_without_an_administrator(anybody: bool) -> None:
    result = judged_as_found("AUZ104", works(forgets=False, anybody=anybody), spares=["spare", "chief"])
    assert isinstance(result.verdict, Failed if anybody else Skipped), said(result)
    assert not anybody or "PUT /staff/{uid}/blocked" in result.verdict.reason
    assert anybody or result.verdict.applicable


@pytest.mark.parametrize("anybody", [True, False])
def test_who_writes_on_the_card_of_another_is_seen_by_the_other(anybody: bool) -> None:
    result = judged_as_found("AUZ104", works(forgets=False, written=anybody), spares=["spare", "chief"])
    assert isinstance(result.verdict, Failed if anybody else Passed), said(result)
    assert ("PATCH /staff/{uid}" in result.verdict.reason) is anybody
    assert anybody or "at 1 the owner of the account" in result.verdict.reason


def test_a_spare_account_that_was_never_let_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_OF_SPARE", "mistyped-Copper-Lantern-85")
    result = judged("CRD101", works(forgets=False))
    assert isinstance(result.verdict, Skipped), said(result)
    assert "refuses the password of the expendable account 'spare'" in result.verdict.reason


def test_a_spare_account_that_a_check_has_disabled_serves_the_next_one() -> None:
    names = {"a": "alice", "b": "bob", "admin": "chief", "spare": "spare"}
    accounts: dict[str, dict[str, Any]] = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in names.items()
    }
    accounts["spare"]["role"] = "expendable"
    settings = load({"accounts": accounts}, start=Path("/"))
    checks = [catalog.load()[code] for code in ("CRD109", "CRD101")]
    run = asyncio.run(conduct(settings, checks, app=works(forgets=False)))
    results = {item.rule.code: item for item in run.results}
    assert not any(
        "disabled accounts" in note for note in results["CRD109"].verdict.notes
    )  # so it disabled one
    assert isinstance(results["CRD101"].verdict, Passed), said(results["CRD101"])
