"""A backend of phones: a login names its device, a refresh wants it again, and logins are listed as devices."""

import secrets
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from discovery_people import PASSWORDS, Store, bearer_of
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from auth_conformance.model import Passed


class Device(BaseModel):
    fingerprint: str = Field(min_length=8)
    name: str = Field(min_length=1)


class Obtain(BaseModel):
    email: str
    password: str
    device: Device


class Rotate(BaseModel):
    refresh: str
    device_fingerprint: str


KNOWN = PASSWORDS | {"carol": "carol-Quill-Orchard-52"}


def phones() -> FastAPI:
    app, store = FastAPI(), Store(dict(KNOWN))
    bound: dict[str, tuple[str, str]] = {}
    known_caller = bearer_of(store)

    @app.exception_handler(HTTPException)
    async def refused(_: Any, error: HTTPException) -> JSONResponse:
        errors = [{"code": error.status_code, "message": str(error.detail)}]
        return JSONResponse({"errors": errors}, error.status_code, error.headers)

    def opened(name: str, fingerprint: str) -> dict[str, Any]:
        refresh = secrets.token_urlsafe(24)
        bound[refresh] = name, fingerprint
        return {"data": {"access": store.log_in(name, store.people[name]), "refresh": refresh}}

    @app.post("/auth/token/obtain")
    def obtain(body: Obtain) -> dict[str, Any]:
        store.log_in(body.email, body.password)
        return opened(body.email, body.device.fingerprint)

    @app.post("/auth/token/rotate")
    def rotate(body: Rotate) -> dict[str, Any]:
        name, fingerprint = bound.pop(body.refresh, ("", ""))
        if not name or body.device_fingerprint != fingerprint:
            raise HTTPException(401, "no")
        return opened(name, fingerprint)

    @app.get("/auth/devices")
    def devices(name: Annotated[str, known_caller]) -> dict[str, Any]:
        return {"data": [{"id": token[:6]} for token, owner in store.sessions.items() if owner == name]}

    @app.delete("/auth/devices/{device_id}", status_code=204)
    def forget(device_id: str, name: Annotated[str, known_caller]) -> None:
        for token in [item for item, owner in store.sessions.items() if owner == name]:
            if token.startswith(device_id):
                del store.sessions[token]

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, Any]:
        return {"data": {"email": name}}

    return app


def test_a_backend_of_phones_is_understood(learn: Any) -> None:
    target = learn(phones()).target
    assert target.refresh is not None, "the refresh has what the login said of the device"
    assert (target.refresh.operation.name, target.refresh.field) == ("POST /auth/token/rotate", "refresh")
    assert target.sessions is not None
    assert (target.sessions.listing.name, target.sessions.end.name) == (
        "GET /auth/devices",
        "DELETE /auth/devices/{device_id}",
    )
    assert "refusals" not in {fact.name for fact in target.facts}, "a 401 is no 200, whatever its body holds"


def test_a_login_that_holds_an_object_is_tried_with_wrong_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in KNOWN.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
    result = judged_as_found("CRD101", phones(), spares=("carol",), allow_disruptive=True)
    assert isinstance(result.verdict, Passed), said(result)
