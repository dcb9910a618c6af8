"""MIX101 and MIX104: each way in alone, and two people at once; and a service with tokens alone (MIX101, WEB101)."""

import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from checks.mixed_app import judged
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Severity


def test_each_way_in_works() -> None:
    result = judged("MIX101")
    assert result.name == "passed", result.verdict.reason
    assert "Each of 3 ways" in result.verdict.reason


def test_a_way_in_that_is_shut_is_found() -> None:
    result = judged("MIX101", forgets_cookie=True)
    assert result.name in {"failed", "inconclusive"}
    assert "sid" in result.verdict.reason or "cookie" in result.verdict.reason


def test_two_people_at_once_are_refused() -> None:
    result = judged("MIX104")
    assert result.name == "passed", result.verdict.reason
    assert "6 refused" in result.verdict.reason


def test_layers_that_follow_different_people_are_the_worst() -> None:
    result = judged("MIX104", split=True)
    assert result.name == "failed", result.verdict.reason
    assert result.severity is Severity.CRITICAL
    assert "acts for" in result.verdict.reason


# The first so many requests with two people are for the first of them in the alphabet, the others for the first sent.
@pytest.mark.parametrize(("requests", "name"), [(1000, "failed"), (24, "inconclusive"), (0, "passed")])
def test_a_precedence_that_changes_with_the_people_is_seen_twice(requests: int, name: str) -> None:
    result = judged("MIX104", level=2, favours=requests)
    assert result.name == name, result.verdict.reason
    if name == "failed":
        (violation,) = result.verdict.violations
        assert "GET /me follows" in violation.message
        assert len(violation.evidence) == 4
    elif name == "inconclusive":
        assert "Not so when asked again" in result.verdict.reason


@pytest.mark.parametrize(("knob", "layer"), [("logs", "the log"), ("counts", "the rate limit")])
def test_a_log_and_a_limit_follow_whom_the_request_is_for(knob: str, layer: str) -> None:
    sound = judged("MIX104", level=2, **{knob: 0})
    assert sound.name == "passed", sound.verdict.reason
    assert any("at level 3 these would have to be refused" in note for note in sound.verdict.notes)
    # Whoever decides: that two identities are let in at all is too little for level 3.
    strict = judged("MIX104", **{knob: 0})
    assert (strict.name, strict.severity) == ("failed", Severity.LOW), strict.verdict.reason
    (violation,) = strict.verdict.violations
    assert len(violation.evidence) == 2
    result = judged("MIX104", **{knob: -1})
    assert (result.name, result.severity) == ("failed", Severity.HIGH), result.verdict.reason
    assert f"and {layer} names" in result.verdict.reason


class Person(BaseModel):
    username: str
    password: str


def with_tokens() -> FastAPI:
    """A login gives tokens; the document declares keys behind another word, which come from elsewhere."""
    app, logins = FastAPI(), dict[str, str]()
    said_so = 'A key with the prefix "Vault"'
    keys = APIKeyHeader(name="Authorization", scheme_name="vault", description=said_so, auto_error=False)
    app.add_middleware(
        CORSMiddleware, allow_origin_regex=".*", allow_credentials=True, allow_headers=["Authorization"]
    )

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no")
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get("/me")
    def me(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
        _: Annotated[str | None, Security(keys)],
    ) -> dict[str, str]:
        if bearer is None or bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return {"username": logins[bearer.credentials]}

    return app


def test_a_token_is_no_credential_of_a_scheme_with_another_word() -> None:
    result = judged_as_found("MIX101", with_tokens())
    assert result.name == "inconclusive", said(result)
    assert "header Authorization Vault (vault): no credential is known" in result.verdict.reason


def test_pages_of_others_have_nothing_to_send_where_there_are_no_cookies() -> None:
    result = judged_as_found("WEB101", with_tokens())
    assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)
    assert "with cookies, if there are any" in result.verdict.reason
