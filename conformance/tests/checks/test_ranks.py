"""AUZ109 where ranks are called as nobody could guess: the administrator's own page says how."""

from typing import Annotated

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Header, HTTPException
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed, Result

RITA = {"rita": "rita-Copper-Meadow-55"}


def cellar(*, believes: bool) -> FastAPI:
    """A service with a steward, who alone may read the stock; one that `believes` takes a header's word for it."""
    app = FastAPI()
    caller = front_desk(app, people={**PEOPLE, **RITA}, more=lambda name: {"steward": name in RITA})

    @app.get("/stock")
    def stock(
        name: Annotated[str, Depends(caller)], x_forwarded_role: Annotated[str | None, Header()] = None
    ) -> dict[str, int]:
        if name not in RITA and not (believes and x_forwarded_role == "steward"):
            raise HTTPException(403, "not for you")
        return {"bottles": 417}

    return app


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {}
    for label, (name, password) in zip(("a", "b", "admin"), {**PEOPLE, **RITA}.items(), strict=True):
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
        found[label] = {"username": name, "password": {"env": f"PASSWORD_OF_{name.upper()}"}}
    return found


def judged(accounts: dict[str, object], *, believes: bool) -> Result:
    return judged_as_found("AUZ109", cellar(believes=believes), accounts=accounts)


def test_a_rank_that_a_header_claims_is_found(accounts: dict[str, object]) -> None:
    result = judged(accounts, believes=True)
    assert isinstance(result.verdict, Failed), said(result)
    assert "GET /stock refused A, and answered A with X-Forwarded-Role: steward" in result.verdict.reason


def test_a_rank_that_nobody_believes_passes(accounts: dict[str, object]) -> None:
    result = judged(accounts, believes=False)
    assert isinstance(result.verdict, Passed), said(result)
