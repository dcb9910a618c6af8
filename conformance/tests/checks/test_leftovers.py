"""What a run has made is known until it is taken away, and the service is left as it was found."""

import asyncio
import json
from pathlib import Path
from typing import Any

from checks.test_neighbours import Caller, Note, Pinned
from fastapi import FastAPI, HTTPException
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.probe.leftovers import note
from auth_conformance.settings import load
from auth_conformance.target import Objects, Operation, Target
from auth_conformance.transports.message import HttpRequest, RawReply

OBJECTS = Objects(
    create=Operation("POST", "/teams/{team}/notes"),
    read=Operation("GET", "/teams/{team}/notes/{id}"),
    delete=Operation("DELETE", "/teams/{team}/notes/{number}"),
    template={},
    text_field="/text",
    identifier="/id",
    id_parameter="id",
)


def replied(status: int, **members: Any) -> RawReply:
    return RawReply(status, (("content-type", "application/json"),), json.dumps(members).encode())


def test_what_was_made_is_known_until_it_is_taken_away() -> None:
    target, left = (
        Target("url", "http://x", objects=OBJECTS),
        dict[tuple[str, str], tuple[str, HttpRequest]](),
    )
    made = HttpRequest("POST", "/teams/7/notes", body=b"{}").with_headers(
        ("Authorization", "Bearer hers"), ("Content-Type", "application/json")
    )
    note(target, left, made, replied(403, id=1))
    note(target, left, HttpRequest("POST", "/teams/7/notes/1/likes"), replied(201, id=2))
    assert left == {}
    note(target, left, made, replied(201, id=3))
    name, away = left["DELETE", "/teams/7/notes/3"]
    assert name == "DELETE /teams/{team}/notes/{number}"
    assert (away.headers, away.body) == ((("Authorization", "Bearer hers"),), None)
    note(target, left, HttpRequest("DELETE", "/teams/7/notes/3"), replied(403))
    assert left
    note(target, left, HttpRequest("DELETE", "/teams/7/notes/3"), replied(404))
    assert left == {}


def test_the_service_is_left_as_it_was_found() -> None:
    app, notes = FastAPI(), dict[int, tuple[str, str]]()

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/notes", status_code=201)
    def write(wish: Note, name: Caller) -> Pinned:
        number = max(notes, default=0) + 1
        notes[number] = (name, wish.text)
        return Pinned(id=number, text=wish.text)

    def own(number: int, name: str) -> Pinned:
        if number not in notes or notes[number][0] != name:
            raise HTTPException(404, "no such note")
        return Pinned(id=number, text=notes[number][1])

    @app.get("/notes/{number}")
    def read(number: int, name: Caller) -> Pinned:
        return own(number, name)

    @app.delete("/notes/{number}", status_code=204)
    def delete(number: int, name: Caller) -> None:
        own(number, name)
        del notes[number]

    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    settings = load({"accounts": accounts}, start=Path("/"))
    checks = [
        check
        for check in catalog.load().values()
        if check.rule.code in ("MIX101", "AUZ102", "AUZ105", "TOK303")
    ]
    run = asyncio.run(conduct(settings, checks, app=app))
    assert run.requests > 20
    assert notes == {}
