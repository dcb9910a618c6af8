"""AUZ112: an operation that says of itself that it is open, and what it then shows of people and of tokens."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, Header, HTTPException
from fastapi.security import HTTPAuthorizationCredentials
from services.people import PEOPLE

from auth_conformance.model import Failed, Inconclusive, Passed, Severity, Verdict

PASSWORDS = {f"{name}@example.com": password for name, password in PEOPLE.items()}


def board(*, shows: bool, health: bool = True) -> FastAPI:
    app = FastAPI()
    front_desk(app, people=PASSWORDS)

    if health:
        app.get("/health")(lambda: {"status": "ok"})

    @app.get("/active")
    def active() -> list[dict[str, Any]]:
        return [{"email": name if shows else name.partition("@")[0], "posts": 3} for name in PASSWORDS]

    return app


@pytest.mark.parametrize(("shows", "health"), [(True, True), (False, True), (True, False)])
def test_addresses_of_people_are_a_finding_and_names_a_question(shows: bool, health: bool) -> None:
    # Without `/health` the open operation is the one that the run finds to answer strangers: no reason to spare it.
    accounts = {
        label: {"username": f"{name}@example.com", "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=True)
    }
    result = judged_as_found("AUZ112", board(shows=shows, health=health), accounts=accounts)
    assert isinstance(result.verdict, Failed if shows else Inconclusive), said(result)
    assert not shows or result.severity is Severity.HIGH
    assert "the routes of this service are not seen" not in said(result)


def annexed(*, shown: bool, guarded: bool) -> FastAPI:
    """A front desk with an application mounted in it, which is `shown` in a document of its own, or in none."""
    app = FastAPI()
    caller = front_desk(app, people=PASSWORDS)
    annex = FastAPI(openapi_url="/openapi.json" if shown else None)
    app.mount("/annex", annex)

    @app.get("/auth/provider/authorize")
    def leave() -> dict[str, str]:
        return {"authorization_url": "https://id.example/o?response_type=code&client_id=shop&state=s"}

    @annex.get("/figures", dependencies=[Depends(caller)] if guarded else [])
    def figures() -> dict[str, int]:
        return {"orders": 12}

    return app


@pytest.mark.parametrize(
    ("shown", "guarded", "verdict"),
    [(False, False, Failed), (True, False, Inconclusive), (False, True, Passed)],
)
def test_what_a_mounted_application_without_a_document_does_is_hidden(
    shown: bool, guarded: bool, verdict: type[Verdict]
) -> None:
    accounts = {
        label: {"username": f"{name}@example.com", "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=True)
    }
    result = judged_as_found("AUZ112", annexed(shown=shown, guarded=guarded), accounts=accounts)
    assert isinstance(result.verdict, verdict), said(result)
    assert verdict is not Failed or "GET /annex/figures stands in no document" in result.verdict.reason


def registry(guard: str) -> FastAPI:
    """A front desk with an introspection: `open` to everybody, `shut` without a client, or of no token (`blank`).

    A `busy` one answers 503 where the token lives.
    """
    app = FastAPI()
    caller = front_desk(app, people=PASSWORDS)

    @app.post("/oauth/introspect")
    def introspect(
        token: Annotated[str, Form()], authorization: Annotated[str, Header()] = ""
    ) -> dict[str, Any]:
        if guard == "shut" and not authorization.startswith("Basic "):
            raise HTTPException(401, "no", {"WWW-Authenticate": "Basic"})
        try:
            name = caller(HTTPAuthorizationCredentials(scheme="Bearer", credentials=token))
        except HTTPException:
            return {"active": guard == "blank"}
        if guard == "busy":
            raise HTTPException(503, "later")
        return {"active": True, "sub": name.partition("@")[0]}

    return app


@pytest.mark.parametrize("guard", ["open", "shut", "blank", "busy"])
def test_who_asks_about_a_token_shows_who_asks(guard: str) -> None:
    accounts = {
        label: {"username": f"{name}@example.com", "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=True)
    }
    result = judged_as_found("AUZ112", registry(guard), accounts=accounts)
    assert ("tells strangers of a live token" in said(result)) is (guard == "open"), said(result)
    assert isinstance(result.verdict, Failed) is (guard == "open")
    assert guard != "busy" or isinstance(result.verdict, Inconclusive), said(result)


@pytest.mark.parametrize(("path", "severity"), [("/posts", ""), ("/admin/posts", "high")])
def test_what_all_may_read_and_members_write_is_a_question(path: str, severity: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").touch()
    app = FastAPI()
    caller = front_desk(app)
    app.get(path)(lambda: [{"title": "hello"}])
    app.post(path, dependencies=[Depends(caller)])(lambda: {"title": "hello"})
    result = judged_as_found("SRC112", app, source=str(tmp_path))
    assert isinstance(result.verdict, Failed if severity else Inconclusive), said(result)
    if isinstance(result.verdict, Inconclusive):
        assert f'public_operations = ["GET {path}"]' in result.verdict.remedy
