"""AUZ101, AUZ102, AUZ103 and AUZ110 where everything is done by POST, and bodies name what is meant.

Each habit is a service that keeps people apart, and some that forget to ask whose a thing is in one procedure.
"""

import itertools
import secrets
import tomllib
from pathlib import Path
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store, bearer_of
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, ConfigDict, create_model
from test_parents import verdicts

from auth_conformance.discovery.writing import as_toml
from auth_conformance.model import Failed, Passed

# How a service calls its procedures, and the member by which their bodies name a thing.
HABITS = {"/rpc/document.{}": "id", "/{}Document": "documentId"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(Strict):
    query: str = ""


class New(Strict):
    title: str


class Comment(New):
    document_id: str


def service(habit: str = "/rpc/document.{}", *, careless: str = "") -> FastAPI:
    """Documents by procedures; the `careless` one does not ask whose a document is."""
    app, store, member = FastAPI(), Store(), HABITS[habit]
    by_number = member == "id"
    kind: Any = int if by_number else str
    one: Any = create_model("One", __base__=Strict, **{member: (kind, ...)})
    change: Any = create_model("Change", __base__=New, **{member: (kind, ...)})
    numbers, documents = itertools.count(40), dict[Any, tuple[str, str]]()
    app.state.documents = documents

    known = bearer_of(store, challenge=True)

    def found(body: BaseModel, name: str, procedure: str) -> Any:
        key = getattr(body, member)
        if key not in documents or (documents[key][0] != name and careless != procedure):
            raise HTTPException(404, "no such document")
        return key

    def shown(key: Any) -> dict[str, Any]:
        return {"result": {member: key, "title": documents[key][1]}}

    @app.post("/login")
    def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        return {"access_token": store.log_in(form.username, form.password), "token_type": "bearer"}

    @app.get("/me")
    def me(name: Annotated[str, known]) -> dict[str, str]:
        return {"username": name}

    @app.post(habit.format("create"), status_code=201)
    def create(body: New, name: Annotated[str, known]) -> dict[str, Any]:
        key = next(numbers) if by_number else secrets.token_hex(8)
        documents[key] = (name, body.title)
        return shown(key)

    @app.post(habit.format("get"))
    def get(body: one, name: Annotated[str, known]) -> dict[str, Any]:
        return shown(found(body, name, "get"))

    @app.post(habit.format("update"))
    def update(body: change, name: Annotated[str, known]) -> dict[str, Any]:
        key = found(body, name, "update")
        documents[key] = (documents[key][0], body.title)
        return shown(key)

    @app.post(habit.format("delete"))
    def delete(body: one, name: Annotated[str, known]) -> dict[str, bool]:
        del documents[found(body, name, "delete")]
        return {"ok": True}

    @app.post("/rpc/comment.add")
    def comment(body: Comment, name: Annotated[str, known]) -> dict[str, bool]:
        owners = {str(key): owner for key, (owner, _) in documents.items()}
        if body.document_id not in owners or (owners[body.document_id] != name and careless != "comment"):
            raise HTTPException(404, "no such document")
        return {"ok": True}

    @app.post(habit.format("list"))
    def listed(body: Search, name: Annotated[str, known]) -> dict[str, Any]:
        query = body.query
        mine = [
            key
            for key, (owner, title) in documents.items()
            if (owner == name or (query and careless == "list")) and query in title
        ]
        return {"result": [shown(key)["result"] for key in mine]}

    return app


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)


CODES = ("AUZ101", "AUZ102", "AUZ103", "AUZ110")


@pytest.mark.parametrize("habit", HABITS)
def test_what_bodies_name_is_found_and_written_down(learn: Any, habit: str) -> None:
    app = service(habit)
    lesson = learn(app)
    objects = lesson.target.objects
    assert objects is not None
    found = [objects.create, objects.read, objects.listing, objects.update, objects.delete]
    procedures = ("create", "get", "list", "update", "delete")
    assert [item and item.name for item in found] == [f"POST {habit.format(name)}" for name in procedures]
    assert (objects.id_parameter, objects.identifier) == (f"/{HABITS[habit]}", f"/result/{HABITS[habit]}")
    assert app.state.documents == {}, "what was made is taken away again"
    written = tomllib.loads(as_toml(lesson.target, lesson.settings))["objects"]
    again = learn(service(habit), objects=written).target.objects
    assert (again.read, again.update, again.delete) == (objects.read, objects.update, objects.delete)


@pytest.mark.parametrize("habit", HABITS)
def test_people_are_kept_apart_where_bodies_name_things(habit: str, tmp_path: Path) -> None:
    app = service(habit)
    found = verdicts(app, tmp_path, *CODES)
    assert {code: type(verdict) for code, verdict in found.items()} == dict.fromkeys(CODES, Passed), found
    assert app.state.documents == {}


@pytest.mark.parametrize(
    ("careless", "code"), [("get", "AUZ101"), ("update", "AUZ102"), ("delete", "AUZ102"), ("list", "AUZ103")]
)
def test_a_procedure_that_asks_not_whose_it_is(careless: str, code: str, tmp_path: Path) -> None:
    mixing = careless in {"get", "update"}
    codes = (code, "AUZ110") if mixing else (code,)
    found = verdicts(service(careless=careless), tmp_path, *codes)
    assert isinstance(found[codes[-1]], Passed if mixing else Failed), "one cause, one finding"
    assert isinstance(found[code], Failed), found
    assert {item.operation for item in found[code].violations} == {f"POST /rpc/document.{careless}"}


def test_what_is_said_of_a_thing_that_is_not_shown(tmp_path: Path) -> None:
    found: Any = verdicts(service(careless="comment"), tmp_path, "AUZ102")["AUZ102"]
    assert [item.operation for item in found.violations] == ["POST /rpc/comment.add"], found
