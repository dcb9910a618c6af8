"""B may not do what A may: then what B is refused says nothing of owners, and the line to add says so."""

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


def create_app() -> FastAPI:
    app, notes = FastAPI(), dict[int, Stored]()

    def caller(basic: Basic) -> str:
        if PEOPLE.get(basic.username) != basic.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Basic"})
        return basic.username

    Caller = Annotated[str, Depends(caller)]  # noqa: N806 - a type

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
