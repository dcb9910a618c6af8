"""AUZ101 and AUZ102 where a header says whose place is meant: the caller's own, whatever it says."""

import uuid
from typing import Annotated

import pytest
from checks.desk import Person, Sessions
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

TENANTS = {"alice": "acme", "bob": "globex"}


class Text(BaseModel):
    text: str


class Note(Text):
    id: uuid.UUID


def houses(*, trusting: bool, required: bool) -> FastAPI:
    """What is kept in a tenant all of its people may see; where it is `trusting`, whoever names it may."""
    app, sessions, notes = FastAPI(), Sessions(), dict[tuple[str, uuid.UUID], Note]()

    def caller(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        name = sessions.get(given.credentials)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    def settled(name: str, wanted: str | None) -> str:
        if wanted not in (None, TENANTS[name]) and not trusting:
            raise HTTPException(403, "not your tenant")
        return wanted or TENANTS[name]

    def demanded(name: Annotated[str, Depends(caller)], x_tenant_id: Annotated[str, Header()]) -> str:
        return settled(name, x_tenant_id)

    def offered(
        name: Annotated[str, Depends(caller)], x_tenant_id: Annotated[str | None, Header()] = None
    ) -> str:
        return settled(name, x_tenant_id)

    tenant = Depends(demanded if required else offered)

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        return {"access_token": sessions.opened(who), "token_type": "bearer"}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name, "tenant": TENANTS[name]}

    @app.post("/notes", status_code=201)
    def write(body: Text, place: Annotated[str, tenant]) -> Note:
        note = Note(id=uuid.uuid4(), text=body.text)
        return notes.setdefault((place, note.id), note)

    def found(number: uuid.UUID, place: Annotated[str, tenant]) -> Note:
        if (place, number) not in notes:
            raise HTTPException(404, "nothing there")
        return notes[place, number]

    @app.get("/notes/{number}")
    def read(note: Annotated[Note, Depends(found)]) -> Note:
        return note

    @app.patch("/notes/{number}")
    def change(body: Text, note: Annotated[Note, Depends(found)]) -> Note:
        note.text = body.text
        return note

    @app.delete("/notes/{number}", status_code=204)
    def remove(note: Annotated[Note, Depends(found)], place: Annotated[str, tenant]) -> None:
        del notes[place, note.id]

    return app


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("code", ["AUZ101", "AUZ102"])
def test_the_tenant_that_a_header_names_is_the_callers(code: str, required: bool) -> None:
    """The refusal comes before the id is looked at: a path that takes any id shows no filter in front."""
    sound = judged_as_found(code, houses(trusting=False, required=required))
    assert sound.name == "passed", said(sound)
    wrong = judged_as_found(code, houses(trusting=True, required=required))
    assert wrong.name == "failed", said(wrong)
