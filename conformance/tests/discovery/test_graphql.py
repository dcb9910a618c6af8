"""A service that does everything by GraphQL: what its schema tells is found, and judged like any other.

It answers as the libraries do: 200 with `errors` to who may not, `null` in the place of what is not there.
"""

import json
import re
import secrets
from pathlib import Path
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store
from fastapi import FastAPI, Form, HTTPException, Request, Response
from test_parents import verdicts

from auth_conformance.model import Failed, Need, Passed, Skipped

TEXT = {"kind": "NON_NULL", "name": None, "ofType": {"kind": "SCALAR", "name": "String", "ofType": None}}
FLAG = {"kind": "SCALAR", "name": "Boolean", "ofType": None}


def _object(name: str) -> dict[str, Any]:
    return {"kind": "OBJECT", "name": name, "ofType": None}


def _argument(name: str, default: str | None = None) -> dict[str, Any]:
    return {"name": name, "defaultValue": default, "type": TEXT}


def _field(name: str, kind: dict[str, Any], *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": kind, "args": list(arguments)}


def _type(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "OBJECT", "name": name, "fields": list(fields), "inputFields": None, "enumValues": None}


NOTE = _object("Note")
SCHEMA = {
    "queryType": {"name": "Query"},
    "mutationType": {"name": "Mutation"},
    "types": [
        _type(
            "Query",
            _field("me", _object("Person")),
            _field("note", NOTE, _argument("id")),
            _field("notes", {"kind": "LIST", "name": None, "ofType": NOTE}),
        ),
        _type(
            "Mutation",
            _field("createNote", NOTE, _argument("title"), _argument("text", '""')),
            _field("updateNote", NOTE, _argument("id"), _argument("title")),
            _field("deleteNote", FLAG, _argument("id")),
        ),
        _type("Person", _field("username", TEXT)),
        _type("Note", _field("id", TEXT), _field("title", TEXT), _field("owner", _object("Person"))),
        {"kind": "SCALAR", "name": "String", "fields": None},
        {"kind": "SCALAR", "name": "Boolean", "fields": None},
    ],
}
NAMES = ("createNote", "note", "notes", "updateNote", "deleteNote")
CODES = ("AUZ101", "AUZ102", "AUZ103", "ERR101", "ERR102", "ERR103", "MIX106", "WEB108")


def service(*, careless: str = "", told: bool = True) -> FastAPI:
    """Notes by GraphQL beside a login by form; the `careless` field does not ask whose a note is."""
    app, store, notes = FastAPI(openapi_url=None), Store(), dict[str, dict[str, str]]()
    app.state.notes = notes

    @app.post("/login")
    def login(username: Annotated[str, Form()], password: Annotated[str, Form()], response: Response) -> Any:
        response.headers["Cache-Control"] = "no-store"
        token = store.log_in(username, password, raising=False)
        if not token:
            raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
        return {"access_token": token, "token_type": "bearer"}

    def answer(name: str, caller: str, values: dict[str, str]) -> Any:
        if name == "me":
            return {"username": caller}
        if name == "createNote":
            key = secrets.token_hex(8)
            notes[key] = {"id": key, "title": values["title"], "owner": caller}
            return notes[key]
        mine = [note for note in notes.values() if note["owner"] == caller or careless == name]
        if name == "notes":
            return mine
        found = next(note for note in mine if note["id"] == values["id"])
        if name == "deleteNote":
            return bool(notes.pop(found["id"]))
        return found if name == "note" else (found.update(title=values["title"]) or found)

    @app.post("/graphql")
    async def graphql(request: Request) -> Any:
        try:
            body = json.loads(await request.body())
            query, values = body["query"], body.get("variables") or {}
        except (ValueError, TypeError, KeyError):
            raise HTTPException(400, "no query") from None
        if "__schema" in query:
            return (
                {"data": {"__schema": SCHEMA}} if told else {"errors": [{"message": "introspection is off"}]}
            )
        if "__typename" in query:
            return {"data": {"__typename": "Query"}}
        name = re.search(r"\{ (\w+)", query)[1]
        caller = store.owner(str(request.headers.get("authorization")).removeprefix("Bearer "))
        if caller is None:
            return {"data": None, "errors": [{"message": "who are you?", "path": [name]}]}
        try:
            return {"data": {name: answer(name, caller, values)}}
        except (StopIteration, KeyError):
            return {"data": {name: None}, "errors": [{"message": "no such note", "path": [name]}]}

    return app


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)


def test_a_schema_tells_what_a_document_would(learn: Any) -> None:
    app = service()
    target = learn(app).target
    assert (target.witness.operation.name, target.witness.identity) == (
        "POST /graphql#/me",
        "/data/me/username",
    )
    objects = target.objects
    found = [objects.create, objects.read, objects.listing, objects.update, objects.delete]
    assert [item and item.name for item in found] == [f"POST /graphql#/{name}" for name in NAMES]
    assert (objects.id_parameter, objects.text_field) == ("/variables/id", "/variables/title")
    told = objects.create.request().beside({"token": "x"}).body
    assert json.loads(told) == {**objects.create.body, "token": "x"}
    assert objects.create.request().url == "/graphql", "what stands behind # is never sent"
    query = 'mutation($title: String!, $text: String! = "") { createNote(title: $title, text: $text) { id title } }'
    assert objects.create.body == {"query": query.replace("id title }", "id title owner { username } }")}
    assert app.state.notes == {}, "what was made is taken away again"


def test_a_schema_that_is_not_told_is_written_by_hand(learn: Any) -> None:
    lesson = learn(service(told=False))
    assert lesson.target.witness is None
    assert Need.OBJECTS not in lesson.target.absent, "nobody knows what a hidden schema holds"
    assert '[bodies."POST /graphql#/me"]' in lesson.target.remedies[Need.WITNESS]
    assert '[bodies."POST /graphql#/read"]' in lesson.target.remedies[Need.OBJECTS]
    me = "POST /graphql#/me"
    lesson = learn(
        service(told=False), bodies={me: {"query": "{ me { username } }"}}, witness={"operation": me}
    )
    assert lesson.target.witness.identity == "/data/me/username"


def test_people_are_kept_apart_and_refused_in_the_body_of_a_200(tmp_path: Path) -> None:
    app = service()
    found = verdicts(app, tmp_path, *CODES)
    in_bodies = {"ERR101": Skipped, "ERR102": Skipped}
    assert {code: type(verdict) for code, verdict in found.items()} == {
        **dict.fromkeys(CODES, Passed),
        **in_bodies,
    }, found
    assert app.state.notes == {}


@pytest.mark.parametrize(
    ("careless", "code"),
    [("note", "AUZ101"), ("updateNote", "AUZ102"), ("deleteNote", "AUZ102"), ("notes", "AUZ103")],
)
def test_a_field_that_asks_not_whose_it_is(careless: str, code: str, tmp_path: Path) -> None:
    found = verdicts(service(careless=careless), tmp_path, code)[code]
    assert isinstance(found, Failed), found
    assert {item.operation for item in found.violations} == {f"POST /graphql#/{careless}"}
