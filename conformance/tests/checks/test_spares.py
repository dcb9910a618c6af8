"""A service without registration, which counts its sessions: what two spare accounts are enough for."""

import asyncio
import itertools
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.judging import said
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result, Role
from auth_conformance.probe.core import another_spare
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


def test_another_spare_is_asked_for_under_a_name_that_is_free() -> None:
    assert another_spare({"x-dave", "x-spare1"}).startswith("[accounts.spare2]\n")
    assert another_spare(set()).startswith("[accounts.spare1]\n")


def test_two_spares_with_one_password_are_no_two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, {"CRD101"}, same=True)["CRD101"]
    assert result.name == "inconclusive", said(result)
    assert "the same password" in result.verdict.reason
    assert "[accounts.dave]" in getattr(result.verdict, "remedy", "")


def test_where_two_people_are_needed_one_spare_is_not_lent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, {"CRD101"}, spares=1)["CRD101"]
    assert result.name == "passed", said(result)
    shown = {item.label for item in result.verdict.evidence if item.role is Role.CONTROL}
    assert any("the right password of b" in label for label in shown), shown  # who is the second person then


class Choice(BaseModel):
    current: str
    new: str


def keeping_app(pins: dict[str, str], flaw: str = "", *, once: bool = False) -> FastAPI:
    """Nobody registers here, any password may be chosen, and with `once` none is taken a second time.

    Five wrong passwords in a minute are too many. `flaw` is `any` (anybody's password will do), `forwarded` (wrong
    passwords are counted by the address that the client claims) or `unasked` (nobody looks at the current one).
    With `muffled` anybody's password will do as well, and what it opens is away just then.
    """
    app = FastAPI()
    tokens: dict[str, str] = {}
    had = {name: [pin] for name, pin in pins.items()}
    wrong: dict[str, list[float]] = {}
    muffled: set[str] = set()

    def caller(authorization: Annotated[str, Header()] = "") -> str:
        if (name := tokens.get(authorization.removeprefix("Bearer "))) is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        if authorization.removeprefix("Bearer ") in muffled:
            raise HTTPException(503, "later")
        return name

    @app.post("/login")
    async def enter(entry: Entry, request: Request) -> dict[str, str]:
        claimed = request.headers.get("x-forwarded-for", "") if flaw == "forwarded" else ""
        failed = wrong.setdefault(f"{entry.who} {claimed}", [])
        failed[:] = [moment for moment in failed if moment > time.time() - 60]
        if len(failed) >= 5:
            raise HTTPException(429, "later", {"Retry-After": "60"})
        right = pins.values() if flaw in {"any", "muffled"} else [pins.get(entry.who)]
        if entry.who not in pins or entry.pin not in right:
            failed.append(time.time())
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        failed.clear()
        token = secrets.token_urlsafe(32)
        tokens[token] = entry.who
        if flaw == "muffled" and pins[entry.who] != entry.pin:
            muffled.add(token)
        return {"access_token": token}

    @app.get("/me")
    async def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.delete("/me", status_code=204)
    async def leave(name: Annotated[str, Depends(caller)]) -> None:
        del pins[name]

    @app.put("/me/password", status_code=204)
    async def choose(choice: Choice, name: Annotated[str, Depends(caller)]) -> None:
        if (pins[name] != choice.current and flaw != "unasked") or (once and choice.new in had[name]):
            raise HTTPException(400, "no")
        pins[name] = choice.new
        had[name].append(choice.new)

    return app


def kept(monkeypatch: pytest.MonkeyPatch, code: str, pins: dict[str, str], app: FastAPI) -> Result:
    """The result of one check, with Alice, Bob, and Carol as the only spare account."""
    accounts: dict[str, Any] = {}
    for name, pin in pins.items():
        monkeypatch.setenv(f"PIN_OF_{name.upper()}", pin)
        accounts[name] = {"username": name, "password": {"env": f"PIN_OF_{name.upper()}"}}
    accounts["carol"]["role"] = "expendable"
    change = {"operation": "PUT /me/password", "current": "current", "new": "new"}
    given = {"accounts": accounts, "allow_disruptive": True, "password_change": change}
    return asyncio.run(conduct(load(given, start=Path("/")), [catalog.load()[code]], app=app)).results[0]


@pytest.mark.parametrize("once", [False, True])
def test_a_spare_account_keeps_its_own_password_and_its_account_or_it_is_told(
    monkeypatch: pytest.MonkeyPatch, *, once: bool
) -> None:
    pins = {name: PINS[name] for name in ("alice", "bob", "carol")}
    result = kept(monkeypatch, "CRD106", pins, keeping_app(pins, once=once))
    assert result.name == "failed", said(result)
    assert set(pins) == {"alice", "bob", "carol"}
    assert (pins["carol"] == PINS["carol"]) is not once
    told = [note for note in result.verdict.notes if "carol kept a password" in note]
    assert bool(told) is once, result.verdict.notes


@pytest.mark.parametrize(
    ("code", "flaw", "name", "word"),
    [
        ("CRD101", "any", "failed", "the password of another account"),
        ("CRD101", "muffled", "inconclusive", "could not be tried at GET /me"),
        ("CRD108", "unasked", "failed", "changed the password"),
        ("CRD108", "", "inconclusive", "a change that names another account was not tried"),
        ("CRD113", "forwarded", "failed", "the limit is evaded with X-Forwarded-For"),
        ("CRD113", "", "inconclusive", "a burst was not tried"),
        ("CRD114", "", "passed", "the block ends by itself"),
        ("CRD120", "", "passed", "did nothing"),
        ("CRD124", "", "passed", "refused or harmless"),
    ],
)
def test_with_one_spare_account_a_check_does_what_it_can(
    monkeypatch: pytest.MonkeyPatch, code: str, flaw: str, name: str, word: str
) -> None:
    pins = {name: PINS[name] for name in ("alice", "bob", "carol")}
    result = kept(monkeypatch, code, pins, keeping_app(pins, flaw))
    assert result.name == name, said(result)
    assert word in result.verdict.reason, said(result)
    if code == "CRD108":
        # Whatever was done to the spare account, it has its own password back; nobody else lost theirs.
        assert pins == {name: PINS[name] for name in pins}
        assert flaw or "[accounts.spare1]" in getattr(result.verdict, "remedy", "")
