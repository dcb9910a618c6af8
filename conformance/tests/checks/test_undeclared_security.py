"""DOC102 where what declares no credential gives no answer, and where a login refuses who is logged in."""

from typing import Annotated

import pytest
from checks.desk import Bearer, Person, Sessions
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request


def board(status: int = 200) -> FastAPI:
    """A board that everybody may read, which is answered `status`; whoever is logged in need not log in again."""
    app, logins = FastAPI(), Sessions()

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return logins[bearer.credentials]

    @app.post("/login", openapi_extra={"requestBody": {"content": {"application/json": {"schema": PERSON}}}})
    async def login(request: Request) -> dict[str, str]:
        if request.headers.get("authorization", "").removeprefix("Bearer ") in logins:
            raise HTTPException(409, "you are here already")
        sent = await request.json()
        return {"access_token": logins.opened(Person(username="", password="").model_copy(update=sent))}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.get("/board")
    def read() -> dict[str, str]:
        if status != 200:
            raise HTTPException(status, "not now")
        return {"text": "welcome"}

    return app


PERSON = Person.model_json_schema()


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (200, "passed", "2 operations that declare no credential demand none"),
        (429, "inconclusive", "GET /board without a credential: 429"),
        (501, "passed", "GET /board without a credential is answered 501 each time"),
    ],
)
def test_what_gives_no_answer_was_not_seen_to_demand_nothing(status: int, verdict: str, words: str) -> None:
    result = judged_as_found("DOC102", board(status), patience=0.1)
    assert (result.name, words in said(result)) == (verdict, True), said(result)
