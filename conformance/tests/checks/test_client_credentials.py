"""Services for programs: who is given as an account is a client, and its password a client secret."""

import base64
import secrets
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials, OAuth2, SecurityScopes
from services.people import PEOPLE

SCOPES = {"parts:read": "See parts", "tools:read": "See tools", "ledger:read": "Read the ledger"}
GRANTED = {"parts:read", "tools:read"}


class ClientCredentials(OAuth2):
    """The flow as a FastAPI team declares it."""

    def __init__(self, url: str) -> None:
        super().__init__(
            flows=OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl=url, scopes=SCOPES)),
            auto_error=False,
        )


def works(way: str, flaw: str = "") -> FastAPI:
    """Clients present themselves by a described "form", by "basic", or in a body that is not described at all."""
    app = FastAPI()
    issued = dict[str, tuple[str, set[str]]]()

    async def caller(
        wanted: SecurityScopes, value: Annotated[str | None, Security(ClientCredentials("oauth/token"))]
    ) -> str:
        client, scopes = issued.get((value or "").removeprefix("Bearer "), ("", set[str]()))
        if not client:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        if not set(wanted.scopes) <= scopes:
            raise HTTPException(403, "insufficient_scope", {"WWW-Authenticate": "Bearer"})
        return client

    def granted(client: str | None, secret: str | None, grant: str | None, scope: str) -> Any:
        if grant != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if client is None or PEOPLE.get(client) != secret:
            return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"})
        scopes = set(scope.split()) or set(GRANTED)
        if not scopes <= GRANTED and flaw != "unbounded":
            return JSONResponse({"error": "invalid_scope"}, 400)
        issued[token := secrets.token_urlsafe(24)] = client, scopes
        return {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": " ".join(scopes)}

    if way == "form":

        @app.post("/oauth/token")
        def by_form(
            grant_type: Annotated[str, Form()],
            client_id: Annotated[str, Form()],
            client_secret: Annotated[str, Form()],
            scope: Annotated[str, Form()] = "",
        ) -> Any:
            return granted(client_id, client_secret, grant_type, scope)

    elif way == "basic":

        @app.post("/oauth/token")
        def by_basic(
            who: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
            grant_type: Annotated[str, Form()],
            scope: Annotated[str, Form()] = "",
        ) -> Any:
            return granted(who.username, who.password, grant_type, scope)

    else:

        @app.post("/oauth/token")
        async def undescribed(request: Request) -> Any:
            form = {key: str(value) for key, value in (await request.form()).items()}
            text = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
            client, _, secret = text.partition(":")
            if "client_id" in form:
                client, secret = form["client_id"], form.get("client_secret", "")
            return granted(client, secret, form.get("grant_type"), form.get("scope", ""))

    @app.get("/whoami")
    def whoami(client: Annotated[str, Security(caller)]) -> dict[str, str]:
        return {"client_id": client}

    @app.get("/parts")
    def parts(
        client: Annotated[str, Security(caller, scopes=[] if flaw == "left off" else ["parts:read"])],
    ) -> list[str]:
        return [f"a part of {client}"]

    @app.get("/ledger")
    def ledger(client: Annotated[str, Security(caller, scopes=["ledger:read"])]) -> list[str]:
        return [f"an entry of {client}"]

    return app


@pytest.mark.parametrize("way", ["form", "basic", "undescribed"])
def test_a_client_gets_in_with_its_secret(way: str) -> None:
    """A service for programs only could not be tested: "cannot log in", whatever was given."""
    result = judged_as_found("TOK101", works(way))
    assert result.name == "passed", said(result)


@pytest.mark.parametrize(
    ("flaw", "verdict", "words"),
    [
        ("", "passed", "operations refused credentials that lack the scope"),
        ("unbounded", "failed", "POST /oauth/token grants ledger:read to whoever asks for it"),
    ],
)
@pytest.mark.parametrize("way", ["form", "basic"])
def test_a_client_is_granted_no_scope_that_it_has_not(way: str, flaw: str, verdict: str, words: str) -> None:
    result = judged_as_found("AUZ111", works(way, flaw))
    assert result.name == verdict, said(result)
    assert words in result.verdict.reason, said(result)


@pytest.mark.parametrize("code", ["LIF101", "LIF117"])
def test_programs_have_no_sessions_to_end(code: str) -> None:
    """That they cannot log out was a medium finding."""
    result = judged_as_found(code, works("form"))
    assert result.name == "skipped", said(result)
    assert "only programs log in here" in result.verdict.reason, said(result)
