"""AUZ105 where one member wraps all others, as in Rails: what a client adds has to stand beside them to be taken."""

import secrets
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, HTTPException
from services.people import PEOPLE

NOTES = {
    "create": "POST /notes",
    "read": "GET /notes/{id}",
    "body": {"note": {"title": "x"}},
    "text_field": "/note/title",
}
# Without a document nothing but this says that a name is people's own to set.
PERSON = {
    "operation": "POST /people",
    "user_field": "/user/username",
    "password_field": "/user/password",
    "extra": {"user": {"name": "x"}},
}


def wrapping(*, permits: bool) -> FastAPI:
    """Notes in an envelope; where the service `permits` everything a client sets whether one is approved."""
    app, notes = FastAPI(openapi_url=None), dict[str, dict[str, Any]]()
    people, named = dict(PEOPLE), dict[str, str]()
    caller = front_desk(app, people=people, more=lambda name: {"name": named.get(name, "")})

    @app.post("/notes", status_code=201)
    def create(
        note: Annotated[dict[str, Any], Body(embed=True)], name: Annotated[str, Depends(caller)]
    ) -> Any:
        taken = note if permits else {"title": note.get("title")}
        number = secrets.token_hex(6)
        notes[number] = {"approved": False, **taken, "id": number, "owner": name}
        return notes[number]

    @app.post("/people", status_code=201)
    def register(user: Annotated[dict[str, str], Body(embed=True)]) -> dict[str, str]:
        people[user["username"]], named[user["username"]] = user["password"], user["name"]
        return {"name": user["name"]}

    @app.get("/notes/{number}")
    def read(number: str, name: Annotated[str, Depends(caller)]) -> Any:
        if notes.get(number, {}).get("owner") != name:
            raise HTTPException(404, "no such note")
        return notes[number]

    return app


@pytest.mark.parametrize("permits", [False, True])
def test_what_is_added_stands_where_the_other_members_do(*, permits: bool) -> None:
    result = judged_as_found("AUZ105", wrapping(permits=permits), objects=NOTES, register=PERSON)
    assert result.name == ("failed" if permits else "passed"), said(result)
    if permits:
        assert "approved" in result.findings[0].message
