"""A finding is told by a request whose body the report can hold: a longer one has no exported test."""

import secrets
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field

from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result
from auth_conformance.settings import load
from auth_conformance.transports.recorder import EXCERPT
from auth_fuzz import Budget, fuzz

KEYS = {name: secrets.token_hex(16) for name in ("ann", "ben")}
Long = Annotated[str, Field(min_length=2 * EXCERPT, examples=["a" * 3 * EXCERPT])]


class Text(BaseModel):
    text: Long


class Either(BaseModel):
    text: Long | Annotated[int, Field(ge=0)]


def desk(body: type[BaseModel]) -> FastAPI:
    """Whoever is nobody may post, too: the guard of that operation was forgotten."""
    app = FastAPI()
    header = APIKeyHeader(name="X-API-Key", auto_error=False)

    def caller(key: Annotated[str | None, Depends(header)]) -> str:
        name = next((name for name, value in KEYS.items() if value == key), None)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "ApiKey"})
        return name

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.post("/texts", dependencies=[Depends(header)])
    def keep(text: body) -> dict[str, int]:
        return {"length": len(text.model_dump_json())}

    return app


@pytest.mark.parametrize(("body", "short"), [(Either, True), (Text, False)])
def test_a_short_body_is_told_and_a_long_one_where_there_is_no_other(
    body: type[BaseModel], short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> list[Result]:
        accounts = {
            label: {"username": name, "key": {"env": f"KEY_{label}"}}
            for label, name in (("a", "ann"), ("b", "ben"))
        }
        async with opened(load({"accounts": accounts}, start=Path(__file__).parent), app=desk(body)) as door:
            return await fuzz(door.scene, Budget(120.0, 60, shrinking=10), 1, only=["POST /texts"])

    for label, name in (("a", "ann"), ("b", "ben")):
        monkeypatch.setenv(f"KEY_{label}", KEYS[name])
    found = {result.rule.code: result for result in run_to_end(go())}["FUZ101"]
    assert found.name == "failed", found.verdict
    lengths = [len(item.request.body or "") for item in found.findings[0].evidence]
    assert (max(lengths) < EXCERPT) == short
