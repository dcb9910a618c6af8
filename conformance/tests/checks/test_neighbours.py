"""B may not do what A may, or may see all that A has: neither says anything of owners; the line to add says so."""

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


def caller(basic: Basic) -> str:
    if PEOPLE.get(basic.username) != basic.password:
        raise HTTPException(401, "no", headers={"WWW-Authenticate": "Basic"})
    return basic.username


Caller = Annotated[str, Depends(caller)]


def board(*, tells_owner: bool = False, filters: bool = False) -> FastAPI:
    """Everybody reads everything by its address; `filters` is whether the list shows people their own only."""
    app, notes = FastAPI(), dict[int, Stored]()

    def shown(note: Stored) -> Stored | Pinned:
        return note if tells_owner else Pinned(id=note.id, text=note.text)

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/notes", status_code=201)
    def write(note: Note, name: Caller) -> Stored | Pinned:
        notes[len(notes) + 1] = Stored(id=len(notes) + 1, owner=name, text=note.text)
        return shown(notes[len(notes)])

    @app.get("/notes")
    def everything(name: Caller) -> list[Stored | Pinned]:
        return [shown(note) for note in notes.values() if not filters or note.owner == name]

    @app.get("/notes/{note_id}")
    def read(note_id: int, name: Caller) -> Stored | Pinned:
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
