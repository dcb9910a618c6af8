"""Clients that people make for their programs: the secret opens, in full, for as long as the client is there."""

import secrets
from typing import Annotated, Any, Literal

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel, Field
from services.people import PEOPLE

Scope = Literal["parts:read", "tools:read"]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
Scoped = OAuth2PasswordBearer("/oauth/token", scopes={"parts:read": "See parts", "tools:read": "See tools"})


class Wish(BaseModel):
    name: str
    scopes: list[Scope] = Field(min_length=1)


class Made(BaseModel):
    client_id: str
    client_secret: str
    name: str


def forge(flaw: str = "") -> FastAPI:
    """People make, renew and delete clients; tokens are for what a client was made for."""
    app = FastAPI()
    people = dict(PEOPLE)
    person = front_desk(app, people=people)
    clients, tokens = dict[str, dict[str, Any]](), dict[str, tuple[str, set[str]]]()

    def caller(wanted: SecurityScopes, token: Annotated[str, Security(Scoped)], bearer: Bearer) -> str:
        if token not in tokens:
            if "ledger:read" in wanted.scopes:
                raise HTTPException(403, "insufficient_scope")
            return person(bearer)
        client, scopes = tokens[token]
        if client not in clients and flaw != "lasting":
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        if not set(wanted.scopes) <= scopes and flaw != "unlooked":
            raise HTTPException(403, "insufficient_scope", {"WWW-Authenticate": "Bearer"})
        return client

    def told(client: str, *, whole: bool = False) -> dict[str, str]:
        shown = clients[client]["client_secret"] if whole or flaw == "shown" else "…"
        return {"client_id": client, "client_secret": shown, "name": clients[client]["name"]}

    Owner = Annotated[str, Depends(person)]

    @app.post("/clients", status_code=201, response_model=Made)
    def make(wish: Wish, owner: Owner) -> Any:
        client, secret = f"m-{secrets.token_hex(6)}", secrets.token_urlsafe(24)
        clients[client] = {**wish.model_dump(), "client_secret": secret, "owner": owner, "secrets": {secret}}
        return told(client, whole=True)

    @app.get("/clients")
    def listed(owner: Owner) -> list[dict[str, str]]:
        return [told(client) for client, kept in clients.items() if kept["owner"] == owner]

    @app.post("/clients/{client_id}/rotate", response_model=Made)
    def rotate(client_id: str, owner: Owner) -> Any:
        kept = mine(client_id, owner)
        kept["client_secret"] = secret = secrets.token_urlsafe(24)
        kept["secrets"] = {secret, *(kept["secrets"] if flaw == "both" else ())}
        return told(client_id, whole=True)

    def mine(client: str, owner: str) -> dict[str, Any]:
        if clients.get(client, {}).get("owner") != owner:
            raise HTTPException(404, "no client")
        return clients[client]

    gone = dict[str, dict[str, Any]]()

    @app.delete("/clients/{client_id}", status_code=204)
    def end(client_id: str, owner: Owner) -> None:
        mine(client_id, owner)
        gone[client_id] = clients.pop(client_id)

    @app.post("/oauth/token")
    def token(
        grant_type: Annotated[str, Form()],
        client_id: Annotated[str, Form()],
        client_secret: Annotated[str, Form()] = "",
        scope: Annotated[str, Form()] = "",
    ) -> Any:
        kept = clients.get(client_id) or (gone.get(client_id) if flaw == "lasting" else None)
        known = kept is not None and (client_secret in kept["secrets"] or flaw == "any")
        if kept is None or not known or grant_type != "client_credentials":
            return JSONResponse({"error": "invalid_client"}, 401)
        scopes = set(scope.split() or kept["scopes"])
        if not scopes <= set(kept["scopes"]) and flaw != "unbounded":
            return JSONResponse({"error": "invalid_scope"}, 400)
        tokens[value := secrets.token_urlsafe(24)] = client_id, scopes
        return {"access_token": value, "token_type": "Bearer", "scope": " ".join(sorted(scopes))}

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password
        return {"username": who.username}

    @app.get("/parts")
    def parts(who: Annotated[str, Security(caller, scopes=["parts:read"])]) -> list[str]:
        return [f"a part of {who}"]

    @app.get("/tools")
    def tools(who: Annotated[str, Security(caller, scopes=["tools:read"])]) -> list[str]:
        return [f"a tool of {who}"]

    @app.get("/ledger")
    def ledger(who: Annotated[str, Security(caller, scopes=["ledger:read"])]) -> list[str]:
        return [f"an entry of {who}"]

    return app


@pytest.mark.parametrize(
    ("code", "flaw", "verdict", "words"),
    [
        ("LIF103", "", "passed", "gave nothing for the secret of an ended client"),
        (
            "LIF103",
            "lasting",
            "failed",
            "gave a token for the secret of a client that DELETE /clients/{client_id} had",
        ),
        (
            "LIF103",
            "both",
            "failed",
            "POST /clients/{client_id}/rotate replaces a client's secret, and the one before",
        ),
        ("KEY108", "", "passed", "Neither the list of clients nor the record of one tells its secret again"),
        ("KEY108", "shown", "failed", "GET /clients shows a client's secret again"),
        ("CRD101", "", "passed", "issued nothing"),
        (
            "CRD101",
            "any",
            "failed",
            "POST /oauth/token gave a token for a client's id and another client's secret",
        ),
        ("AUZ111", "", "passed", "operations refused credentials that lack the scope"),
        ("AUZ111", "unlooked", "failed", "declares parts:read and answered a client without parts:read"),
        (
            "AUZ111",
            "unbounded",
            "failed",
            "POST /oauth/token grants tools:read to a client that was made for parts:read",
        ),
        ("KEY107", "", "skipped", "programs present the id and the secret of a client here"),
    ],
)
def test_clients_open_what_they_were_made_for(code: str, flaw: str, verdict: str, words: str) -> None:
    """Nothing was known of clients: their secrets, ends and scopes were 'not applicable'."""
    result = judged_as_found(code, forge(flaw))
    assert result.name == verdict, said(result)
    assert words in result.verdict.reason, said(result)
