"""Services that answer every sign-up alike, and let in only who has redeemed the token of a message."""

import secrets
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, EmailStr
from services.people import PEOPLE

from auth_conformance.model import Failed, Inconclusive, Passed, Severity

MAILS: dict[str, str] = {}
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
NOBODY = HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})


def last_mail(address: str) -> str | None:
    """What was written last to exactly this address."""
    return MAILS.get(address)


class Person(BaseModel):
    email: EmailStr
    password: str
    admin: bool = False


class Caller(BaseModel):
    email: str
    password: str


class Word(BaseModel):
    token: str


class Choice(BaseModel):
    token: str
    new_password: str


class Address(BaseModel):
    email: EmailStr


def folded(address: str) -> str:
    return unicodedata.normalize("NFKC", address).casefold()


def recovery(
    app: FastAPI,
    people: dict[str, tuple[str, bool]],
    words: dict[str, str],
    told: Callable[[str, str], None],
    *,
    mails_as_typed: bool,
) -> None:
    @app.post("/forgotten", status_code=202)
    def forgotten(who: Address) -> dict[str, str]:
        name = folded(who.email)
        if name in people:
            told(who.email if mails_as_typed else name, name)
        return {"message": "we have written to you"}

    @app.post("/forgotten/reset")
    def reset(choice: Choice) -> dict[str, str]:
        name = words.pop(choice.token, None)
        if name not in people:
            raise HTTPException(400, "no such token")
        people[name] = (choice.new_password, True)
        return {"message": "done"}


def society(
    *,
    mails_as_typed: bool = False,
    cuts_at: int | None = None,
    believes: bool = False,
    tells: bool = False,
    by_name: bool = False,
    farewell: int = 401,
) -> FastAPI:
    """Names are compared folded; `mails_as_typed` sends resets to what was typed, `cuts_at` shortens passwords.

    `farewell` is what a login of somebody who has left is answered.
    `by_name` lets people leave, and a badge is that of whoever is a confirmed member under the name in it.
    `believes` makes whoever says so an administrator, `tells` asks everybody to confirm what is not confirmed.
    """
    app = FastAPI()
    # Name -> password, confirmed.
    people: dict[str, tuple[str, bool]] = {
        f"{name}@example.com": (word, True) for name, word in PEOPLE.items()
    }
    words: dict[str, str] = {}
    chiefs: set[str] = set()
    logins: dict[str, str] = {}
    gone: set[str] = set()

    def told(address: str, name: str) -> None:
        token = secrets.token_urlsafe(24)
        words[token] = name
        MAILS[address] = f"Go on with https://society.example/go?token={token}"

    @app.post("/join", status_code=202)
    def join(who: Person) -> dict[str, str]:
        name = folded(who.email)
        if name not in people:
            people[name] = (who.password[:cuts_at], False)
            chiefs.update({name} if believes and who.admin else ())
            told(who.email, name)
        return {"message": "we have written to you"}

    @app.post("/join/confirm")
    def confirm(word: Word) -> dict[str, str]:
        name = words.pop(word.token, None)
        if name is None:
            raise HTTPException(400, "no such token")
        people[name] = (people[name][0], True)
        return {"message": "welcome"}

    recovery(app, people, words, told, mails_as_typed=mails_as_typed)

    @app.post("/login")
    def login(who: Caller) -> dict[str, str]:
        known, confirmed = people.get(folded(who.email), ("", False))
        if folded(who.email) in gone and farewell != 401:
            raise HTTPException(farewell, "not now")
        if tells and known and not confirmed:
            raise HTTPException(403, "confirm your address first")
        if not confirmed or not secrets.compare_digest(known.encode(), who.password[:cuts_at].encode()):
            raise NOBODY
        token = secrets.token_urlsafe(24)
        logins[token] = folded(who.email)
        return {"access_token": token}

    @app.get("/me")
    def me(bearer: Bearer) -> dict[str, Any]:
        if bearer.credentials not in logins:
            raise NOBODY
        if by_name and not people.get(logins[bearer.credentials], ("", False))[1]:
            raise NOBODY
        return {"email": logins[bearer.credentials], "admin": logins[bearer.credentials] in chiefs}

    if by_name:

        @app.delete("/me", status_code=204)
        def leave(bearer: Bearer) -> None:
            people.pop(logins[bearer.credentials])
            gone.add(logins[bearer.credentials])

    return app


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_conformance.probe.knocking._SOON", 0.05)


