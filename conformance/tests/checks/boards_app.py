"""Boards, and cards that name theirs in the body that makes them."""

import itertools
from typing import Annotated, Any

from checks.desk import front_desk
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel


class Board(BaseModel):
    name: str


class Space(BaseModel):
    name: str


class SpacedBoard(Board):
    space_id: int


class Card(BaseModel):
    board_id: int
    title: str


class Changes(BaseModel):
    title: str


def boards(
    *,
    guarded: bool = True,
    welcoming: bool = False,
    stumbles: int = 404,
    spaces: bool = False,
    leaks: str = "",
) -> FastAPI:
    """Boards, and cards that name theirs. Unguarded, cards are shown to all; a `welcoming` board takes any card.

    `stumbles` is the status for a card on the board of another. With `spaces`, boards name the space they are in.
    What `leaks` is shown to all: the "cards" of a board, the "history" of a card, or what a "filter" finds.
    """
    app = FastAPI()
    owners: dict[int, str] = {}
    cards: dict[int, dict[str, Any]] = {}
    numbers = itertools.count(41)

    Caller = Annotated[str, Depends(front_desk(app))]

    def own(board: int, name: str) -> None:
        if owners.get(board) != name:
            raise HTTPException(stumbles, "no board")

    rooms: dict[int, str] = {}
    if spaces:

        @app.post("/spaces", status_code=201)
        def make_space(body: Space, name: Caller) -> dict[str, Any]:
            number = next(numbers)
            rooms[number] = name
            return {"id": number, "name": body.name}

    taken: Any = SpacedBoard if spaces else Board

    @app.post("/boards", status_code=201)
    def make_board(body: taken, name: Caller) -> dict[str, Any]:
        if spaces and rooms.get(body.space_id) != name:
            raise HTTPException(404, "no space")
        number = next(numbers)
        owners[number] = name
        return {"id": number, "name": body.name}

    @app.get("/boards/{board}/cards")
    def cards_of_board(board: int, name: Caller) -> list[dict[str, Any]]:
        if leaks != "cards":
            own(board, name)
        return [card for card in cards.values() if card["board_id"] == board]

    @app.get("/cards")
    def some_cards(board_id: int, name: Caller) -> list[dict[str, Any]]:
        if leaks != "filter":
            own(board_id, name)
        return [card for card in cards.values() if card["board_id"] == board_id]

    def card_of(card: int, name: Caller) -> dict[str, Any]:
        if card not in cards or (guarded and owners[cards[card]["board_id"]] != name):
            raise HTTPException(404, "no card")
        return cards[card]

    Own = Annotated[dict[str, Any], Depends(card_of)]

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

    @app.get("/cards/{card}/history")
    def history(card: int, name: Caller) -> list[str]:
        if leaks != "history":
            card_of(card, name)
        return [f"{owners[cards[card]['board_id']]} made it"]

    @app.patch("/cards/{card}")
    def change_card(body: Changes, card: Own) -> dict[str, Any]:
        card["title"] = body.title
        return card

    return app
