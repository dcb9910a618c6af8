"""Objects that stand below something: a project of one's own, a tenant that people share, a person.

Each shape is a service that keeps people apart, and one that looks at what stands above and at nothing else.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store, bearer_of
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Failed, Inconclusive, Passed
from auth_conformance.settings import load

TENANTS = {"alice": "north", "bob": "south"}


class Text(BaseModel):
    text: str


class Note(Text):
    number: int


def service(shape: str, *, careless: bool = False, together: bool = False, anew: bool = False) -> FastAPI:
    """Notes below `shape`. Careless: only logins are asked for. Together: one for all. Anew: each counts."""
    app, store = FastAPI(), Store()
    notes: dict[tuple[str, int], tuple[str, Note]] = {}
    projects: dict[str, str] = {}
    counters: dict[str, Any] = {}

    known = bearer_of(store, challenge=True)

    @app.post("/login")
    def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        return {"access_token": store.log_in(form.username, form.password), "token_type": "bearer"}

    @app.get("/me")
    def me(name: Annotated[str, known]) -> dict[str, Any]:
        return {"username": name, "id": 7 + len(name)}

    def tenant(name: str) -> str:
        return "all" if together else TENANTS[name]

    if shape == "projects":

        @app.post("/projects", status_code=201)
        def found(body: Text, name: Annotated[str, known]) -> dict[str, str]:
            if any(body.text == title for title in projects):
                raise HTTPException(409, "taken")
            projects[body.text] = name
            return {"slug": body.text}

        @app.delete("/projects/{project}", status_code=204)
        def end(project: str, name: Annotated[str, known]) -> None:
            if projects.get(project) != name:
                raise HTTPException(404, "no")
            del projects[project]

    if shape == "tenants":

        @app.get("/tenants")
        def mine(name: Annotated[str, known]) -> dict[str, Any]:
            return {"items": [{"id": tenant(name), "title": "Our place"}]}

    def may_enter(above: str, name: str) -> bool:
        owner = {
            "projects": projects.get(above),
            "users": {"12": "alice", "10": "bob"}.get(above),
            "owners": above,
        }
        return above == tenant(name) if shape == "tenants" else owner[shape] == name

    # Some services make objects at a place of one's own, and name their owner where they are read.
    head = "/by/notes/{above}" if shape == "owners" else f"/{shape}/{{above}}/notes"

    def one(above: str, number: int, name: str) -> Note:
        owner, note = notes.get((above, number), ("", None))
        if note is None or not (careless or (may_enter(above, name) and (together or owner == name))):
            raise HTTPException(404, "no")
        return note

    if shape == "owners":

        @app.post("/mine/notes", status_code=201)
        def create_mine(body: Text, name: Annotated[str, known]) -> Note:
            return create(name, body, name)

    @app.get(head)
    def index(above: str, name: Annotated[str, known]) -> list[Note]:
        if not may_enter(above, name):
            raise HTTPException(404, "no")
        return [note for (place, _), (_, note) in notes.items() if place == above]

    def create(above: str, body: Text, name: Annotated[str, known]) -> Note:
        if not may_enter(above, name):
            raise HTTPException(404, "no")
        counter = counters.setdefault(above if anew else "", itertools.count(1))
        note = Note(text=body.text, number=next(counter))
        notes[above, note.number] = (name, note)
        return note

    if shape != "owners":
        app.post(head, status_code=201)(create)

    @app.get(head + "/{number}")
    def show(above: str, number: int, name: Annotated[str, known]) -> Note:
        return one(above, number, name)

    @app.patch(head + "/{number}")
    def change(above: str, number: int, body: Text, name: Annotated[str, known]) -> Note:
        note = one(above, number, name)
        note.text = body.text
        return note

    @app.delete(head + "/{number}", status_code=204)
    def remove(above: str, number: int, name: Annotated[str, known]) -> None:
        one(above, number, name)
        del notes[above, number]

    app.state.projects = projects
    return app


SHAPES = {
    "projects": ("POST /projects", "/slug"),
    "tenants": ("GET /tenants", "/items/0/id"),
    "users": ("GET /me", "/id"),
    "owners": ("GET /me", "/username"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_stands_above_is_found(learn: Any, shape: str) -> None:
    app = service(shape)
    objects = learn(app).target.objects
    assert objects is not None
    path = "/by/notes/{above}/{number}" if shape == "owners" else f"/{shape}/{{above}}/notes/{{number}}"
    assert (objects.read.path, objects.id_parameter) == (path, "number")
    (parent,) = objects.parents
    assert (parent.operation.name, parent.value) == SHAPES[shape]
    assert app.state.projects == {}, "what was made on the way up is taken down again"


def verdicts(app: FastAPI, start: Path, *codes: str, **more: Any) -> dict[str, Any]:
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name.upper()}"}}
        for label, name in (("a", "alice"), ("b", "bob"))
    }
    settings = load({"accounts": accounts, **more}, start=start)
    rules = catalog.load()
    run = asyncio.run(conduct(settings, [rules[code] for code in codes], app=app))
    return {result.rule.code: result.verdict for result in run.results}


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)


CODES = ("AUZ101", "AUZ102", "AUZ103")


@pytest.mark.parametrize("anew", [False, True], ids=["ids of all", "ids anew in each"])
@pytest.mark.parametrize("shape", SHAPES)
def test_people_are_kept_apart_below_what_is_theirs(shape: str, anew: bool, tmp_path: Path) -> None:
    sound, careless = service(shape, anew=anew), service(shape, anew=anew, careless=True)
    # Whoever names the owner on reading lists nothing at the place of creation.
    codes = CODES[:2] if shape == "owners" else CODES
    found = verdicts(sound, tmp_path, *codes)
    assert {code: type(verdict) for code, verdict in found.items()} == dict.fromkeys(codes, Passed), found
    assert sound.state.projects == {}
    found = verdicts(careless, tmp_path, "AUZ101", "AUZ102")
    assert {type(verdict) for verdict in found.values()} == {Failed}, found


def test_what_is_shared_by_design_is_no_finding(tmp_path: Path) -> None:
    app = service("tenants", together=True)
    found = verdicts(app, tmp_path, "AUZ101", "AUZ102")
    assert {type(verdict) for verdict in found.values()} == {Inconclusive}
    assert all("private = true" in verdict.remedy for verdict in found.values())
    declared = {
        "create": "POST /tenants/{above}/notes",
        "read": "GET /tenants/{above}/notes/{number}",
        "text_field": "text",
        "identifier": "/number",
        "parents": [{"parameter": "above", "operation": "GET /tenants", "value": "/items/0/id"}],
        "private": True,
    }
    found = verdicts(service("tenants", together=True), tmp_path, "AUZ101", objects=declared)
    assert isinstance(found["AUZ101"], Failed)
