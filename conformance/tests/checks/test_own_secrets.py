"""DOC107 and DOC110: a vault gives its owner the secret back, and nothing that its document does not tell."""

from typing import Annotated
from uuid import uuid4

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field


class Marked(Person):
    password: str = Field(max_length=100, json_schema_extra={"format": "password"})


class Entry(BaseModel):
    secret: str = Field(max_length=100)


class Kept(Entry):
    id: str


class Me(BaseModel):
    username: str


class Careless(Me):
    secret: str = ""


def vault(*, careless: bool, remarks: bool = False) -> FastAPI:
    app = FastAPI()
    caller = front_desk(app, entry=Marked)
    Caller = Annotated[str, Depends(caller)]
    kept: dict[str, tuple[str, Kept]] = {}
    app.get("/profile", response_model=Careless if careless else Me)(lambda: {"username": "somebody"})

    @app.post("/entries", status_code=201)
    def put(entry: Entry, who: Caller) -> Kept:
        made = Kept(id=str(uuid4()), secret=entry.secret)
        kept[made.id] = (who, made)
        return made

    @app.get("/entries/{entry_id}", response_model=Kept)
    def get(entry_id: str, who: Caller) -> Kept | JSONResponse:
        if entry_id not in kept or kept[entry_id][0] != who:
            raise HTTPException(404, "no")
        made = kept[entry_id][1]
        # Not yet while the suite learns about the service, with objects of its own.
        told = remarks and entry_id == list(kept)[-1] and len(kept) > 1
        return JSONResponse(made.model_dump() | {"internal_note": "none"}) if told else made

    return app


@pytest.mark.parametrize("careless", [True, False])
def test_what_people_put_in_is_no_secret_of_the_service(careless: bool) -> None:
    result = judged_as_found("DOC107", vault(careless=careless))
    assert result.name == ("failed" if careless else "passed"), said(result)
    assert not careless or "GET /profile documents secret" in said(result)
    assert "entries" not in said(result)


@pytest.mark.parametrize("busy", [True, False])
def test_an_operation_that_gives_no_answer_may_hold_more_than_is_told(busy: bool) -> None:
    app = vault(careless=False)

    @app.get("/news")
    def news() -> Me:
        if busy:
            raise HTTPException(503, "later")
        return Me(username="somebody")

    result = judged_as_found("DOC110", app)
    assert ("GET /news gave no answer" in said(result)) is busy, said(result)
    assert result.name == "inconclusive", said(result)  # `GET /me` does not say what it answers


def test_what_an_object_holds_is_read_of_one_that_was_made_for_it() -> None:
    result = judged_as_found("DOC110", vault(careless=False, remarks=True))
    assert "/internal_note is not documented" in said(result), said(result)
