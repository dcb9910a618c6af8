"""A service that no document describes: two lines name its objects, and it says itself what else its paths allow."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Credentials, Store, bearer_of, let_in
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from test_parents import verdicts

from auth_conformance.discovery.advising import doctor
from auth_conformance.model import Need, Passed, Skipped

OBJECTS = {"create": "POST /notes", "read": "GET /notes/{id}"}


class Note(BaseModel):
    title: str


def service(*, silent: bool = False, kept: bool = False) -> FastAPI:
    """Notes, and a logout by DELETE; a `silent` service does not answer OPTIONS. What is `kept` nobody changes."""
    app, store, notes = FastAPI(openapi_url=None), Store(), dict[str, dict[str, str]]()
    known = bearer_of(store)
    let_in(app, store, known)

    def own(key: str, name: str) -> dict[str, str]:
        if notes.get(key, {}).get("owner") != name:
            raise HTTPException(404, "no such note")
        return notes[key]

    @app.delete("/logout")
    def leave(name: Annotated[str, known]) -> None:
        for token in [token for token, owner in store.sessions.items() if owner == name]:
            del store.sessions[token]

    @app.post("/notes", status_code=201)
    def create(note: Note, name: Annotated[str, known]) -> dict[str, str]:
        key = secrets.token_hex(6)
        notes[key] = {"id": key, "owner": name, "title": note.title}
        return notes[key]

    @app.get("/notes")
    def listed(name: Annotated[str, known]) -> list[dict[str, str]]:
        return [note for note in notes.values() if note["owner"] == name]

    @app.get("/notes/{key}")
    def read(key: str, name: Annotated[str, known]) -> dict[str, str]:
        return own(key, name)

    @app.put("/notes/{key}")
    def change(key: str, note: Note, name: Annotated[str, known]) -> dict[str, str]:
        own(key, name).update({} if kept else {"title": note.title})
        return notes[key]

    @app.delete("/notes/{key}")
    def delete(key: str, name: Annotated[str, known]) -> None:
        own(key, name)
        if not kept:
            del notes[key]

    if not silent:
        app.options("/notes")(lambda: Response(headers={"Allow": "GET, POST, OPTIONS"}))
        app.options("/notes/{key}")(lambda: Response(headers={"Allow": "GET, PUT, DELETE, OPTIONS"}))
    return app


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)


@pytest.mark.parametrize("silent", [False, True])
def test_paths_say_what_else_they_allow_or_show_it(learn: Any, *, silent: bool) -> None:
    target = learn(service(silent=silent), kind="url", objects=OBJECTS).target
    objects = target.objects
    assert [item and item.name for item in (objects.listing, objects.update, objects.delete)] == [
        "GET /notes",
        "PUT /notes/{id}",
        "DELETE /notes/{id}",
    ]
    assert [item.operation.name for item in target.logouts] == ["DELETE /logout"], "POST is refused by 405"


def test_what_no_document_lists_is_not_said_to_be_missing(tmp_path: Path) -> None:
    codes = ("AUZ102", "AUZ103", "AUZ105")
    found = verdicts(service(), tmp_path, *codes, objects=OBJECTS)
    assert {code: type(verdict) for code, verdict in found.items()} == dict.fromkeys(codes, Passed), found
    found = verdicts(service(silent=True), tmp_path, *codes, objects=OBJECTS)
    assert {code: type(verdict) for code, verdict in found.items()} == dict.fromkeys(codes, Passed), found
    found = verdicts(service(silent=True, kept=True), tmp_path, *codes, objects=OBJECTS)
    assert isinstance(found["AUZ105"], Passed), "the text that people write is their own to set"
    changes = found["AUZ102"]
    assert isinstance(changes, Skipped)
    assert changes.applicable
    assert changes.remedy == '[objects]\nupdate = "PUT /notes/{id}"\ndelete = "DELETE /notes/{id}"'


def test_a_document_without_the_login_shows_nothing_of_what_people_do_with_their_accounts(learn: Any) -> None:
    def sent(request: Request) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def with_hidden_login() -> FastAPI:
        app, store = FastAPI(), Store()
        known = bearer_of(store, sent)

        @app.post("/inside/enter", include_in_schema=False)
        def enter(body: Credentials) -> dict[str, str]:
            return {"access_token": store.log_in(body.username, body.password)}

        @app.get("/me")
        def me(name: Annotated[str, known]) -> dict[str, str]:
            return {"username": name}

        return app

    target = learn(with_hidden_login(), kind="url").target
    assert [fact.value for fact in target.facts if fact.name == "login"] == ["none found"]
    missing = doctor(target, {Need.REGISTER: ["CRD111"], Need.LOGIN: ["CRD101"]}).split("Missing:")[1]
    assert missing.index("login: CRD101") < missing.index("register: CRD111")
    assert "[accounts.a]" not in missing, "the accounts are there already"
    target = learn(with_hidden_login(), kind="url", login=[{"operation": "POST /inside/enter"}]).target
    assert target.witness is not None
    assert Need.REGISTER not in target.absent


def test_a_front_page_that_greets_its_caller_is_a_witness(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()

    @app.post("/login")
    def enter(body: Credentials, response: Response) -> None:
        response.set_cookie("sid", store.log_in(body.username, body.password), httponly=True)

    @app.get("/", response_class=HTMLResponse)
    def front(request: Request) -> str:
        name = store.owner(request.cookies.get("sid"))
        if name is None:
            raise HTTPException(401, "no")
        return f"<html><body><p>Hello <b>{name}</b></p></body></html>"

    witness = learn(app, kind="url").target.witness
    assert (witness.operation.name, witness.identity) == ("GET /", "text <b>{}<")


def test_a_text_that_is_not_shown_again_is_told_by_the_one_that_is(tmp_path: Path) -> None:
    """Of `{"recipe": {"title": …}}`, as Rails has it, the text stands at a pointer."""
    objects = {**OBJECTS, "body": {"title": "soup", "note": {"title": "x"}}, "text_field": "note/title"}
    found = verdicts(service(), tmp_path, "AUZ101", objects=objects)["AUZ101"]
    assert found.remedy == '[objects]\ntext_field = "/title"'


def test_a_document_that_was_not_found_may_be_told(learn: Any) -> None:
    """It was said not to apply here, and the line that names its place was nowhere."""
    target = learn(service(), kind="url").target
    told = doctor(target, {Need.OBJECTS: ["AUZ101"], Need.OPENAPI: ["DOC101"]})
    assert "openapi: no OpenAPI document is at any usual place. DOC101 cannot run without it. Add:" in told
    assert 'openapi = "path/or/file/openapi.json"' in told
    assert "Does not apply here:" not in told


def test_a_logout_below_the_prefix_of_a_nested_login(learn: Any) -> None:
    """Three usual places were tried with a login each, and `/api/v1/logout` was none of them."""
    app, store = FastAPI(openapi_url=None), Store()
    known = bearer_of(store)

    @app.post("/api/v1/login/access-token")
    def enter(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.get("/api/v1/users/me")
    def me(name: Annotated[str, known]) -> dict[str, str]:
        return {"username": name}

    @app.post("/api/v1/logout")
    def leave(name: Annotated[str, known]) -> None:
        for token in [token for token, owner in store.sessions.items() if owner == name]:
            del store.sessions[token]

    lesson = learn(app, kind="url", login=[{"operation": "POST /api/v1/login/access-token"}])
    assert [item.operation.name for item in lesson.target.logouts] == ["POST /api/v1/logout"]
