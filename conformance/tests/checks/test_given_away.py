"""AUZ105 where A makes an object B's, by the member that names its owner: A reads it no more, and B does."""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict


class Text(BaseModel):
    model_config = ConfigDict(extra="allow")
    title: str


def shelf(
    takes_owner: str, *, soft: bool = False, heirs: Mapping[str, str] = MappingProxyType({})
) -> FastAPI:
    """Books of people; `takes_owner` is the method that stores an owner whom the client names, if it exists.

    Where it is `soft`, a book that is not one's own is an error in a 200. `heirs` get what is given to others.
    """
    app, books = FastAPI(), dict[str, dict[str, Any]]()

    @app.exception_handler(404)
    def missing(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 200 if soft else 404)

    caller = front_desk(app)

    def owner_in(body: Text, method: str, otherwise: str) -> str:
        named = (body.model_extra or {}).get("owner", otherwise)
        if named not in ("alice", "bob") and method == takes_owner:
            raise HTTPException(422, "there is no such person")
        return heirs.get(str(named), str(named)) if method == takes_owner else otherwise

    def own(number: str, name: Annotated[str, Depends(caller)]) -> dict[str, Any]:
        if books.get(number, {}).get("owner") != name:
            raise HTTPException(404, "no such book")
        return books[number]

    @app.post("/books", status_code=201)
    def create(body: Text, name: Annotated[str, Depends(caller)]) -> dict[str, Any]:
        number = secrets.token_hex(6)
        books[number] = {"id": number, "title": body.title, "owner": owner_in(body, "POST", name)}
        return books[number]

    @app.get("/books/{number}")
    def read(book: Annotated[dict[str, Any], Depends(own)]) -> dict[str, Any]:
        return book

    @app.patch("/books/{number}")
    def change(
        body: Text, book: Annotated[dict[str, Any], Depends(own)], name: Annotated[str, Depends(caller)]
    ) -> dict[str, Any]:
        book.update(title=body.title, owner=owner_in(body, "PATCH", name))
        return book

    @app.delete("/books/{number}")
    def delete(book: Annotated[dict[str, Any], Depends(own)]) -> None:
        del books[book["id"]]

    return app


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("method", ["POST", "PATCH", "nothing"])
def test_an_object_that_is_given_away_is_a_finding(method: str, *, soft: bool) -> None:
    result = judged_as_found("AUZ105", shelf(method, soft=soft))
    assert result.name == ("passed" if method == "nothing" else "failed"), said(result)
    if method != "nothing":
        assert [finding.operation for finding in result.findings] == [
            "POST /books" if method == "POST" else "PATCH /books/{number}"
        ]
        assert 'owner = "bob"' in result.findings[0].message


def test_a_book_that_nobody_reads_any_more_leaves_the_check_undecided() -> None:
    result = judged_as_found("AUZ105", shelf("PATCH", heirs={"bob": "carol"}))
    assert result.name == "inconclusive", said(result)
    assert "who reads the object now is not seen" in said(result)