def judged(code: str, app: FastAPI, mailbox: str = "last_mail", **more: Any) -> Any:
    people = {
        label: {"username": f"{name}@example.com", "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=True)
    }
    return judged_as_found(code, app, accounts=people, mailbox={"app": f"{__name__}:{mailbox}"}, **more)


@pytest.mark.parametrize("code", ["CRD103", "CRD104", "CRD115"])
def test_accounts_are_confirmed_before_they_are_tried(code: str) -> None:
    result = judged(code, society())
    assert isinstance(result.verdict, Passed), said(result)


def test_a_cut_password_is_still_seen() -> None:
    assert isinstance(judged("CRD104", society(cuts_at=40)).verdict, Failed)


def test_what_is_not_confirmed_is_not_judged() -> None:
    people = {"a": {"username": "alice@example.com", "password": {"env": "PASSWORD_OF_ALICE"}}}
    result = judged_as_found("CRD103", society(), accounts=people, mailbox={"app": f"{__name__}:lost_mail"})
    assert not isinstance(result.verdict, (Failed, Passed)), said(result)


def lost_mail(_: str) -> str | None:
    """A mailbox to which nothing comes."""
    return None


def test_a_reset_that_is_mailed_to_what_was_typed_is_a_finding() -> None:
    result = judged("CRD115", society(mails_as_typed=True))
    assert isinstance(result.verdict, Failed), said(result)
    assert result.severity is Severity.CRITICAL


def folding_mail(address: str) -> str | None:
    """A mailbox that looks for addresses as the service compares them."""
    return MAILS.get(folded(address))


def test_a_mailbox_that_folds_addresses_accuses_nobody() -> None:
    result = judged("CRD115", society(), "folding_mail")
    assert "mails the owner's token" not in result.verdict.reason, said(result)
    assert any("gives the owner's messages" in note for note in result.verdict.notes), said(result)


@pytest.mark.parametrize("believes", [True, False])
def test_a_role_that_is_taken_at_the_sign_up_shows_once_the_account_is_confirmed(believes: bool) -> None:
    result = judged("AUZ105", society(believes=believes))
    assert isinstance(result.verdict, Failed if believes else Passed), said(result)


def test_the_later_owner_of_a_name_confirms_it_before_anything_is_said_of_what_comes_with_it() -> None:
    result = judged("LIF112", society(by_name=True))
    assert isinstance(result.verdict, Failed), said(result)
    assert "accepted after somebody else had taken the name" in result.verdict.reason


@pytest.mark.parametrize(("farewell", "verdict"), [(401, Passed), (429, Inconclusive), (500, Inconclusive)])
def test_a_login_of_a_deleted_account_that_got_no_answer_was_not_refused(
    farewell: int, verdict: type
) -> None:
    result = judged("LIF104", society(by_name=True, farewell=farewell), patience=0.1)
    assert isinstance(result.verdict, verdict), said(result)


def test_whoever_has_not_confirmed_yet_is_nobody_to_a_stranger() -> None:
    sound = judged("CRD109", society())
    assert isinstance(sound.verdict, Passed), said(sound)
    assert not [note for note in sound.verdict.notes if "unconfirmed" in note]
    result = judged("CRD109", society(tells=True))
    assert isinstance(result.verdict, Failed), said(result)
    assert "names of unconfirmed accounts from unknown names: status: 401 or 403" in result.verdict.reason
