"""Services that give tokens out and let nobody log in, and do everything by POST: what is asked of their owners."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form, HTTPException, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.discovery.advising import doctor
from auth_conformance.engine import conduct
from auth_conformance.model import Inconclusive, Need, Skipped
from auth_conformance.target import Target
from auth_conformance.target.needs import unmet_need

TOKENS = {
    "token-of-alice-0123456789": "alice",
    "token-of-bob-0123456789": "bob",
    "token-of-victor-0123456789": "victor",
}


class Names(BaseModel):
    users: list[str]


def window() -> FastAPI:
    app = FastAPI()

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        name = TOKENS.get(bearer.credentials)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/api/users/get_my_user")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/api/users/delete")
    def delete(body: Names, name: Caller) -> None:
        raise HTTPException(403, "administrators only")

    @app.get("/api/runs/{run}")
    def run(run: str, bearer: Annotated[str, Depends(HTTPBearer())]) -> dict[str, str]:
        raise HTTPException(404, "no such run")

    return app


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("A_TOKEN", next(iter(TOKENS)))
    monkeypatch.setenv("B_TOKEN", list(TOKENS)[1])
    return {label: {"token": {"env": f"{label.upper()}_TOKEN"}} for label in "ab"}


def test_what_cannot_apply_asks_for_nothing(learn: Any, accounts: dict[str, Any]) -> None:
    target: Target = learn(window(), accounts, kind="url").target
    assert Need.LOGIN in target.absent
    needs = {
        need: [code for code, item in catalog.load().items() if need in item.rule.needs] for need in Need
    }
    missing = doctor(target, needs).split("Missing:")[1]
    assert "expendable" not in missing, missing
    assert "mailbox:" not in missing, missing
    found = unmet_need(catalog.load()["STO101"].rule, target)
    assert isinstance(found, Skipped)
    assert not found.applicable, found


def test_who_is_named_in_a_body_can_be_deleted_too(learn: Any, accounts: dict[str, Any]) -> None:
    assert Need.USER_MANAGEMENT not in learn(window(), accounts, kind="url").target.absent


def test_what_no_line_would_show_can_be_left_out(
    learn: Any, accounts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the line that shows more; once it is there, the one that leaves the check out."""
    app = window()
    monkeypatch.setenv("VICTIM_TOKEN", list(TOKENS)[2])
    victim = {"victim": {"token": {"env": "VICTIM_TOKEN"}, "role": "expendable"}}
    for people, remedy in (
        (accounts, '[accounts.victim]\ntoken = { env = "VICTIM_TOKEN" }'),
        (accounts | victim, 'ignore = ["DOC101"]'),
    ):
        settings = learn(app, people, kind="url").settings
        result = asyncio.run(conduct(settings, [catalog.load()["DOC101"]], app=app)).results[0]
        assert isinstance(result.verdict, Inconclusive), result.verdict
        assert result.verdict.remedy.startswith(remedy), result.verdict
        told = (result.verdict.reason, *result.verdict.notes)
        assert any("GET /api/runs/{run}: 404 with a credential and without" in text for text in told), told


def with_a_login_that_breaks() -> FastAPI:
    app = window()

    @app.post("/login")
    def login(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> None:
        raise HTTPException(500, "no database")

    @app.get("/page")
    def page(session: Annotated[str, Security(APIKeyCookie(name="session"))]) -> None:
        raise HTTPException(401, "no")

    return app


def test_what_a_login_that_broke_would_have_given_is_not_left_out(
    learn: Any, accounts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A skipped check fails no gate: that nobody could log in must not look like a service without sessions."""
    monkeypatch.setenv("PASSWORD", "wonderland-7")
    people = {
        label: {"username": label, "password": {"env": "PASSWORD"}, **who} for label, who in accounts.items()
    }
    target: Target = learn(with_a_login_that_breaks(), people, kind="url").target
    found = unmet_need(catalog.load()["SES101"].rule, target)
    assert isinstance(found, Inconclusive), found
    assert "POST /login answered 500" in found.reason
    assert isinstance(
        unmet_need(catalog.load()["SES101"].rule, learn(window(), accounts, kind="url").target), Skipped
    )
