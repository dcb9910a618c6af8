"""AUZ105 where a right or a price stands in an object within the body, in a list, or in a body that lists nothing."""

import secrets
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from services.people import PEOPLE

from auth_conformance import catalog

# Registration and a changed account cost a login each: what is about objects does without.
_ACCOUNT = ("rank", "profile", "settings", "nothing of people", "shut afterwards")


class Rank(StrEnum):
    PUPIL = "PUPIL"
    TEACHER = "TEACHER"


class Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Profile(Shape):
    nickname: str


class Newcomer(Person):
    profile: Profile
    role: Rank = Rank.PUPIL


class Plain(Person):
    profile: Profile


class Line(Shape):
    article: str


class Cover(Shape):
    colour: str = "red"


class Order(BaseModel):
    note: str
    lines: list[Line]
    cover: Cover | None = None


class Sheet(Shape):
    note: str


class Renamed(BaseModel):
    note: str | None = None
    cover: Cover | None = None


class Notes(BaseModel):
    preferences: dict[str, Any]


class Page(BaseModel):
    username: str
    role: Rank
    profile: dict[str, Any]
    preferences: dict[str, Any]


def shop(takes: str) -> FastAPI:
    """Orders with lines and a cover, people with a profile; `takes` is where a client sets what it should not."""
    app, people, orders = FastAPI(), dict(PEOPLE), dict[str, dict[str, Any]]()
    pages = {
        name: {
            "role": Rank.PUPIL,
            "profile": {"nickname": name, "trusted": 0},
            "preferences": {"theme": "dark"},
        }
        for name in people
    }
    caller = front_desk(app, people=people, more=lambda name: dict(pages[name]))
    Caller = Annotated[str, Depends(caller)]

    def kept(part: Shape, where: str) -> dict[str, Any]:
        return part.model_dump(exclude=None if takes == where else set(part.model_extra or {}))

    if takes in _ACCOUNT:
        entry = {"rank": Newcomer}.get(takes, Plain)

        @app.post("/people", status_code=201)
        def register(who: entry) -> Page:
            if who.username in people:
                raise HTTPException(409, "taken")
            shut = takes == "shut afterwards" and who.profile.model_extra
            people.update({} if shut else {who.username: who.password})
            role = getattr(who, "role", Rank.PUPIL)
            profile = {"trusted": 0, **kept(who.profile, "profile")}
            pages[who.username] = {"role": role, "profile": profile, "preferences": {"theme": "dark"}}
            return Page.model_validate({"username": who.username, **pages[who.username]})

        @app.patch("/me")
        def prefer(body: Notes, name: Caller) -> Page:
            pages[name]["preferences"].update(body.preferences)
            return Page.model_validate({"username": name, **pages[name]})

        @app.put("/me/settings")
        def settle(body: dict[str, Any], name: Caller) -> Page:
            pages[name].update(body if takes == "settings" else {})
            return Page.model_validate({"username": name, **pages[name]})

        return app

    def own(number: str, name: Caller) -> dict[str, Any]:
        if orders.get(number, {}).get("buyer") != name:
            raise HTTPException(404, "no such order")
        return orders[number]

    @app.post("/orders", status_code=201)
    def create(body: Order, name: Caller) -> dict[str, Any]:
        number = secrets.token_hex(6)
        lines = [{"price": 10, **kept(line, "lines")} for line in body.lines]
        cover = {"colour": "red", "approved": False}
        orders[number] = {"id": number, "note": body.note, "lines": lines, "cover": cover, "buyer": name}
        return orders[number]

    @app.get("/orders/{number}")
    def read(order: Annotated[dict[str, Any], Depends(own)]) -> dict[str, Any]:
        return order

    @app.patch("/orders/{number}")
    def change(body: Renamed, order: Annotated[dict[str, Any], Depends(own)]) -> dict[str, Any]:
        order.update({"note": body.note} if body.note else {})
        order["cover"].update(kept(body.cover, "cover") if body.cover else {})
        return order

    return app


@pytest.mark.parametrize(
    ("takes", "told"),
    [
        ("profile", "POST /people takes trusted = 1 in profile"),
        ("rank", 'POST /people takes role = "TEACHER"'),
        ("settings", 'PUT /me/settings takes role = "TEACHER"'),
        ("lines", "POST /orders takes price = 11 in lines/0"),
        ("cover", "PATCH /orders/{number} takes approved = true in cover"),
    ],
)
def test_a_member_within_the_body_is_set(takes: str, told: str) -> None:
    result = judged_as_found("AUZ105", shop(takes))
    assert result.name == "failed", said(result)
    assert [finding.message for finding in result.findings if finding.message.startswith(told)], said(result)


@pytest.mark.parametrize("takes", ["nothing", "nothing of people"])
def test_what_people_keep_in_a_map_is_their_own(takes: str) -> None:
    result = judged_as_found("AUZ105", shop(takes))
    assert result.name == "passed", said(result)


def test_nothing_is_said_where_nobody_sees_what_came_of_it() -> None:
    result = judged_as_found("AUZ105", shop("shut afterwards"))
    assert result.name == "inconclusive", said(result)


def archive(*, takes: str = "") -> FastAPI:
    """Four collections, more than one check may ask about; the one called `takes` stores what a client sets."""
    app, kept = FastAPI(), dict[str, dict[str, Any]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    def collection(kind: str) -> None:
        @app.post(f"/{kind}", status_code=201, operation_id=f"add_{kind}")
        def create(body: Sheet, name: Caller) -> dict[str, Any]:
            number = secrets.token_hex(6)
            told = {f"fact_{place}": place for place in range(8)}
            extra = body.model_extra or {} if kind == takes else {}
            kept[number] = {
                **told,
                "approved": False,
                "note": body.note,
                **extra,
                "id": number,
                "owner": name,
            }
            return kept[number]

        @app.get(f"/{kind}/{{number}}", operation_id=f"read_{kind}")
        def read(number: str, name: Caller) -> dict[str, Any]:
            if kept.get(number, {}).get("owner") != name:
                raise HTTPException(404, "no such sheet")
            return kept[number]

        @app.put(f"/{kind}/{{number}}", operation_id=f"change_{kind}")
        def change(number: str, body: Sheet, name: Caller) -> dict[str, Any]:
            read(number, name)["note"] = body.note
            return kept[number]

    for kind in ("letters", "maps", "plans", "sketches"):
        collection(kind)
    return app


@pytest.mark.parametrize("takes", ["", "letters"])
def test_what_was_judged_stands_when_there_is_too_much(takes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = catalog.load()["AUZ105"]
    short = replace(check, rule=replace(check.rule, budget=75 if not takes else 60))
    monkeypatch.setattr(catalog, "load", lambda: {"AUZ105": short})
    result = judged_as_found("AUZ105", archive(takes=takes))
    assert result.name == ("failed" if takes else "passed"), said(result)
    assert "what comes after" in said(result)
    assert "the check's budget of" in said(result)
