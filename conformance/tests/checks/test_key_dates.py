"""KEY111 where the database compares ends by a clock of its own, which no moved clock reaches."""

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.probe import keyexpiry
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
