"""KEY111 where the database compares ends by a clock of its own, which no moved clock reaches."""

import asyncio
import json
import secrets
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.probe import keydates, keyexpiry
from auth_conformance.testing import FAST_HASHING, Edit, Flaw
from auth_conformance.transports.message import RawReply

WAS = """
        if key.expires_at is not None and key.expires_at <= utc_now():
"""
NOW = """
        from sqlalchemy import text

        over = text("SELECT 1 FROM api_keys WHERE id = :id AND expires_at <= CONDITION")
        if await tx.api_keys._session.scalar(over, {"id": key.id}):
"""


def judged(condition: str) -> Result:
    edit = Edit("dependencies.py", WAS, NOW.replace("CONDITION", condition))
    flaw = Flaw("key_dates", "apikey", "", frozenset(), (edit,), {}, {})
    with bundled(flaw=flaw, extra=FAST_HASHING) as (app, settings):
        return asyncio.run(conduct(settings, [catalog.load()["KEY111"]], app=app)).results[0]


@pytest.mark.parametrize(
    ("condition", "verdict"), [("datetime('now')", "passed"), ("datetime('now', '-10 years')", "failed")]
)
def test_the_stored_date_decides(condition: str, verdict: str) -> None:
    result = judged(condition)
    assert result.name == verdict, result.verdict.reason
    if verdict == "passed":
        assert "stored end lay in the past" in result.verdict.reason
        assert any("not the application's" in note for note in result.verdict.notes)  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["500", "429"])
def test_an_odd_end_that_was_not_judged_is_not_passed(status: str) -> None:
    """Whether such an end is refused or kept, nobody saw."""
    ends = Edit(
        "routes.py",
        "key, secret = new_api_key(principal.user.id, body.name, body.scopes, body.expires_at)",
        "if body.expires_at and body.expires_at.utcoffset():\n"
        f"        raise HTTPException({status}, headers={{'Retry-After': '99'}})\n"
        "    key, secret = new_api_key(principal.user.id, body.name, body.scopes, body.expires_at)",
    )
    flaw = Flaw("key_dates", "apikey", "", frozenset(), (ends,), {}, {})
    with bundled(flaw=flaw, extra=FAST_HASHING) as (app, settings):
        result = asyncio.run(conduct(settings, [catalog.load()["KEY111"]], app=app)).results[0]
    assert result.name == "inconclusive", result.verdict.reason
    assert "POST /keys with an end with the offset +14:00: " in result.verdict.reason
    assert status in result.verdict.reason


@pytest.mark.parametrize(
    ("told", "found"), [("2026-03-01T16:00:00Z", []), ("2026-03-02T06:00:00", ["+14.0 h"]), (None, [])]
)
def test_an_end_that_the_service_tells_hours_late_is_a_doubt(told: str | None, found: list[str]) -> None:
    now = datetime(2026, 3, 1, 14, tzinfo=UTC).timestamp()
    reply = RawReply(201, body=json.dumps({"id": 7, "expires_at": told}).encode())
    key: Any = SimpleNamespace(end=now + 7_200, answer=SimpleNamespace(reply=reply))
    doubts = keyexpiry._shifted({"with the offset +14:00": key}, now)
    assert len(doubts) == len(found)
    assert all(words in doubt for words, doubt in zip(found, doubts, strict=True))


class Credentials(BaseModel):
    """What a login takes."""

    username: str
    password: str


class Wanted(BaseModel):
    """A key to be made, which may end with a day."""

    name: str
    expires_on: date | None = None


class Ends:
    """Which day ends a key: as it begins (`begins`) or ends (`ends`), a week late (`late`) or not at all (`never`)."""

    def __init__(self, habit: str) -> None:
        self._days = {"begins": 0, "ends": 1, "late": 7, "never": None}[habit]

    def over(self, day: date | None) -> bool:
        if day is None or self._days is None or day.year == date.max.year:
            return False
        return datetime.now(UTC).date() >= day + timedelta(days=self._days)


def days_app(habit: str) -> FastAPI:
    """People make keys that end with a day."""
    app, over = FastAPI(), Ends(habit).over
    tokens: dict[str, str] = {}
    keys: dict[str, tuple[str, str, date | None]] = {}

    def caller(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))] = None,
        key: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))] = None,
    ) -> str:
        if bearer is not None and bearer.credentials in tokens:
            return tokens[bearer.credentials]
        if key in keys and not over(keys[key][2]):
            return keys[key][1]
        raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str | datetime]:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(32)
        tokens[token] = body.username
        return {"access_token": token, "at": datetime.now(UTC)}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.post("/keys", status_code=201)
    def make(body: Wanted, name: Annotated[str, Depends(caller)]) -> dict[str, Any]:
        if body.expires_on is not None and over(body.expires_on):
            raise HTTPException(422, "in the past")
        value, number = f"sk_{secrets.token_urlsafe(32)}", secrets.token_hex(6)
        keys[value] = number, name, body.expires_on
        return {"id": number, "key": value, "name": body.name, "expires_on": body.expires_on}

    @app.delete("/keys/{key_id}", status_code=204)
    def revoke(key_id: str, name: Annotated[str, Depends(caller)]) -> None:
        for value in [
            value for value, (number, owner, _) in keys.items() if (number, owner) == (key_id, name)
        ]:
            del keys[value]

    return app


@pytest.mark.parametrize(
    ("habit", "verdict"), [("begins", "passed"), ("ends", "passed"), ("late", "failed"), ("never", "failed")]
)
def test_a_key_that_ends_with_a_day_is_over_when_the_day_is_over_everywhere(habit: str, verdict: str) -> None:
    result = judged_as_found("KEY111", days_app(habit))
    assert result.name == verdict, said(result)
    if verdict == "passed":
        assert "2 of 4 odd ends were taken" in result.verdict.reason, said(result)


def test_a_stored_day_is_the_end_that_is_over_by_then() -> None:
    """A column may hold days only, beside the day on which the key was made."""
    end = keyexpiry._end_of(date(2026, 3, 4), {}, 0.0)
    found = [
        text
        for text in ("2026-03-01", "2026-03-04", "2026-03-06T12:00:00")
        if keydates._states(text, end, end)
    ]
    assert found == ["2026-03-04"]
