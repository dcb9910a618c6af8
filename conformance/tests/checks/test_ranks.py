"""AUZ109 where ranks are called as nobody could guess: the administrator's own page says how."""

from typing import Annotated

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, Field
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed, Result

RITA = {"rita": "rita-Copper-Meadow-55"}
SPARE = {"spare": "spare-Copper-Lantern-85", "nadia": "nadia-Walnut-Harbour-31"}


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


@pytest.mark.parametrize("believes", [False, True])
def test_an_address_that_a_proxy_names_is_told_as_that(*, believes: bool) -> None:
    app, addresses = FastAPI(), {name: f"{name}@post.example" for name in PEOPLE}
    caller = front_desk(app, me="/desk")

    @app.get("/me")
    def page(request: Request, x_forwarded_email: Annotated[str, Header()] = "") -> dict[str, str]:
        named = [name for name, address in addresses.items() if believes and address == x_forwarded_email]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        name = named[0] if named else caller(HTTPAuthorizationCredentials(scheme=scheme, credentials=token))
        return {"username": name, "email": addresses[name]}

    result = judged_as_found("AUZ109", app, witness={"operation": "GET /me"})
    assert result.name == ("failed" if believes else "passed"), said(result)
    if believes:
        assert "let in X-Forwarded-Email: bob@post.example" in said(result)


class Rank(BaseModel):
    rank: str = Field(alias="role", pattern="^(helper|steward)$")


def practice(*, everybody: bool = False, by: str = "uid", afterwards: int = 200) -> FastAPI:
    """A service whose stewards give ranks; where `everybody` may, nothing but its effect says that they must not.

    Once somebody has lost a rank, the ledger is answered `afterwards` to everybody.
    """
    app, known = FastAPI(), {**PEOPLE, **RITA, **SPARE}
    ranks, lost = dict.fromkeys(known, "helper") | {"rita": "steward"}, list[str]()
    caller = front_desk(
        app, people=known, more=lambda name: {"uid": f"p-{len(name)}{name[::-1]}", "role": ranks[name]}
    )

    def steward(name: Annotated[str, Depends(caller)]) -> None:
        if ranks[name] != "steward" and not everybody:
            raise HTTPException(403, "not for you")

    @app.get("/ledger", dependencies=[Depends(steward)])
    def ledger() -> dict[str, int]:
        if lost and afterwards != 200:
            raise HTTPException(afterwards, "later")
        return {"pages": 417}

    @app.put(f"/people/{{{by}}}/role", dependencies=[Depends(steward)])
    def give(request: Request, wish: Rank) -> dict[str, str]:
        uid = request.path_params[by]
        told = (
            {f"p-{len(name)}{name[::-1]}": name for name in known}
            if by == "uid"
            else {name: name for name in known}
        )
        name = told.get(uid)
        if name is None:
            raise HTTPException(404, "nobody")
        lost.extend([name] * (ranks[name] > wish.rank))
        ranks[name] = wish.rank
        return {"uid": uid, "role": wish.rank}

    return app


@pytest.fixture
def with_spares(monkeypatch: pytest.MonkeyPatch, accounts: dict[str, object]) -> dict[str, object]:
    for name_of, password in SPARE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name_of.upper()}", password)
        secret = {"env": f"PASSWORD_OF_{name_of.upper()}"}
        accounts[name_of] = {"username": name_of, "password": secret, "role": "expendable"}
    return accounts


@pytest.mark.parametrize(
    ("code", "everybody", "name", "by"),
    [
        ("LIF105", False, "passed", "uid"),
        ("LIF105", False, "passed", "name"),
        ("AUZ104", False, "passed", "uid"),
        ("AUZ104", True, "failed", "uid"),
        ("AUZ104", True, "failed", "name"),
    ],
)
def test_ranks_are_given_as_the_service_calls_them(
    with_spares: dict[str, object],
    code: str,
    name: str,
    by: str,
    *,
    everybody: bool,
) -> None:
    app = practice(everybody=everybody, by=by)
    result = judged_as_found(code, app, accounts=with_spares)
    assert result.name == name, said(result)


@pytest.mark.parametrize("afterwards", [404, 429, 500])
def test_what_answers_nobody_any_more_has_taken_no_rank_away(
    with_spares: dict[str, object], afterwards: int
) -> None:
    result = judged_as_found("LIF105", practice(afterwards=afterwards), accounts=with_spares, patience=0.1)
    assert result.name == "inconclusive", said(result)
