"""Keys that no described operation makes."""

import secrets
from typing import Annotated, Any

import pytest
from discovery_people import Credentials, Store
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from pydantic import BaseModel

from auth_conformance.credentials import Kind


class NewKey(BaseModel):
    name: str


def service(told: str, *, hidden: bool = False) -> tuple[FastAPI, dict[str, str]]:
    """`/api/me` has a member `told` with a key of the caller; with `hidden`, keys are managed unseen as well."""
    app, store = FastAPI(), Store()
    keys = {secrets.token_urlsafe(24): name for name in store.people}
    bearer = OAuth2PasswordBearer(tokenUrl="api/v1/login", auto_error=False)
    header = APIKeyHeader(name="X-Acme-Key", auto_error=False)

    def caller(
        token: Annotated[str | None, Depends(bearer)], key: Annotated[str | None, Depends(header)]
    ) -> str:
        name = store.owner(token) or keys.get(key or "")
        if name is None:
            raise HTTPException(401, "no")
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/api/v1/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.get("/api/v1/me")
    def me(name: Caller, request: Request) -> dict[str, str | None]:
        own = next((key for key, owner in keys.items() if owner == name), "")
        bare = request.headers.get("authorization", "").removeprefix("Bearer ")
        return {"username": name, told: bare if told == "token" else own}

    if hidden:

        @app.get("/api/v1/api_key/", include_in_schema=False)
        def made(name: Caller) -> dict[str, Any]:
            return {"api_keys": [key[:4] for key, owner in keys.items() if owner == name]}

        @app.post("/api/v1/api_key/", include_in_schema=False)
        def make(body: NewKey, name: Caller) -> dict[str, str]:
            keys[key := secrets.token_urlsafe(24)] = name
            return {"id": key[::-1], "name": body.name, "api_key": key}

        @app.delete("/api/v1/api_key/{identifier}", include_in_schema=False)
        def gone(identifier: str, name: Caller) -> dict[str, str]:
            if keys.pop(identifier[::-1], "") != name:
                raise HTTPException(404, "none")
            return {}

    return app, keys


@pytest.mark.parametrize("told", ["api_key", "token"])
def test_a_key_that_its_owner_reads_about_himself_is_tried_where_keys_are_declared(
    learn: Any, told: str
) -> None:
    app, keys = service(told)
    target = learn(app, kind="url").target
    ready = {label: target.accounts[label].ready.get(Kind.KEY) for label in ("a", "b")}
    carriers = [str(item) for item in target.carriers if item.kind is Kind.KEY]
    assert carriers == ["header X-Acme-Key"]
    found = {label: keys.get(secret.reveal(), "") for label, secret in ready.items() if secret is not None}
    assert found == ({"a": "alice", "b": "bob"} if told == "api_key" else {})


def test_keys_that_are_managed_where_no_document_says_so(learn: Any) -> None:
    app, keys = service("member", hidden=True)
    before = set(keys)
    target = learn(app, kind="url").target
    assert target.keys is not None
    assert (target.keys.create.name, target.keys.value) == ("POST /api/v1/api_key/", "/api_key")
    assert target.keys.revoke is not None
    assert target.keys.revoke.name == "DELETE /api/v1/api_key/{id}"
    assert set(keys) == before, "what was made to see is revoked again"
