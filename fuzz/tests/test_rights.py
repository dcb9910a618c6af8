"""Fewer scopes and lesser roles: what a service means by them is no flaw, and what it forgets is one."""

import itertools
import secrets
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form, HTTPException, Security
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel

from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result
from auth_conformance.settings import load
from auth_fuzz import Budget, fuzz

WORDS = {"ann": "Kq8vYb2nLr6XwZ4m", "ben": "Hk9sPd3fTq7cWx5j"}
SCOPES = {name: name for name in ("items:read", "items:write", "notes:read", "notes:write", "billing:read")}


class Item(BaseModel):
    name: str


class NewKey(BaseModel):
    label: str = "one"
    scopes: list[str] = ["items:read", "items:write"]


def shop(flaw: str = "") -> FastAPI:  # noqa: PLR0915 - a whole service
    """Items under two scopes, of which the greater holds the smaller; a mailbox whose changes declare none."""
    app, numbers = FastAPI(), itertools.count(1001)
    held: dict[str, tuple[str, frozenset[str]]] = {}
    items: dict[int, dict[str, Any]] = {}
    notes: dict[int, dict[str, Any]] = {}
    bearer = OAuth2PasswordBearer("token", scopes=SCOPES, auto_error=False)
    header = APIKeyHeader(name="X-API-Key", auto_error=False)

    def caller(
        asked: SecurityScopes,
        token: Annotated[str | None, Depends(bearer)],
        key: Annotated[str | None, Depends(header)],
    ) -> tuple[str, frozenset[str]]:
        found = held.get(token or key or "")
        if found is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        # Who may write may read, too.
        may = found[1] | {scope.replace("write", "read") for scope in found[1]}
        if not may.issuperset(asked.scopes) and not (flaw == "keys" and key):
            raise HTTPException(403, "insufficient scope")
        return found

    def at(scope: str) -> Any:
        return Security(caller, scopes=[scope])

    @app.post("/token")
    def log_in(
        username: Annotated[str, Form()], password: Annotated[str, Form()], scope: Annotated[str, Form()] = ""
    ) -> dict[str, str]:
        if WORDS.get(username) != password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        granted = frozenset(scope.split()) & SCOPES.keys() or frozenset(SCOPES)
        token = secrets.token_urlsafe(24)
        held[token] = username, granted
        return {"access_token": token, "token_type": "bearer", "scope": " ".join(sorted(granted))}

    @app.get("/me")
    def me(who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> dict[str, str]:
        return {"username": who[0]}

    @app.post("/keys", status_code=201)
    def make_key(body: NewKey, who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> dict[str, Any]:
        key = secrets.token_urlsafe(24)
        held[key] = who[0], frozenset(body.scopes)
        return {"id": next(numbers), "key": key, "scopes": body.scopes}

    def own(kept: dict[int, dict[str, Any]], number: int, name: str) -> dict[str, Any]:
        found = kept.get(number)
        if found is None or found["owner"] != name:
            raise HTTPException(404, "none")
        return found

    def add(kept: dict[int, dict[str, Any]], name: str, body: Item) -> dict[str, Any]:
        made = {"id": next(numbers), "owner": name, "name": body.name}
        kept[made["id"]] = made
        return made

    @app.post("/items", status_code=201)
    def add_item(body: Item, who: Annotated[tuple[str, frozenset[str]], at("items:write")]) -> dict[str, Any]:
        return add(items, who[0], body)

    @app.get("/items")
    def list_items(who: Annotated[tuple[str, frozenset[str]], at("items:read")]) -> list[dict[str, Any]]:
        return [item for item in items.values() if item["owner"] == who[0]]

    @app.get("/items/{item_id}")
    def read_item(
        item_id: int, who: Annotated[tuple[str, frozenset[str]], at("items:read")]
    ) -> dict[str, Any]:
        return own(items, item_id, who[0])

    @app.put("/items/{item_id}")
    def change_item(
        item_id: int, body: Item, who: Annotated[tuple[str, frozenset[str]], at("items:write")]
    ) -> dict[str, Any]:
        found = own(items, item_id, who[0])
        found["name"] = body.name
        return found

    def writer(who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> str:
        # Declared nowhere: what changes something wants a scope that says so.
        if not any(scope.endswith("write") for scope in who[1]) and flaw != "reading":
            raise HTTPException(403, "insufficient scope")
        return who[0]

    @app.post("/notes", status_code=201)
    def add_note(body: Item, name: Annotated[str, Depends(writer)]) -> dict[str, Any]:
        return add(notes, name, body)

    @app.get("/notes")
    def list_notes(who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> list[dict[str, Any]]:
        return [note for note in notes.values() if note["owner"] == who[0]]

    @app.delete("/notes/{note_id}", status_code=204)
    def drop_note(note_id: int, name: Annotated[str, Depends(writer)]) -> None:
        own(notes, note_id, name)
        del notes[note_id]

    @app.delete("/drafts/{note_id}", status_code=204)
    def drop_draft(note_id: int, who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> None:
        # No scope is about drafts: whoever is logged in may drop their own.
        own(notes, note_id, who[0])
        del notes[note_id]

    @app.get("/drafts")
    def list_drafts(who: Annotated[tuple[str, frozenset[str]], Depends(caller)]) -> list[dict[str, Any]]:
        return list_notes(who)

    @app.post("/notes/search")
    def search(
        body: Item, who: Annotated[tuple[str, frozenset[str]], Depends(caller)]
    ) -> list[dict[str, Any]]:
        return [note for note in notes.values() if note["owner"] == who[0] and body.name in note["name"]]

    return app


def searched(app: FastAPI, only: list[str] | None = None) -> dict[str, Result]:
    settings = load(
        {
            "accounts": {
                label: {"username": name, "password": {"env": f"SECRET_{label}"}}
                for label, name in (("a", "ann"), ("b", "ben"))
            }
        },
        start=Path(__file__).parent,
    )

    async def go() -> list[Result]:
        async with opened(settings, app=app) as door:
            return await fuzz(
                door.scene, Budget(300.0, 150 * len(only or [""] * 12), shrinking=20), 1, only=only
            )

    with pytest.MonkeyPatch.context() as patch:
        for label, name in (("a", "ann"), ("b", "ben")):
            patch.setenv(f"SECRET_{label}", WORDS[name])
        return {result.rule.code: result for result in run_to_end(go())}


def test_where_scopes_hold_each_other_and_a_search_is_a_post_nobody_is_accused() -> None:
    names = ["POST /items", "GET /items", "GET /items/{item_id}", "PUT /items/{item_id}", "POST /notes"]
    result = searched(
        shop(), [*names, "DELETE /notes/{note_id}", "DELETE /drafts/{note_id}", "POST /notes/search"]
    )["FUZ109"]
    assert result.name == "passed", result.verdict.reason


@pytest.mark.parametrize(
    ("flaw", "operation"),
    [
        ("keys", "PUT /items/{item_id}"),
        ("keys", "GET /items"),
        ("reading", "POST /notes"),
        ("reading", "DELETE /notes/{note_id}"),
    ],
)
def test_a_forgotten_scope_is_found(flaw: str, operation: str) -> None:
    # What adds to a collection comes first in a run, and shows how things to delete are made.
    result = searched(shop(flaw), [operation, *(["POST /notes"] if operation.startswith("DELETE") else [])])[
        "FUZ109"
    ]
    assert operation in {finding.operation for finding in result.findings}


def test_what_could_not_be_tested_names_a_line() -> None:
    result = searched(shop(), ["GET /me"])["FUZ109"]
    assert result.name == "skipped"
    assert "[accounts.admin]" in result.verdict.remedy
