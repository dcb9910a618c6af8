"""Keys that the witness refuses: in stories they are presented where they are taken."""

import secrets
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from test_same_token import WORDS, Login, searched


def ledger(*, revokes: bool) -> FastAPI:
    """People see `/me`, their keys `/team` as well; a revoked key opens it for good where `revokes` is not set."""
    app, people, alive, keys = FastAPI(), dict(WORDS), dict[str, str](), dict[str, tuple[str, str]]()
    bearer, header = HTTPBearer(auto_error=False), APIKeyHeader(name="X-API-Key", auto_error=False)

    def anybody(
        held: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        key: Annotated[str | None, Depends(header)],
    ) -> tuple[str, bool]:
        name = alive.get(held.credentials) if held is not None else None
        if name is None and key not in keys:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name or keys[key or ""][1], name is not None

    def person(who: Annotated[tuple[str, bool], Depends(anybody)]) -> str:
        if not who[1]:
            raise HTTPException(403, "for people")
        return who[0]

    Person = Annotated[str, Depends(person)]

    @app.post("/register", status_code=201)
    def register(body: Login) -> dict[str, str]:
        if body.username in people:
            raise HTTPException(409, "taken")
        people[body.username] = body.password
        return {"username": body.username}

    @app.post("/login")
    def log_in(body: Login) -> dict[str, str]:
        if people.get(body.username) != body.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        alive[token := secrets.token_urlsafe(24)] = body.username
        return {"access_token": token, "token_type": "bearer"}

    @app.get("/me")
    def me(name: Person) -> dict[str, str]:
        return {"username": name}

    @app.get("/team")
    def team(who: Annotated[tuple[str, bool], Depends(anybody)]) -> dict[str, str]:
        return {"team": f"of {who[0]}"}

    @app.post("/keys", status_code=201)
    def make(name: Person) -> dict[str, str]:
        keys[key := secrets.token_urlsafe(24)] = (number := secrets.token_hex(6), name)
        return {"id": number, "key": key}

    @app.delete("/keys/{number}", status_code=204)
    def revoke(number: str, name: Person) -> None:
        mine = [key for key, made in keys.items() if made == (number, name)]
        if not mine:
            raise HTTPException(404, "none")
        if revokes:
            del keys[mine[0]]

    return app


@pytest.mark.parametrize("revokes", [True, False])
def test_keys_live_and_die_where_keys_are_taken(*, revokes: bool) -> None:
    found = searched(ledger(revokes=revokes), ["lifecycle"], 80)
    assert found["FUZ302"].name == "passed", found["FUZ302"].verdict
    assert found["FUZ301"].name == ("passed" if revokes else "failed"), found["FUZ301"].verdict
