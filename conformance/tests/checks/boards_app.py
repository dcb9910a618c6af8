"""Boards, and cards that name theirs in the body that makes them."""

import itertools
import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    username: str
    password: str


class Board(BaseModel):
    name: str


class Card(BaseModel):
    board_id: int
    title: str


class Changes(BaseModel):
    title: str


def boards(*, guarded: bool = True, welcoming: bool = False) -> FastAPI:  # noqa: C901 - a service is many handlers
    """Boards, and cards that name theirs. Unguarded, cards are shown to all; a `welcoming` board takes any card."""
    app = FastAPI()
    logins: dict[str, str] = {}
    owners: dict[int, str] = {}
    cards: dict[int, dict[str, Any]] = {}
    numbers = itertools.count(41)

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return logins[bearer.credentials]

    Caller = Annotated[str, Depends(caller)]  # noqa: N806 - a type

    def own(board: int, name: str) -> None:
        if owners.get(board) != name:
            raise HTTPException(404, "no board")

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/boards", status_code=201)
    def make_board(body: Board, name: Caller) -> dict[str, Any]:
        number = next(numbers)
        owners[number] = name
        return {"id": number, "name": body.name}

    def card_of(card: int, name: Caller) -> dict[str, Any]:
        if card not in cards or (guarded and owners[cards[card]["board_id"]] != name):
            raise HTTPException(404, "no card")
        return cards[card]

    Own = Annotated[dict[str, Any], Depends(card_of)]  # noqa: N806 - a type

    @app.post("/cards", status_code=201)
    def make_card(body: Card, name: Caller) -> dict[str, Any]:
        if not welcoming or body.board_id not in owners:
            own(body.board_id, name)
        number = next(numbers)
        cards[number] = {"id": number, "board_id": body.board_id, "title": body.title}
        return cards[number]

    @app.get("/cards/{card}")
    def read_card(card: Own) -> dict[str, Any]:
        return card

    @app.patch("/cards/{card}")
    def change_card(body: Changes, card: Own) -> dict[str, Any]:
        card["title"] = body.title
        return card

    return app
