"""Things below things and at second addresses are led to and attacked; what everybody may see is nobody's secret."""

import itertools
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result
from auth_conformance.settings import load
from auth_conformance.target import Operation
from auth_fuzz import Budget, fuzz
from auth_fuzz.things import Place, entries, filled, id_of, places, values_in

WORDS = {"ann": "Kq8vYb2nLr6XwZ4m", "ben": "Hk9sPd3fTq7cWx5j"}


class Login(BaseModel):
    username: str
    password: str


class Named(BaseModel):
    name: str


def store(*, careless: bool = False, public: bool = False) -> FastAPI:
    """Boxes with things in them, and a label for each thing. `careless` looks at owners in no nested place."""
    app, numbers = FastAPI(), itertools.count(1001)
    boxes: dict[int, dict[str, Any]] = {}
    things: dict[int, dict[str, Any]] = {}
    sessions: dict[str, str] = {}
    bearer = HTTPBearer(auto_error=False)

    def caller(held: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        found = sessions.get(held.credentials) if held is not None else None
        if found is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return found

    caller_of = Annotated[str, Depends(caller)]

    def mine(kept: dict[int, dict[str, Any]], number: int, name: str) -> dict[str, Any]:
        found = kept.get(number)
        if found is None or (found["owner"] != name and not public):
            raise HTTPException(404, "no such thing")
        return found

    def add(kept: dict[int, dict[str, Any]], owner: str, name: str, **more: Any) -> dict[str, Any]:
        made = {"id": next(numbers), "owner": owner, "name": name, **more}
        kept[made["id"]] = made
        return made

    async def log_in(body: Login) -> dict[str, str]:
        if WORDS.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        sessions[token] = body.username
        return {"access_token": token, "token_type": "bearer"}

    async def me(name: caller_of) -> dict[str, str]:
        return {"username": name}

    async def make_box(body: Named, name: caller_of) -> dict[str, Any]:
        return add(boxes, name, body.name)

    async def list_boxes(name: caller_of) -> list[dict[str, Any]]:
        return [item for item in boxes.values() if item["owner"] == name or public]

    async def everybodys_boxes() -> list[dict[str, Any]]:
        return list(boxes.values())

    async def read_box(box_id: int, name: caller_of) -> dict[str, Any]:
        return mine(boxes, box_id, name)

    async def make_thing(box_id: int, body: Named, name: caller_of) -> dict[str, Any]:
        return add(things, mine(boxes, box_id, name)["owner"], body.name, box=box_id)

    async def list_things(box_id: int, name: caller_of) -> list[dict[str, Any]]:
        mine(boxes, box_id, name)
        return [item for item in things.values() if item["box"] == box_id]

    async def read_thing(box_id: int, thing_id: int, name: caller_of) -> dict[str, Any]:
        mine(boxes, box_id, name)
        return mine(things, thing_id, name)

    async def rename_thing(box_id: int, thing_id: int, body: Named, name: caller_of) -> dict[str, Any]:
        found = (
            things.get(thing_id) if careless else mine(boxes, box_id, name) and mine(things, thing_id, name)
        )
        if found is None:
            raise HTTPException(404, "no such thing")
        found["name"] = body.name
        return found

    async def export(
        token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        form: Annotated[str, Query(pattern="^(json|csv|tsv)$")] = "json",
    ) -> Any:
        if careless and form == "tsv":
            return [item["name"] for item in things.values()]
        name = caller(token)
        return [item["name"] for item in things.values() if item["owner"] == name]

    async def label(thing_id: int, name: caller_of) -> dict[str, Any]:
        found = things.get(thing_id) if careless else mine(things, thing_id, name)
        if found is None:
            raise HTTPException(404, "no such thing")
        return {"label": {"number": found["id"], "says": found["name"]}}

    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("POST", "/login", log_in),
        ("GET", "/me", me),
        ("POST", "/boxes", make_box),
        ("GET", "/boxes", everybodys_boxes if public else list_boxes),
        ("GET", "/boxes/{box_id}", read_box),
        ("POST", "/boxes/{box_id}/things", make_thing),
        ("GET", "/boxes/{box_id}/things", list_things),
        ("GET", "/boxes/{box_id}/things/{thing_id}", read_thing),
        ("PATCH", "/boxes/{box_id}/things/{thing_id}", rename_thing),
        ("GET", "/labels/{thing_id}", label),
        ("GET", "/export", export),
    ]
    for method, path, handler in routes:
        app.add_api_route(path, handler, methods=[method])
    return app


def searched(app: FastAPI, *operations: str, requests: int = 300) -> dict[str, Result]:
    """The results of the searches of these operations, by code."""

    async def go() -> list[Result]:
        named = {
            label: {"username": name, "password": {"env": f"WORD_{label}"}}
            for label, name in zip("ab", WORDS, strict=True)
        }
        settings = load({"accounts": named}, start=Path(__file__).parent)
        async with opened(settings, app=app) as door:
            return await fuzz(door.scene, Budget(600.0, requests, shrinking=60), 1, only=operations)

    with pytest.MonkeyPatch.context() as patch:
        for label, word in zip("ab", WORDS.values(), strict=True):
            patch.setenv(f"WORD_{label}", word)
        return {result.rule.code: result for result in run_to_end(go())}


def test_a_change_deep_in_the_document_and_a_second_address_are_led_to() -> None:
    operations = ("PATCH /boxes/{box_id}/things/{thing_id}", "GET /labels/{thing_id}")
    found = searched(store(careless=True), *operations)
    assert [item.operation for item in found["FUZ104"].findings] == [operations[0]]
    assert [item.operation for item in found["FUZ103"].findings] == [operations[1]]
    sound = searched(store(), *operations)
    assert [sound[code].name for code in ("FUZ103", "FUZ104")] == ["passed", "passed"]


def test_each_choice_that_the_document_names_is_made_however_few_requests_there_are() -> None:
    found = searched(store(careless=True), "GET /export", requests=40)
    assert [item.operation for item in found["FUZ101"].findings] == ["GET /export"]


def test_what_is_public_by_design_is_no_mark_of_its_owner() -> None:
    found = searched(store(public=True), "GET /boxes", "GET /boxes/{box_id}")
    assert {code: result.name for code, result in found.items() if result.name == "failed"} == {}


def test_paths_and_envelopes_are_read() -> None:
    path = "/a/{a_id}/b/{b_id:int}/c"
    assert places(path) == [Place("a_id", "/a"), Place("b_id", "/a/{a_id}/b")]
    assert filled(path, {"a_id": "x/y", "b_id": "2"}) == "/a/x%2Fy/b/2/c"
    assert values_in(Operation("GET", path), "/a/x%2Fy/b/2/c") == {"a_id": "x/y", "b_id": "2"}
    assert values_in(Operation("GET", path), "/elsewhere") == {}
    assert id_of({"data": {"id": 7, "name": "x"}}) == "7"
    assert entries({"data": {"items": [1, 2], "total": 2}}) == [1, 2]
