"""AUZ103 where a filter of the list forgets whose the objects are, and finds only what has something in that member."""

import secrets
from enum import StrEnum
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel


class State(StrEnum):
    OPEN = "open"
    DONE = "done"


class Audience(StrEnum):
    EVERYBODY = "everybody"
    NOBODY = "nobody"


class Task(BaseModel):
    title: str
    tags: list[str] = []
    category: str | None = None
    state: State = State.OPEN
    archived: bool = False
    audience: Audience = Audience.NOBODY


class Asked(BaseModel):
    tag: str | None = None
    category: str | None = None
    state: State | None = None
    archived: bool | None = None
    audience: Audience | None = None


def tasks(forgets: str) -> FastAPI:
    """Tasks of people, listed by what is in them; the filter called `forgets` finds those of everybody."""
    app, kept = FastAPI(), dict[str, dict[str, Any]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    @app.post("/tasks", status_code=201)
    def create(body: Task, name: Caller) -> dict[str, Any]:
        number = secrets.token_hex(8)
        kept[number] = {"id": number, "owner": name, **body.model_dump()}
        return {"task": kept[number]}

    @app.get("/tasks/{number}")
    def read(number: str, name: Caller) -> dict[str, Any]:
        if kept.get(number, {}).get("owner") != name:
            raise HTTPException(404, "no such task")
        return {"task": kept[number]}

    @app.get("/tasks")
    def listed(name: Caller, asked: Annotated[Asked, Query()]) -> list[dict[str, Any]]:
        found = [task for task in kept.values() if asked.tag is None or asked.tag in task["tags"]]
        for member, value in asked.model_dump(exclude={"tag"}, exclude_none=True).items():
            found = [task for task in found if task[member] == value]
        open_to_all = getattr(asked, forgets, None) is not None
        return [
            task
            for task in found
            if open_to_all or task["owner"] == name or task["audience"] == Audience.EVERYBODY
        ]

    return app


@pytest.mark.parametrize("forgets", ["tag", "category", "state", "archived"])
def test_a_filter_that_forgets_the_owner_is_found(forgets: str) -> None:
    result = judged_as_found("AUZ103", tasks(forgets))
    assert [finding.operation for finding in result.findings] == ["GET /tasks"], said(result)
    assert f"({forgets} is that of A's;" in said(result)


def test_filters_that_look_at_the_owner_pass_and_nothing_is_made_public_for_them() -> None:
    result = judged_as_found("AUZ103", tasks("nothing"))
    assert result.name == "passed", said(result)
