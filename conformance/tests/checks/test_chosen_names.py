"""Objects with names that people choose and no two may have alike: each one that is made is called otherwise."""

import itertools
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Path
from pydantic import BaseModel, Field


class Team(BaseModel):
    slug: str = Field(pattern=r"^[a-z][a-z0-9-]{2,40}$", examples=["acme-tools"])
    title: str


def teams(*, numbered: bool, guarded: bool) -> FastAPI:
    """Teams are found by their slug, or by a number. Somebody has taken the example of the document."""
    app, numbers = FastAPI(), itertools.count(1)
    kept = {"acme-tools": ("nobody", Team(slug="acme-tools", title="tools"))}
    Caller = Annotated[str, Depends(front_desk(app))]

    @app.post("/teams", status_code=201)
    def found(body: Team, name: Caller) -> dict[str, Any]:
        if any(team.slug == body.slug for _, team in kept.values()):
            raise HTTPException(409, "This slug is taken.")
        key = str(next(numbers)) if numbered else body.slug
        kept[key] = name, body
        return {"id": key, **body.model_dump()}

    @app.get("/teams/{team}")
    def read(team: str, name: Caller) -> Team:
        if team not in kept or (guarded and kept[team][0] != name):
            raise HTTPException(404, "no such team")
        return kept[team][1]

    return app


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(("guarded", "name"), [(True, "passed"), (False, "failed")])
def test_every_team_has_a_name_of_its_own(name: str, *, numbered: bool, guarded: bool) -> None:
    result = judged_as_found("AUZ101", teams(numbered=numbered, guarded=guarded))
    assert result.name == name, said(result)


class Pump(BaseModel):
    note: str


def pumps(*, taken: str) -> FastAPI:
    """Pumps are put where their path says. One whose number is `taken` stays whose it is, or becomes the caller's."""
    app, kept = FastAPI(), dict[str, tuple[str, str]]()
    Caller = Annotated[str, Depends(front_desk(app))]
    Number = Annotated[str, Path(pattern=r"^[a-z]{2,8}-\d{4}$", examples=["pump-0042"])]

    @app.put("/pumps/{number}")
    def put(number: Number, body: Pump, name: Caller) -> dict[str, str]:
        if kept.get(number, (name,))[0] != name and taken == "refused":
            raise HTTPException(409, "This number is taken.")
        kept[number] = name, body.note
        return {"number": number, "note": body.note}

    @app.get("/pumps/{number}")
    def read(number: Number, name: Caller) -> dict[str, str]:
        if kept.get(number, ("",))[0] != name:
            raise HTTPException(404, "no such pump")
        return {"number": number, "note": kept[number][1]}

    return app


@pytest.mark.parametrize(
    ("code", "taken", "name"),
    [("AUZ101", "refused", "passed"), ("AUZ102", "refused", "passed"), ("AUZ102", "moved", "failed")],
)
def test_what_a_put_creates_is_its_makers(code: str, taken: str, name: str) -> None:
    result = judged_as_found(code, pumps(taken=taken))
    assert result.name == name, said(result)
