"""Clients that people make for their programs: the secret opens, in full, for as long as the client is there."""

import secrets
from typing import Annotated, Any, Literal

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Path, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import (
    APIKeyHeader,
    HTTPAuthorizationCredentials,
    HTTPBearer,
    OAuth2PasswordBearer,
    SecurityScopes,
)
from pydantic import BaseModel, Field
from services.people import PEOPLE

Scope = Literal["parts:read", "tools:read"]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
Scoped = OAuth2PasswordBearer("/oauth/token", scopes={"parts:read": "See parts", "tools:read": "See tools"})


class Wish(BaseModel):
    name: str
    scopes: list[Scope] = Field(min_length=1)


class Ranked(BaseModel):
    name: str
    scopes: list[Literal["parts:write", "parts:read"]] = Field(min_length=1)


class Made(BaseModel):
    id: str
    client_id: str
    client_secret: str
    name: str


def keyed(app: FastAPI, person: Any) -> None:
    """People make keys as well, which open what machines are shown."""
    keys = dict[str, str]()
    header = APIKeyHeader(name="X-Forge-Key", auto_error=False)

    @app.post("/keys", status_code=201)
    def make(owner: Annotated[str, Depends(person)], response: Response) -> dict[str, str]:
        response.headers["cache-control"] = "no-store"
        keys[key := f"fk_{secrets.token_urlsafe(30)}"] = owner
        return {"id": key[-6:], "key": key}

    @app.get("/keys")
    def listed(owner: Annotated[str, Depends(person)]) -> list[dict[str, str]]:
        return [{"id": key[-6:]} for key, name in keys.items() if name == owner]

    @app.delete("/keys/{number}", status_code=204)
    def end(number: str, owner: Annotated[str, Depends(person)]) -> None:
        for key in [key for key, name in keys.items() if name == owner and key.endswith(number)]:
            del keys[key]

    @app.get("/whose")
    def whose(key: Annotated[str | None, Security(header)]) -> dict[str, str]:
        if key not in keys:
            raise HTTPException(401, "no")
        return {"username": keys[key]}


def welcoming(app: FastAPI, people: dict[str, str]) -> None:
    """Whoever comes may register."""

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password
        return {"username": who.username}


def holding(scopes: set[str]) -> set[str]:
    """Who may write parts may see them."""
    return scopes | ({"parts:read"} if "parts:write" in scopes else set())


def shelves(app: FastAPI, caller: Any) -> None:
    """What is read by who has the scope for it."""

    @app.get("/parts")
    def parts(who: Annotated[str, Security(caller, scopes=["parts:read"])]) -> list[str]:
        return [f"a part of {who}"]

    @app.get("/tools")
    def tools(who: Annotated[str, Security(caller, scopes=["tools:read"])]) -> list[str]:
        return [f"a tool of {who}"]

    @app.get("/ledger")
    def ledger(who: Annotated[str, Security(caller, scopes=["ledger:read"])]) -> list[str]:
        return [f"an entry of {who}"]


def forge(flaw: str = "", *, path: str = "id", keys: bool = False) -> FastAPI:
    """People make, renew and delete clients; tokens are for what a client was made for.

    Paths name a client by its `path`: its number, or what it logs in as. People may make `keys` as well.
    """
    app = FastAPI()
    people = dict(PEOPLE)
    person = front_desk(app, people=people)
    welcoming(app, people)
    if keys:
        keyed(app, person)
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
        return {
            "id": client[::-1] if path == "id" else client,
            "client_id": client,
            "client_secret": shown,
            "name": clients[client]["name"],
        }

    Owner = Annotated[str, Depends(person)]
    Named = Annotated[str, Path(alias=path)]
    Asked = Ranked if flaw == "ranked" else Wish

    @app.post("/clients", status_code=201, response_model=Made)
    def make(wish: Asked, owner: Owner) -> Any:
        client, secret = f"m-{secrets.token_hex(6)}", secrets.token_urlsafe(24)
        clients[client] = {**wish.model_dump(), "client_secret": secret, "owner": owner, "secrets": {secret}}
        return told(client, whole=True)

    @app.get("/clients")
    def listed(owner: Owner) -> list[dict[str, str]]:
        own = [told(client) for client, kept in clients.items() if kept["owner"] == owner]
        return own if flaw != "unlisted" else []

    @app.post(f"/clients/{{{path}}}/{'secrets' if flaw == 'adds' else 'rotate'}", response_model=Made)
    def rotate(named: Named, owner: Owner) -> Any:
        client = mine(named, owner)
        kept = clients[client]
        kept["client_secret"] = secret = secrets.token_urlsafe(24)
        kept["secrets"] = {secret, *(kept["secrets"] if flaw in ("both", "adds") else ())}
        return told(client, whole=True)

    def mine(named: str, owner: str) -> str:
        client = named[::-1] if path == "id" else named
        if clients.get(client, {}).get("owner") != owner:
            raise HTTPException(404, "no client")
        return client

    gone = dict[str, dict[str, Any]]()

    @app.delete(f"/clients/{{{path}}}", status_code=204)
    def end(named: Named, owner: Owner) -> None:
        client = mine(named, owner)
        gone[client] = clients.pop(client)

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
            broken = flaw == "breaks" and kept is not None
            return JSONResponse({"error": "invalid_client"}, 500 if broken else 401)
        scopes = set(scope.split() or kept["scopes"])
        if not scopes <= holding(set(kept["scopes"])) and flaw != "unbounded":
            return JSONResponse({"error": "invalid_scope"}, 400)
        tokens[value := secrets.token_urlsafe(24)] = client_id, holding(scopes)
        return {"access_token": value, "token_type": "Bearer", "scope": " ".join(sorted(scopes))}

    shelves(app, caller)
    return app


@pytest.mark.parametrize(
    ("code", "flaw", "verdict", "words"),
    [
        ("LIF103", "", "passed", "gave nothing for the secret of an ended client"),
        (
            "LIF103",
            "lasting",
            "failed",
            "gave a token for the secret of a client that DELETE /clients/{id} had",
        ),
        (
            "LIF103",
            "both",
            "failed",
            "POST /clients/{id}/rotate replaces a client's secret, and the one before",
        ),
        ("LIF103", "adds", "passed", "gave nothing for the secret of an ended client"),
        ("KEY108", "", "passed", "Neither the list of clients nor the record of one tells its secret again"),
        ("KEY108", "shown", "failed", "GET /clients shows a client's secret again"),
        ("KEY108", "unlisted", "inconclusive", "GET /clients did not show a client that has just been made"),
        ("CRD101", "", "passed", "issued nothing"),
        ("CRD101", "breaks", "inconclusive", "another client's secret: no orderly answer"),
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


def test_clients_that_paths_call_by_their_own_id_end_as_well() -> None:
    result = judged_as_found("LIF103", forge(path="client_id"))
    assert result.name == "passed", said(result)


def test_a_scope_within_another_is_given_by_right() -> None:
    """Whoever may write was granted the right to read for the asking, and that was a finding."""
    result = judged_as_found("AUZ111", forge("ranked"))
    assert "for the asking" not in said(result), said(result)
    assert result.name != "failed", said(result)


@pytest.mark.parametrize("flaw", ["", "shown"])
def test_the_secrets_of_clients_are_searched_for_beside_keys(flaw: str) -> None:
    """Where people make keys, too, nobody looked whether the secret of a client is told again."""
    result = judged_as_found("KEY108", forge(flaw, keys=True))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert ("GET /clients shows a client's secret again" in result.verdict.reason) is bool(flaw), said(result)
