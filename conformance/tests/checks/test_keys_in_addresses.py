"""KEY103 at changes: a key out of the query where nobody documents it, and where anybody may make the change."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import pytest
from checks.judging import said
from fastapi import FastAPI, HTTPException, Request, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.settings import load

KEYS = {"pk_" + 40 * "a" + "7Qd2": "alice", "pk_" + 40 * "b" + "9Wf4": "bob"}


class Wish(BaseModel):
    text: str


def wishes(*, open_: bool, careless: bool) -> FastAPI:
    """Wishes are made with a key, or, where it is `open_`, by anybody; a `careless` one finds keys in the query."""
    app = FastAPI()
    kept: dict[str, dict[str, Any]] = {}
    scheme = APIKeyHeader(name="X-Wish-Key", auto_error=False)
    header = Annotated[str | None, Security(scheme)]

    def caller(key: str | None) -> str:
        if key not in KEYS:
            raise HTTPException(401, "no", {"WWW-Authenticate": 'ApiKey realm="x"'})
        return KEYS[key]

    @app.get("/me")
    def me(key: header, response: Response) -> dict[str, str]:
        response.headers["cache-control"] = "no-store"
        return {"username": caller(key)}

    @app.post("/wishes", status_code=201)
    def make(wish: Wish, key: header, request: Request) -> dict[str, Any]:
        key = key or (request.query_params.get("access_key") if careless else None)
        owner = "nobody" if open_ and key is None else caller(key)
        made = {"id": secrets.token_hex(6), "text": wish.text, "owner": owner}
        kept[made["id"]] = made
        return made

    @app.get("/wishes/{wish_id}")
    def read(wish_id: str, key: header) -> dict[str, Any]:
        if kept.get(wish_id, {}).get("owner") not in ("nobody", caller(key)):
            raise HTTPException(404, "no wish")
        return kept[wish_id]

    return app


@pytest.mark.parametrize(
    ("open_", "careless", "name"),
    [(False, False, "passed"), (False, True, "failed"), (True, False, "passed")],
)
def test_a_change_by_a_key_in_the_query(
    monkeypatch: pytest.MonkeyPatch, *, open_: bool, careless: bool, name: str
) -> None:
    accounts: dict[str, Any] = {}
    for key, who in KEYS.items():
        monkeypatch.setenv(f"KEY_OF_{who.upper()}", key)
        accounts[who] = {"username": who, "key": {"env": f"KEY_OF_{who.upper()}"}}
    settings = load({"accounts": accounts}, start=Path("/"))
    app = wishes(open_=open_, careless=careless)
    (result,) = run_to_end(conduct(settings, [catalog.load()["KEY103"]], app=app)).results
    assert result.name == name, said(result)
    if careless:
        assert "let in the key in the query (access_key)" in result.verdict.reason, said(result)
    shown = any("shows nothing about keys in the query" in note for note in result.verdict.notes)
    assert shown is open_, result.verdict.notes
