"""A second factor by time: who turns it on needs it, whatever the password alone is answered."""

import base64
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.oracles.otp import Seed, seed_in

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    login: str
    secret: str


class Code(BaseModel):
    code: str


class Step(Code):
    challenge: str


def bank(
    flaw: str = "", status: int = 200, most: int = 1000, *, staff: Mapping[str, str] | None = None
) -> FastAPI:
    """Half a login is answered `status`; the flaw is in what opens the page, or in which codes are taken.

    After so many wrong codes at `most` nobody's are looked at. Where there is `staff`, nobody can register.
    """
    app = FastAPI()
    people, sessions, halves = {**PEOPLE, **(staff or {})}, dict[str, str](), dict[str, str]()
    wrong = Counter[str]()
    seeds, pending, used = dict[str, Seed](), dict[str, Seed](), dict[str, int]()
    app.state.seeds = seeds

    def caller(bearer: Bearer) -> str:
        half = halves.get(bearer.credentials) if flaw == "half opens" else None
        name = sessions.get(bearer.credentials) or half
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    Caller = Annotated[str, Depends(caller)]

    def taken(name: str, seed: Seed, code: str) -> None:
        if wrong[name] >= most:
            raise HTTPException(429, "later")
        now = seed.step(time.time())
        for step in (now - 1, now, now + 1):
            if seed.code(step) == code and (step > used.get(name, 0) or flaw == "again"):
                used[name] = step
                return
        if flaw != "any":
            wrong.update([name])
            raise HTTPException(500 if flaw == "breaks" else 403, "wrong code")

    def opened(name: str) -> dict[str, str]:
        sessions[value := secrets.token_urlsafe(24)] = name
        return {"access_token": value}

    if staff is None:

        @app.post("/people", status_code=201)
        def register(who: Person) -> dict[str, str]:
            if who.login in people:
                raise HTTPException(409, "taken")
            people[who.login] = who.secret
            return {"login": who.login}

    @app.post("/session")
    def login(who: Person) -> dict[str, str]:
        if people.get(who.login) != who.secret:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        if who.login not in seeds or flaw == "unasked":
            return opened(who.login)
        halves[value := secrets.token_urlsafe(24)] = who.login
        if status != 200:
            raise HTTPException(status, {"challenge": value})
        return {"next": "totp", "challenge": value}

    @app.post("/session/totp")
    def second(step: Step) -> dict[str, str]:
        name = halves.get(step.challenge)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        taken(name, seeds[name], step.code)
        del halves[step.challenge]
        return opened(name)

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"login": name}

    @app.post("/me/totp", status_code=201)
    def begin(name: Caller) -> dict[str, str]:
        pending[name] = Seed(raw := secrets.token_bytes(20))
        return {"seed": base64.b32encode(raw).decode()}

    if flaw == "off":

        @app.post("/me/totp/disable")
        def off(_: Code, name: Caller) -> dict[str, str]:
            seeds.pop(name, None)
            return {"login": name}

    @app.post("/me/totp/confirm")
    def confirm(body: Code, name: Caller) -> dict[str, str]:
        taken(name, pending[name], body.code)
        seeds[name] = pending.pop(name)
        return {"login": name}

    return app


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("TOK210", "half opens", "let in the challenge of a login without its second factor as access token"),
        ("CRD101", "any", "POST /session/totp took a wrong code after the right password"),
        (
            "CRD101",
            "unasked",
            "POST /session asks for nothing but the password of somebody who has turned a second factor on",
        ),
        ("LIF108", "again", "POST /session/totp took a code a second time"),
    ],
)
def test_the_password_alone_opens_nothing(code: str, flaw: str, words: str) -> None:
    result = judged_as_found(code, bank(flaw))
    assert result.name == "failed", said(result)
    assert words in result.verdict.reason, said(result)


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("TOK210", "1 attacks"),
        ("CRD101", "issued nothing"),
        ("LIF108", "A code of a second factor that was used let nobody in"),
    ],
)
def test_a_sound_second_factor_passes(code: str, words: str, status: int) -> None:
    result = judged_as_found(code, bank(status=status))
    assert result.name == "passed", said(result)
    assert words in result.verdict.reason, said(result)


@pytest.mark.parametrize("code", ["TOK210", "CRD101", "CRD112"])
def test_accounts_that_were_given_get_no_second_factor(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account asked for codes from then on, of which the run kept the seed to itself."""
    staff = {name: f"{name}-Meadow-Lantern-29" for name in ("carol", "dora")}
    for name, password in staff.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
    app = bank(staff=staff)
    result = judged_as_found(code, app, spares=list(staff))
    assert not app.state.seeds, said(result)
    assert "a second factor is turned on for accounts that the run registers" in said(result)


@pytest.mark.parametrize(
    ("flaw", "verdict", "words"),
    [
        ("off", "passed", "issued nothing"),
        ("breaks", "inconclusive", "a wrong code after the right password: no orderly answer"),
    ],
)
def test_what_is_no_confirmation_and_what_is_no_refusal(flaw: str, verdict: str, words: str) -> None:
    """What turns it off said yes to a code, and the password alone was told as a hole; a 500 as a refusal."""
    result = judged_as_found("CRD101", bank(flaw))
    assert result.name == verdict, said(result)
    assert words in result.verdict.reason, said(result)


@pytest.mark.parametrize("most", [1000, 10])
def test_codes_cannot_be_tried_without_end(most: int) -> None:
    """Of six digits one is found in a day by who knows the password."""
    result = judged_as_found("CRD112", bank(most=most))
    told = "POST /session/totp took 30 guesses at a code"
    assert (told in str(result.verdict)) is (most == 1000), said(result)
    assert most == 1000 or "guessing codes of an authenticator was limited after" in said(result), said(
        result
    )


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238 appendix B."""
    seed = Seed(b"12345678901234567890", digits=8)
    assert [seed.code(seed.step(now)) for now in (59, 1111111109, 20000000000)] == [
        "94287082",
        "07081804",
        "65353130",
    ]
    assert str(seed.secret) not in repr(seed), "a traceback would show it"
    secret = base64.b32encode(seed.secret).decode()
    told = f"otpauth://totp/Bank:alice?secret={secret}&digits=8&issuer=Bank"
    assert seed_in(["Bank", told, secret]) == seed
    assert seed_in(["ALICE", "no secret"]) is None
    # No wait for the next code of such a seed would end.
    assert seed_in([f"{told}&period=1000000000"]) is None
    assert seed_in([told.replace("digits=8", "digits=99999999")]) is None
