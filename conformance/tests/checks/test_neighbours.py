"""B may not do what A may, or may see all that A has: neither says anything of owners; the line to add says so."""

from collections.abc import Mapping
from typing import Annotated

from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel
from services.people import PEOPLE

Basic = Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]


class Note(BaseModel):
    text: str


class Stored(Note):
    id: int
    owner: str


class Pinned(Note):
    id: int


class Filed(Stored):
    team_id: int


def caller(basic: Basic) -> str:
    if PEOPLE.get(basic.username) != basic.password:
        raise HTTPException(401, "no", headers={"WWW-Authenticate": "Basic"})
    return basic.username


Caller = Annotated[str, Depends(caller)]


def board(
    *, tells_owner: bool = False, filters: bool = False, teams: Mapping[str, int] | None = None
) -> FastAPI:
    """Everybody reads everything by its address; `filters` is whether the list shows people their own only.

    `teams` are the numbers of the teams that people are in, where notes tell their owner and the owner's team.
    """
    app, notes = FastAPI(), dict[int, Stored]()

    def shown(note: Stored) -> Filed | Stored | Pinned:
        if teams is not None:
            return Filed(**note.model_dump(), team_id=teams[note.owner])
        return note if tells_owner else Pinned(id=note.id, text=note.text)

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/notes", status_code=201)
    def write(note: Note, name: Caller) -> Filed | Stored | Pinned:
        notes[len(notes) + 1] = Stored(id=len(notes) + 1, owner=name, text=note.text)
        return shown(notes[len(notes)])

    @app.get("/notes")
    def everything(name: Caller) -> list[Filed | Stored | Pinned]:
        return [shown(note) for note in notes.values() if not filters or note.owner == name]

    @app.get("/notes/{note_id}")
    def read(note_id: int, name: Caller) -> Filed | Stored | Pinned:
        if note_id not in notes:
            raise HTTPException(404, f"no such note, {name}")
        return shown(notes[note_id])

    return app


def create_app() -> FastAPI:
    app, notes = FastAPI(), dict[int, Stored]()

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/notes", status_code=201)
    def write(note: Note, name: Caller) -> Stored:
        if name != "alice":
            raise HTTPException(403, "viewers do not write")
        notes[len(notes) + 1] = Stored(id=len(notes) + 1, owner=name, text=note.text)
        return notes[len(notes)]

    @app.get("/notes/{note_id}")
    def read(note_id: int, name: Caller) -> Stored:
        if note_id not in notes or notes[note_id].owner != name:
            raise HTTPException(404, "no such note")
        return notes[note_id]

    return app


def test_another_role_is_no_neighbour() -> None:
    result = judged_as_found("AUZ101", create_app())
    assert result.name == "inconclusive", said(result)
    assert "POST /notes made no object of 'b' (403)" in result.verdict.reason
    assert getattr(result.verdict, "remedy", "").startswith("[accounts.b]")


def test_what_names_no_owner_and_everybody_lists_may_be_everybodys() -> None:
    for code in ("AUZ101", "AUZ103"):
        result = judged_as_found(code, board())
        assert result.name == "inconclusive", said(result)
        assert getattr(result.verdict, "remedy", "").startswith("[policy]\nshared_objects = false")
    assert judged_as_found("AUZ101", board(), policy={"shared_objects": False}).name == "failed"
    told = judged_as_found("AUZ101", board(), policy={"shared_objects": True})
    assert told.verdict.reason == "Not applicable: people are declared to share their objects."


def test_what_names_its_owner_or_is_listed_to_its_owner_only_is_somebodys() -> None:
    assert judged_as_found("AUZ101", board(tells_owner=True)).name == "failed"
    assert judged_as_found("AUZ101", board(filters=True)).name == "failed"


def test_what_a_team_lists_to_its_members_may_be_the_teams() -> None:
    """It says who made it as well: that is no proof that nobody else in the team may see it."""
    together = dict.fromkeys(PEOPLE, 1)
    for code in ("AUZ101", "AUZ103", "ERR103"):
        result = judged_as_found(code, board(teams=together))
        assert result.name == "inconclusive", said(result)
        assert "shared_objects" in getattr(result.verdict, "remedy", ""), said(result)
        assert code == "ERR103" or "/team_id is the same in A's and in B's" in result.verdict.reason
    assert judged_as_found("AUZ101", board(teams=together), policy={"shared_objects": False}).name == "failed"
    apart = {name: number for number, name in enumerate(PEOPLE)}
    assert judged_as_found("AUZ101", board(teams=apart)).name == "failed"
    assert judged_as_found("AUZ101", board(teams=together, filters=True)).name == "failed"
