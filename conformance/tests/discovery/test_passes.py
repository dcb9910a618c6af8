"""Keys that nothing calls so: an untyped answer, a parameter of its own, and as short as the service likes."""

import secrets
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance.model import Need


class Entrance(BaseModel):
    username: str
    password: str


def gate_app(length: int, *, taken_back: bool = True) -> FastAPI:
    app = FastAPI()
    tokens: dict[str, str] = {}
    passes: dict[str, tuple[str, str]] = {}

    @app.post("/login")
    def login(entrance: Entrance) -> dict[str, str]:
        if PASSWORDS.get(entrance.username) != entrance.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        tokens[token] = entrance.username
        return {"access_token": token}

    def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        if bearer.credentials not in tokens:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return tokens[bearer.credentials]

    Caller = Annotated[str, Depends(caller)]

    @app.get("/me")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/gate-passes", status_code=201)
    def make(name: Caller) -> dict[str, str]:
        number, secret = secrets.token_hex(3), f"g4{secrets.token_hex(32)}"[:length]
        passes[secret] = number, name
        return {"pass_id": number, "secret": secret}

    if taken_back:

        @app.delete("/gate-passes/{pass_id}", status_code=204)
        def take_back(pass_id: str, name: Caller) -> None:
            for secret in [key for key, held in passes.items() if held == (pass_id, name)]:
                passes.pop(secret)

    @app.get("/gate")
    def gate(gate_pass: str = "") -> dict[str, str]:
        if gate_pass not in passes:
            raise HTTPException(401, "no", {"WWW-Authenticate": "GatePass"})
        return {"holder": passes[gate_pass][1]}

    return app


@pytest.mark.parametrize("length", [9, 40])
def test_what_is_made_and_taken_back_and_never_read_is_a_key(learn: Any, length: int) -> None:
    lesson = learn(gate_app(length))
    keys = lesson.target.keys
    assert keys is not None, lesson.target.facts
    assert (keys.create.name, keys.value, keys.identifier) == ("POST /gate-passes", "/secret", "/pass_id")
    assert str(keys.carriers[0]) == "query gate_pass"
    assert keys.revoke is not None
    assert lesson.target.key_witness is not None
    assert lesson.target.key_witness.operation.name == "GET /gate"


def test_what_cannot_be_taken_back_is_not_made_to_see_whether_it_is_a_key(learn: Any) -> None:
    lesson = learn(gate_app(40, taken_back=False))
    assert lesson.target.keys is None
    assert "POST /gate-passes" not in lesson.names()
    assert Need.KEY_MANAGEMENT in lesson.target.absent
