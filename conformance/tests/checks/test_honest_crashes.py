"""What breaks for honest callers is broken, and says nothing of hostile credentials."""

import asyncio
from pathlib import Path

from checks.judging import said
from checks.test_neighbours import Caller
from fastapi import FastAPI, HTTPException
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.settings import load


def test_an_operation_that_is_not_implemented_is_no_crash_of_a_credential() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.get("/plans")
    def plans(name: Caller) -> dict[str, str]:
        raise HTTPException(501, f"not for {name} yet")

    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    settings = load({"accounts": accounts}, start=Path("/"))
    checks = [catalog.load()[code] for code in ("DOC101", "ERR108")]
    result = asyncio.run(conduct(settings, checks, app=app)).results[1]
    assert result.name == "passed", said(result)
    assert "broke on an honest request as well: GET /plans (501)" in result.verdict.notes
