"""DOC107: a vault gives its owner the secret back that was put in; nobody else's answers have a place for one."""

from typing import Annotated
from uuid import uuid4

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
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


def vault(*, careless: bool) -> FastAPI:
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

    @app.get("/entries/{entry_id}")
    def get(entry_id: str, who: Caller) -> Kept:
        if entry_id not in kept or kept[entry_id][0] != who:
            raise HTTPException(404, "no")
        return kept[entry_id][1]

    return app


@pytest.mark.parametrize("careless", [True, False])
def test_what_people_put_in_is_no_secret_of_the_service(careless: bool) -> None:
    result = judged_as_found("DOC107", vault(careless=careless))
    assert result.name == ("failed" if careless else "passed"), said(result)
    assert not careless or "GET /profile documents secret" in said(result)
    assert "entries" not in said(result)
