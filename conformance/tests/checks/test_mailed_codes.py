"""A login that mails a code and asks for it: with a mailbox it is a login like any other."""

import asyncio
import itertools
import secrets
from pathlib import Path
from typing import Annotated

import pytest
from checks.judging import said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import ConfigurationError, load

KNOWN = PEOPLE | {"carol": "carol-Quill-Orchard-52"}
NO = HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})


class First(BaseModel):
    email: str
    password: str


class Second(BaseModel):
    ticket: str = Field(min_length=8)
    code: str = Field(pattern=r"^\d{6}$")


def posting_app(letters: Path, flaw: str = "") -> FastAPI:
    """People log in in two steps; the code lies in the folder `letters`.

    `flaw`: `lives` is a logout that ends nothing, `any` a second step that takes any code, `opens` a ticket that is
    worth as much as a token, `names` a first step that tells who is known.
    `guesses` is a code that any number of wrong ones leaves as it is.
    """
    numbers = itertools.count(1)
    app = FastAPI()
    waiting: dict[str, tuple[str, str]] = {}
    tokens: dict[str, str] = {}

    @app.post("/auth/start")
    async def start(first: First) -> dict[str, str]:
        known = KNOWN.get(first.email.partition("@")[0])
        if flaw == "names" and known is None:
            raise HTTPException(401, "nobody of that name", {"WWW-Authenticate": "Bearer"})
        if known != first.password:
            raise NO
        ticket, code = secrets.token_urlsafe(24), f"{secrets.randbelow(10**6):06d}"
        waiting[ticket] = first.email, code
        if flaw == "opens":
            tokens[ticket] = first.email
        letter = f"To: {first.email}\n\nHello,\n\nyour login code is {code}.\n"
        (letters / f"{next(numbers):04}").write_text(letter)
        return {"ticket": ticket}

    @app.post("/auth/finish")
    async def finish(second: Second) -> dict[str, str]:
        email, code = waiting.pop(second.ticket, ("", ""))
        if not code or (flaw != "any" and code != second.code):
            if flaw == "guesses" and code:
                waiting[second.ticket] = email, code
            raise NO
        token = secrets.token_urlsafe(32)
        tokens[token] = email
        return {"token": token}

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        if bearer.credentials not in tokens:
            raise NO
        return bearer.credentials

    @app.get("/me")
    async def me(token: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"email": tokens[token]}

    @app.post("/auth/logout", status_code=204)
    async def logout(token: Annotated[str, Depends(caller)]) -> None:
        if flaw != "lives":
            tokens.pop(token)

    return app


def judged(
    monkeypatch: pytest.MonkeyPatch, letters: Path, code: str, flaw: str = "", *, mailbox: bool = True
) -> Result:
    accounts: dict[str, dict[str, object]] = {}
    for name, password in KNOWN.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
        accounts[name] = {
            "username": f"{name}@example.com",
            "password": {"env": f"PASSWORD_OF_{name.upper()}"},
        }
    accounts["carol"]["role"] = "expendable"
    given = {"accounts": accounts, "allow_disruptive": True}
    given |= {"mailbox": {"folder": str(letters)}} if mailbox else {}
    settings, checks = load(given, start=Path("/")), [catalog.load()[code]]
    return asyncio.run(conduct(settings, checks, app=posting_app(letters, flaw))).results[0]


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("LIF101", "", ""),
        ("LIF101", "lives", "accepted all"),
        ("TOK210", "", ""),
        ("TOK210", "opens", "the ticket of an unfinished login"),
        ("CRD109", "", ""),
        ("CRD109", "names", "tells known names from unknown names"),
        ("ERR107", "", ""),
        ("ERR103", "", ""),
        ("CRD120", "", ""),
    ],
)
def test_the_code_of_a_second_step_is_taken_from_the_mailbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, flaw: str, words: str
) -> None:
    result = judged(monkeypatch, tmp_path, code, flaw)
    assert (result.name == "failed") == bool(flaw), said(result)
    assert words in result.verdict.reason


def test_a_right_password_with_a_wrong_code_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = judged(monkeypatch, tmp_path, "CRD101", "any")
    assert result.name == "failed", said(result)
    told = [item.message for item in getattr(result.verdict, "violations", ())]
    assert told
    assert all("the right password with" in message for message in told), told


@pytest.mark.parametrize("flaw", ["", "guesses"])
def test_a_code_that_can_be_guessed_for_ever_is_shown_by_the_right_one_after_the_guesses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flaw: str
) -> None:
    result = judged(monkeypatch, tmp_path, "CRD112", flaw)
    told = [item.message for item in getattr(result.verdict, "violations", ())]
    assert any("took 30 guesses at a code" in item for item in told) == bool(flaw), told
    notes = getattr(result.verdict, "notes", ())
    assert any("the right one was refused" in item for item in notes) != bool(flaw), notes


def test_without_a_mailbox_the_second_step_is_named_and_how_to_read_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"asks for code.*\[mailbox\]"):
        judged(monkeypatch, tmp_path, "LIF101", mailbox=False)
