"""KEY108 where the owner stands in the path of the keys, and where pages that may show them are not read."""

import secrets
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

Header = Annotated[str | None, Security(APIKeyHeader(name="X-Probe-Key", auto_error=False))]


class Wish(BaseModel):
    label: str


class Made(BaseModel):
    id: str
    label: str
    secret_key: str


def offices(*, shows: str = "", list_answers: int = 200) -> FastAPI:
    """`shows` names the page that tells keys again; `list_answers` is the status of the list."""
    app = FastAPI()
    keys: list[dict[str, str]] = []

    def newest(name: str) -> dict[str, object]:
        own = [key for key in keys if key["owner"] == name]
        return {"api_key": own[-1]["secret_key"]} if own and shows == "profile" else {}

    caller = front_desk(app, more=newest)
    Caller = Annotated[str, Depends(caller)]

    def machine(value: Header) -> dict[str, str]:
        found = next((key for key in keys if key["secret_key"] == value), None)
        if found is None:
            raise HTTPException(401, "no")
        return found

    def mine(username: str, name: str) -> list[dict[str, str]]:
        if username != name:
            raise HTTPException(403, "not yours")
        return [key for key in keys if key["owner"] == username]

    @app.get("/whose")
    def whose(key: Annotated[dict[str, str], Depends(machine)]) -> dict[str, str]:
        return {"username": key["owner"]}

    @app.get("/people/{username}/keys")
    def listed(username: str, name: Caller, response: Response) -> Any:
        own = mine(username, name)
        if list_answers == 204:
            return []
        response.status_code = list_answers
        return [{**key, "secret_key": "…" if shows != "list" else key["secret_key"]} for key in own]

    @app.post("/people/{username}/keys", status_code=201)
    def make(username: str, wish: Wish, name: Caller, response: Response) -> Made:
        mine(username, name)
        made = {
            "id": secrets.token_hex(6),
            "label": wish.label,
            "owner": name,
            "secret_key": "pk" + secrets.token_hex(24),
        }
        keys.append(made)
        response.headers["cache-control"] = "no-store"
        return Made(**made)

    @app.delete("/people/{username}/keys/{key_id}", status_code=204)
    def end(username: str, key_id: str, name: Caller) -> None:
        found = next((key for key in mine(username, name) if key["id"] == key_id), None)
        if found is None:
            raise HTTPException(404, "no key")
        keys.remove(found)

    @app.get("/machines/this-token")
    def this(key: Annotated[dict[str, str], Depends(machine)]) -> dict[str, str]:
        return {"id": key["id"], "secret": key["secret_key"] if shows == "machine" else "…"}

    @app.get("/audit")
    def audit(_: Caller) -> None:
        raise HTTPException(403, "for auditors")

    for word in ("desks", "doors", "floors", "lamps", "plants", "rooms"):

        @app.get(f"/{word}", name=word)
        def plain(_: Caller) -> list[str]:
            return []

    @app.get("/wires")
    def wires(name: Caller) -> list[Made]:
        own = [key for key in keys if key["owner"] == name and shows == "schema"]
        return [Made(**key) for key in own]

    return app


def test_what_is_told_once_passes() -> None:
    result = judged_as_found("KEY108", offices())
    assert result.name == "passed", said(result)
    assert "GET /people/{username}/keys" in result.verdict.reason
    assert "GET /machines/this-token" in result.verdict.reason


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("list", "GET /people/{username}/keys shows its owner the whole key again"),
        ("machine", "GET /machines/this-token shows its owner the whole key again"),
        ("profile", "GET /me shows its owner the whole key again"),
        ("schema", "GET /wires shows its owner the whole key again"),
    ],
)
def test_a_page_that_tells_a_key_again_is_found(page: str, words: str) -> None:
    result = judged_as_found("KEY108", offices(shows=page))
    assert result.name == "failed", said(result)
    assert words in result.verdict.reason


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "GET /people/{username}/keys gave A no usable answer"),
        (404, "GET /people/{username}/keys answers 404"),
        (204, "GET /people/{username}/keys does not list a key that has just been made"),
    ],
)
def test_a_list_that_was_not_read_is_not_passed(status: int, words: str) -> None:
    result = judged_as_found("KEY108", offices(list_answers=status), patience=0)
    assert result.name == "inconclusive", said(result)
    assert words in result.verdict.reason
