"""A service without registration, which counts its sessions: what two spare accounts are enough for."""

import asyncio
import itertools
from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.judging import said
from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load

PINS = {
    "alice": "orchard-Quill-52-alice",
    "bob": "orchard-Quill-52-bob",
    "carol": "orchard-Quill-52-carol",
    "dave": "orchard-Quill-52-dave",
}


class Entry(BaseModel):
    who: str
    pin: str


def counting_app(pins: dict[str, str]) -> FastAPI:
    app = FastAPI()
    numbers = itertools.count(5001)
    sessions: dict[str, str] = {}

    @app.post("/session", status_code=201)
    async def enter(entry: Entry) -> dict[str, dict[str, str]]:
        if pins.get(entry.who) != entry.pin:
            raise HTTPException(401, "no", {"WWW-Authenticate": 'Session realm="x"'})
        sid = f"S{next(numbers)}"
        sessions[sid] = entry.who
        return {"data": {"sid": sid}}

    @app.get("/whoami")
    async def who(x_session: Annotated[str, Header()] = "") -> dict[str, str]:
        if x_session not in sessions:
            raise HTTPException(401, "no", {"WWW-Authenticate": 'Session realm="x"'})
        return {"who": sessions[x_session]}

    @app.get("/status")
    async def status(response: Response) -> dict[str, bool]:
        response.headers["cache-control"] = "no-store"
        return {"up": True}

    def openapi() -> dict[str, Any]:
        document = FastAPI.openapi(app)
        document.setdefault("components", {})["securitySchemes"] = {
            "sid": {"type": "apiKey", "in": "header", "name": "X-Session"}
        }
        document["paths"]["/whoami"]["get"].update(security=[{"sid": []}], parameters=[])
        return document

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation extends a document
    return app


def judged(
    monkeypatch: pytest.MonkeyPatch, codes: set[str], *, spares: int = 2, same: bool = False
) -> dict[str, Result]:
    pins = PINS | ({"dave": PINS["carol"]} if same else {})
    for name, pin in pins.items():
        monkeypatch.setenv(f"PIN_OF_{name.upper()}", pin)
    roles = {"carol": "expendable", "dave": "expendable"}
    accounts = {
        name: {
            "username": name,
            "password": {"env": f"PIN_OF_{name.upper()}"},
            **({"role": roles[name]} if name in roles else {}),
        }
        for name in list(pins)[: 2 + spares]
    }
    settings = load({"accounts": accounts, "allow_disruptive": True}, start=Path("/"))
    checks = [check for code, check in catalog.load().items() if code in codes]
    run = asyncio.run(conduct(settings, checks, app=counting_app(pins)))
    return {item.rule.code: item for item in run.results}


def test_a_session_id_too_short_for_a_token_is_a_credential_and_can_be_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = judged(monkeypatch, {"TOK401"})["TOK401"]
    assert result.name == "failed", said(result)
    assert "a number that grows" in result.verdict.reason


def test_spare_accounts_serve_several_checks_while_their_passwords_let_them_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = judged(monkeypatch, {"CRD101", "CRD102", "CRD105"})
    assert {code: item.name for code, item in results.items()} == {
        "CRD101": "passed",
        "CRD102": "passed",
        "CRD105": "passed",
    }, {code: said(item) for code, item in results.items()}


def test_two_spares_with_one_password_are_no_two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, {"CRD101"}, same=True)["CRD101"]
    assert result.name == "inconclusive", said(result)
    assert "the same password" in result.verdict.reason
    assert "[accounts.dave]" in getattr(result.verdict, "remedy", "")


def test_where_two_people_are_needed_one_spare_is_not_lent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, {"CRD101"}, spares=1)["CRD101"]
    assert result.name == "skipped", said(result)
    assert "another expendable account: 1 are used up" in result.verdict.reason
