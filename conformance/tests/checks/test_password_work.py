"""CRD105 at registrations that tell of taken names first, at limited logins, and where nothing is public."""

import asyncio
import secrets
import time
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from services.people import PEOPLE

from auth_conformance.probe import bounds

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    username: str
    password: str


def library(
    *,
    costly: bool = False,
    most_wrong: int = 1_000,
    blocks: bool = False,
    strict: bool = False,
    hashing: float = 0.01,
) -> FastAPI:
    """`costly` hashing grows with the length; `most_wrong` guesses are looked at; `blocks` hashes on the loop.

    `strict` bodies may hold nothing else, and `hashing` is how long each password takes, in seconds.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    class Given(Person):
        model_config = ConfigDict(extra="forbid" if strict else "ignore")

    people, logins, wrong = dict(PEOPLE), dict[str, str](), dict[str, int]()

    @app.post("/join", status_code=201)
    async def join(who: Given) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        await asyncio.sleep(hashing + (len(who.password) / 4e6 if costly else 0))
        people[who.username] = who.password
        return {"username": who.username}

    @app.post("/login")
    async def login(who: Given) -> dict[str, str]:
        if wrong.get(who.username, 0) >= most_wrong:
            raise HTTPException(429, "too often")
        if blocks:
            await asyncio.sleep(0.02)  # the account is looked up first
            time.sleep(0.04)  # noqa: ASYNC251 - that is the flaw
        else:
            await asyncio.sleep(hashing)
        if people.get(who.username) != who.password:
            wrong[who.username] = wrong.get(who.username, 0) + 1
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get("/me")
    async def me(bearer: Bearer) -> dict[str, str]:
        if bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return {"username": logins[bearer.credentials]}

    return app


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether logins hold others up is not the subject, and a busy machine could leave it open."""
    monkeypatch.setattr(bounds, "_NOTICED", 60.0)


@pytest.mark.usefixtures("unhurried")
def test_work_that_does_not_grow_passes_where_nothing_is_public() -> None:
    result = judged_as_found("CRD105", library(most_wrong=4))
    assert result.name == "passed", said(result)


@pytest.mark.usefixtures("unhurried")
def test_a_slow_hash_is_no_growth_where_twins_are_refused_for_their_unknown_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hash of a third of a second beside an answer 422: here a fifth of that counts, and no length takes as long."""
    monkeypatch.setattr(bounds, "_COUNTS", 0.05)
    monkeypatch.setattr(bounds, "_SIZES", (1_000, 10_000))
    result = judged_as_found("CRD105", library(strict=True, hashing=0.08))
    assert result.name == "passed", said(result)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"costly": True, "strict": True}, "POST /join works"),
        ({"blocks": True}, "GET /me answers in"),
    ],
)
def test_work_that_grows_or_stops_others_is_found(knobs: dict[str, Any], words: str) -> None:
    result = judged_as_found("CRD105", library(**knobs))
    assert result.name == "failed", said(result)
    assert words in result.verdict.reason


def test_logins_that_a_limit_turned_away_show_nothing() -> None:
    result = judged_as_found("CRD105", library(blocks=True, most_wrong=1), patience=0)
    assert result.name == "inconclusive", said(result)
