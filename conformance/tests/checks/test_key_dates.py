"""KEY111 where the database compares ends by a clock of its own, which no moved clock reaches."""

import asyncio

import pytest

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.testing import FAST_HASHING, Edit, Flaw

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
