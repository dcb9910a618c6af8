"""Keys that people manage with their login, and that only machines use: at operations that take no login."""

import secrets
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed, Skipped

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
Header = Annotated[str | None, Security(APIKeyHeader(name="X-Probe-Key", auto_error=False))]
NUMBERS = {name: 7 * place + 31 for place, name in enumerate(PEOPLE)}


class Wish(BaseModel):
    label: str


def probes(*, cut: int = 0) -> FastAPI:
    """Keys are compared without their last `cut` characters."""
    app = FastAPI()
    keys: dict[str, dict[str, Any]] = {}

    def machine(value: Header) -> dict[str, Any]:
        for key in keys.values():
            if value and len(value) >= len(key["value"]) - cut and key["value"].startswith(value):
                if key["ended"]:
                    break
                return key
        raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})

    Caller = Annotated[str, Depends(front_desk(app, me="/staff/me"))]

    @app.post("/staff/keys", status_code=201)
    def make(wish: Wish, name: Caller) -> dict[str, Any]:
        key = {
            "id": secrets.token_hex(6),
            "value": "pk" + secrets.token_hex(24),
            "owner": name,
            "ended": False,
        }
        keys[key["id"]] = key
        return {"id": key["id"], "label": wish.label, "key": key["value"]}

    @app.delete("/staff/keys/{key_id}", status_code=204)
    def end(key_id: str, name: Caller) -> None:
        if keys.get(key_id, {}).get("owner") != name:
            raise HTTPException(404, "no key")
        keys[key_id]["ended"] = True

    @app.get("/feed/whose")
    def whose(key: Annotated[dict[str, Any], Depends(machine)]) -> dict[str, Any]:
        return {"key": key["id"], "tenant": NUMBERS[key["owner"]]}

    return app


@pytest.mark.parametrize("code", ["KEY101", "KEY107", "LIF103"])
def test_sound_keys_of_machines_pass(code: str) -> None:
    result = judged_as_found(code, probes())
    assert isinstance(result.verdict, Passed), said(result)


def test_a_key_of_machines_that_is_half_checked_is_found() -> None:
    found: Any = judged_as_found("KEY101", probes(cut=4)).verdict
    assert isinstance(found, Failed)
    assert found.violations[0].operation == "GET /feed/whose"
    assert "accepted as 31" in found.violations[0].message, (
        "the owner is named by what two keys of one person share"
    )


def test_nothing_takes_both_a_login_and_such_a_key() -> None:
    verdict = judged_as_found("MIX104", probes()).verdict
    assert isinstance(verdict, Skipped)
    assert "keys open other operations than logins do" in verdict.reason
