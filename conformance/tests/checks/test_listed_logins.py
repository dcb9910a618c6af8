"""LIF117 where the list of logins shows what renews them: short names are presented as refresh tokens, too."""

import itertools
import secrets
import uuid
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Severity


class Person(BaseModel):
    username: str
    password: str


class Renewal(BaseModel):
    refresh_token: str


def porch(*, names: str, telling: bool) -> FastAPI:
    """Logins named by "numbers" or "uuids"; a `telling` list names them by what renews them, too."""
    app, numbers = FastAPI(), itertools.count(1000)
    owners, access, renewing = dict[str, str](), dict[str, str](), dict[str, str]()

    def session_of(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        session = access.get(given.credentials, "")
        if session not in owners:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return session

    Caller = Annotated[str, Depends(session_of)]

    def opened(session: str) -> dict[str, str]:
        token, renewal = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        access[token], renewing[renewal] = session, session
        if telling:
            renewing[session] = session
        return {"access_token": token, "refresh_token": renewal, "token_type": "bearer"}

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        session = str(next(numbers)) if names == "numbers" else str(uuid.uuid4())
        owners[session] = who.username
        return opened(session)

    @app.post("/refresh")
    def renew(body: Renewal) -> dict[str, str]:
        session = renewing.get(body.refresh_token, "")
        if session not in owners:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return opened(session)

    @app.get("/me")
    def me(session: Caller) -> dict[str, str]:
        return {"username": owners[session]}

    @app.get("/sessions")
    def listed(session: Caller) -> list[dict[str, str]]:
        return [{"id": name, "agent": "a browser"} for name in owners if owners[name] == owners[session]]

    @app.delete("/sessions/{session_id}", status_code=204)
    def end(session_id: str, session: Caller) -> None:
        if owners.get(session_id) != owners[session]:
            raise HTTPException(404, "no login")
        del owners[session_id]

    return app


@pytest.mark.parametrize("names", ["numbers", "uuids"])
def test_a_listed_name_that_renews_a_login_is_found(names: str) -> None:
    result = judged_as_found("LIF117", porch(names=names, telling=True), spares=["alice"])
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "works as a refresh token" in result.verdict.reason, said(result)


def test_a_login_that_lives_on_after_it_was_ended_by_its_name_is_grave() -> None:
    """The rule is low, for people who see no list; what a list ends in vain is not."""
    app = porch(names="uuids", telling=False)

    @app.middleware("http")
    async def nothing_ends(request: Request, proceed: Any) -> Response:
        return Response(status_code=204) if request.method == "DELETE" else await proceed(request)

    result = judged_as_found("LIF117", app, spares=["alice"])
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "had ended its login" in result.verdict.reason, said(result)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_ending_that_was_refused_to_its_owner_ended_nothing(status: int) -> None:
    """Whoever asks for the password once more is right to do so, and nothing was seen to end."""
    app = porch(names="uuids", telling=False)

    @app.middleware("http")
    async def asks_again(request: Request, proceed: Any) -> Response:
        return Response(status_code=status) if request.method == "DELETE" else await proceed(request)

    result = judged_as_found("LIF117", app, spares=["alice"], patience=0.1)
    assert result.name == "inconclusive", said(result)
    assert "DELETE /sessions/{session_id}" in result.verdict.reason


def test_a_listed_name_that_renews_nothing_was_presented() -> None:
    result = judged_as_found("LIF117", porch(names="numbers", telling=False), spares=["alice"])
    labels = {item.label for item in result.verdict.evidence}
    assert any("listed value as a refresh token" in label for label in labels), labels
    assert "works as" not in result.verdict.reason, said(result)
