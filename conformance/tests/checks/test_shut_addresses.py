"""Services that ban the address of who was refused too often (fail2ban): the run says so, and goes on from another."""

import asyncio
import math
from pathlib import Path

import pytest
from checks.desk import ban, front_desk
from fastapi import FastAPI
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Inconclusive, Result
from auth_conformance.probe import shutout
from auth_conformance.settings import load

# As many as discovery may need, and fewer than the attacks of TOK101.
ENDURED = 20


def banning(*, tells_apart: bool, lasts: float = math.inf) -> FastAPI:
    """Twenty refusals, and that address gets a page and 403 for everything; or every address does."""
    app = FastAPI()
    front_desk(app)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    ban(app, ENDURED, tells_apart=tells_apart, lasts=lasts)
    return app


def judged(
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
    codes: tuple[str, ...] = ("TOK101", "WEB101"),
    **more: float,
) -> dict[str, Result]:
    accounts = {}
    for label, name in zip("ab", PEOPLE, strict=False):
        monkeypatch.setenv(f"P_{label}".upper(), PEOPLE[name])
        accounts[label] = {"username": name, "password": {"env": f"P_{label}".upper()}}
    settings = load({"accounts": accounts, "patience": 0.0, **more}, start=Path("/"))
    checks = [catalog.load()[code] for code in codes]
    return {item.rule.code: item for item in asyncio.run(conduct(settings, checks, app=app)).results}


def test_the_next_check_calls_from_an_address_that_is_not_shut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(banning(tells_apart=True), monkeypatch)
    banned = found["TOK101"].verdict
    assert isinstance(banned, Inconclusive), banned
    assert "was shut out" in banned.reason
    assert found["WEB101"].name != "inconclusive", found["WEB101"].verdict


def test_where_no_address_is_served_any_more_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for result in judged(banning(tells_apart=False), monkeypatch).values():
        assert isinstance(result.verdict, Inconclusive), result.verdict
        assert "GET /health as well (403)" in result.verdict.reason
        assert result.verdict.remedy


@pytest.mark.parametrize(("patience", "verdict"), [(1.0, "passed"), (0.0, "inconclusive")])
def test_the_end_of_a_ban_is_waited_for_as_long_as_the_run_has_patience(
    patience: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutout, "_STEPS", (0.001,) * 100)
    app = banning(tells_apart=False, lasts=60)
    found = judged(app, monkeypatch, patience=patience)
    assert found["WEB101"].name == verdict, found["WEB101"].verdict
