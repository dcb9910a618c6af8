"""AUZ104 and AUZ108 without an administrator: what says that it is for them, read by somebody who is none."""

import tomllib
from typing import Annotated

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from services.people import PEOPLE
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from auth_conformance.model import Severity


def library(opened: str, *, rank: str = "reader", newcomers: bool = True, porter: bool = False) -> FastAPI:
    """Administrators see all readers and each of them; `opened` is what everybody may call, A and B have a `rank`.

    With a `porter`, one path is shut to everybody as it is usually spelled.
    """
    app, people = FastAPI(), dict(PEOPLE)
    ranks = dict.fromkeys(people, rank)
    caller = front_desk(app, people=people, more=lambda name: {"rank": {"role": ranks.get(name, "reader")}})

    def guard(what: str) -> object:
        def looks(name: Annotated[str, Depends(caller)]) -> None:
            if opened != what and ranks.get(name) != "admin":
                raise HTTPException(403, "not for readers")

        return Depends(looks)

    if newcomers:

        @app.post("/people", status_code=201)
        def register(who: Person) -> dict[str, str]:
            if who.username in people:
                raise HTTPException(409, "taken")
            people[who.username] = who.password
            return {"username": who.username}

    house = APIRouter(prefix="/admin")

    @house.get("/readers", dependencies=[guard("list")])
    def everybody() -> dict[str, list[dict[str, str]]]:
        return {"readers": [{"username": name} for name in people]}

    @house.get("/users/{username}", dependencies=[guard("one")])
    def one(username: str) -> dict[str, str]:
        if username not in people:
            raise HTTPException(404, "no such reader")
        return {"username": username, "shelf": f"shelf of {username}", "id": f"reader-{username}"}

    @house.delete("/users/{username}", dependencies=[guard("deletion")])
    def remove(username: str) -> None:
        people.pop(username, None)

    app.include_router(house)

    async def shut(request: Request, call_next: RequestResponseEndpoint) -> Response:
        known = porter and request.scope["path"] == "/admin/readers"
        return JSONResponse({"detail": "not for readers"}, 403) if known else await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=shut)
    return app


def test_a_list_of_everybody_that_newcomers_read_is_a_finding() -> None:
    result = judged_as_found("AUZ104", library("list"))
    assert (result.name, result.severity) == ("failed", Severity.CRITICAL), said(result)
    assert [finding.operation for finding in result.findings] == ["GET /admin/readers"]
    assert "somebody who has just registered what is told of A and B, and strangers get 40" in said(result)


@pytest.mark.parametrize("opened", ["nothing", "one"])
def test_what_is_shown_of_who_was_asked_for_is_no_finding(opened: str) -> None:
    # The page of one reader says no more than the name that was sent.
    result = judged_as_found("AUZ104", library(opened))
    assert result.name not in ("failed", "passed"), said(result)


def test_where_nobody_registers_a_person_has_to_say_who_may() -> None:
    result = judged_as_found("AUZ104", library("list", newcomers=False))
    assert result.name == "inconclusive", said(result)
    assert 'privileged_operations = ["GET /admin/readers"]' in getattr(result.verdict, "remedy", "")


@pytest.mark.parametrize("newcomers", [True, False])
def test_administrators_in_the_place_of_ordinary_users_are_no_finding(*, newcomers: bool) -> None:
    result = judged_as_found("AUZ104", library("nothing", rank="admin", newcomers=newcomers))
    assert result.name not in ("failed", "passed"), said(result)
    if not newcomers:
        remedy = tomllib.loads(getattr(result.verdict, "remedy", ""))
        assert remedy["accounts"]["a"].keys() == {"username", "password"}


@pytest.mark.parametrize("opened", ["list", "nothing"])
def test_a_path_that_one_spelling_alone_shuts_is_found(opened: str) -> None:
    result = judged_as_found("AUZ108", library(opened, porter=True))
    assert result.name == ("failed" if opened == "list" else "passed"), said(result)
    if opened == "list":
        assert "GET /admin/readers refuses an ordinary user, and answers one that writes it" in said(result)
