"""A machine API whose callers have no names: an organisation's key makes and revokes others, and nobody logs in.

`GET /identity` names the organisation; the list of keys is for keys that manage keys, and new ones do not.
Fault on demand: with `anybody_revokes` nobody is asked whose key it is before it is revoked.
"""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

FIRST = {"alice": "fl_5uQ2mXw8ZrT0cVn4bJ6hLp9sDfGk3yEa", "bob": "fl_Hn7tRz1KqWb5oYx9MvCj2gUs8dPe4iLf"}


class Wanted(BaseModel):
    label: str = ""


class Listed(BaseModel):
    id: str
    label: str


class Made(Listed):
    secret: str


class Identity(BaseModel):
    organisation: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Key:
    organisation: str
    name: str
    manages: bool


class Keys:
    """The keys of all organisations, and who may do what with them."""

    def __init__(self) -> None:
        owners = {FIRST["alice"]: "acme", FIRST["bob"]: "globex"}
        self.known = {
            secret: Key(owner, secrets.token_hex(6), manages=True) for secret, owner in owners.items()
        }

    def caller(
        self, key: Annotated[str | None, Depends(APIKeyHeader(name="X-Org-Key", auto_error=False))]
    ) -> Key:
        if key not in self.known:
            raise HTTPException(401, "A key is required", {"WWW-Authenticate": "ApiKey"})
        return self.known[key]

    def manager(self, key: Key) -> str:
        if not key.manages:
            raise HTTPException(403, "This key manages no keys")
        return key.organisation

    def secret_of(self, name: str, organisation: str | None) -> str:
        for secret, key in self.known.items():
            if key.name == name and organisation in (None, key.organisation):
                return secret
        raise HTTPException(404, "No such key")


def create_app(*, anybody_revokes: bool = False) -> FastAPI:
    app = FastAPI(title="Fleet")
    keys = Keys()
    caller = Depends(keys.caller)

    @app.get("/identity")
    def identity(key: Annotated[Key, caller]) -> Identity:
        return Identity(organisation=key.organisation, key_id=key.name)

    @app.get("/keys")
    def list_keys(key: Annotated[Key, caller]) -> list[Listed]:
        owner = keys.manager(key)
        return [Listed(id=item.name, label="") for item in keys.known.values() if item.organisation == owner]

    @app.post("/keys", status_code=201)
    def make_key(wanted: Wanted, key: Annotated[Key, caller]) -> Made:
        secret, made = (
            "fl_" + secrets.token_urlsafe(24),
            Key(keys.manager(key), secrets.token_hex(6), manages=False),
        )
        keys.known[secret] = made
        return Made(id=made.name, label=wanted.label, secret=secret)

    @app.delete("/keys/{key_id}", status_code=204)
    def revoke_key(key_id: str, key: Annotated[Key, caller]) -> None:
        owner = keys.manager(key)
        del keys.known[keys.secret_of(key_id, None if anybody_revokes else owner)]

    return app
