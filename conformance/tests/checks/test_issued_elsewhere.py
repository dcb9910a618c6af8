"""A service whose tokens another one issues: what is ready-made is enough for what needs no login."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import jwt
import pytest
from checks.judging import judged_as_found, said
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI, HTTPException, Security
from fastapi.security import OpenIdConnect, SecurityScopes
from jwt.algorithms import ECAlgorithm
from pydantic import BaseModel

from auth_conformance.model import Result
from auth_conformance.settings import ConfigurationError

KEY = ec.generate_private_key(ec.SECP256R1())
SCHEME = OpenIdConnect(
    openIdConnectUrl="https://id.example.com/.well-known/openid-configuration", auto_error=False
)


class Wishes(BaseModel):
    language: str = "en"


def token_of(name: str, scope: str = "notes:read notes:write") -> str:
    now = int(time.time())
    return jwt.encode({"sub": name, "scope": scope, "iat": now, "exp": now + 900}, KEY, "ES256")


def desk(*, scoped: bool = True) -> FastAPI:
    """It believes the issuer who people are, and looks at what they may do where it is `scoped`."""
    app, wishes = FastAPI(), dict[str, Wishes]()

    def caller(needed: SecurityScopes, header: Annotated[str | None, Security(SCHEME)]) -> str:
        try:
            claims = jwt.decode((header or "").removeprefix("Bearer "), KEY.public_key(), ["ES256"])
            name, granted = claims["sub"], set(claims["scope"].split())
        except (jwt.PyJWTError, KeyError, AttributeError):
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"}) from None
        if scoped and not granted.issuperset(needed.scopes):
            raise HTTPException(403, "insufficient_scope")
        return name

    @app.get("/me")
    def me(name: Annotated[str, Security(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.get("/notes")
    def notes(name: Annotated[str, Security(caller, scopes=["notes:read"])]) -> list[str]:
        return [f"of {name}"]

    @app.put("/me/wishes")
    def wish(body: Wishes, name: Annotated[str, Security(caller)]) -> Wishes:
        wishes[name] = body
        return body

    @app.get("/admin/wishes")
    def all_wishes(name: Annotated[str, Security(caller, scopes=["admin"])]) -> dict[str, Wishes]:
        return wishes

    return app


def judged(code: str, app: FastAPI, accounts: dict[str, Any] | None = None, **more: Any) -> Result:
    given = {name: {"token": {"env": f"TOKEN_OF_{name}".upper()}} for name in ("alice", "bob")}
    return judged_as_found(code, app, accounts=given | (accounts or {}), **more)


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alice", "bob"):
        monkeypatch.setenv(f"TOKEN_OF_{name}".upper(), token_of(name))
    monkeypatch.setenv("READER_TOKEN", token_of("robot", "profile:read"))


READER = {"reader": {"token": {"env": "READER_TOKEN"}, "role": "expendable"}}


def test_the_key_set_of_the_issuer_is_given_as_a_file(tmp_path: Path) -> None:
    mine, other = (
        json.loads(ECAlgorithm.to_jwk(key.public_key()))
        for key in (KEY, ec.generate_private_key(ec.SECP256R1()))
    )
    told = judged("TOK113", desk())
    assert (told.name, "key_set =" in told.verdict.remedy) == ("inconclusive", True), said(told)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [mine]}))
    for code in ("TOK113", "TOK130"):
        assert judged(code, desk(), key_set=str(file)).name == "passed", code
    file.write_text(json.dumps({"keys": [other]}))
    with pytest.raises(ConfigurationError, match="verifies A's token"):
        judged("TOK113", desk(), key_set=str(file))
    file.write_text("[]")
    with pytest.raises(ConfigurationError, match="holds no JSON Web Key Set"):
        judged("TOK113", desk(), key_set=str(file))


@pytest.mark.parametrize("scoped", [True, False])
def test_a_token_with_fewer_scopes_is_given(scoped: bool) -> None:
    told = judged("AUZ111", desk())
    assert (told.name, "[accounts.reader]" in told.verdict.remedy) == ("skipped", True), said(told)
    result = judged("AUZ111", desk(scoped=scoped), READER)
    assert result.name == ("passed" if scoped else "failed"), said(result)
    assert scoped or "the token of x-reader without notes:read" in result.verdict.reason


def test_who_may_be_changed_is_known_by_a_token() -> None:
    told = judged("DOC101", desk())
    assert (told.name, "[accounts.victim]" in told.verdict.remedy) == ("inconclusive", True), said(told)
    assert 'token = { env = "VICTIM_TOKEN" }' in told.verdict.remedy
    assert judged("DOC101", desk(), READER).name == "passed"


def test_an_administrator_is_known_by_a_token() -> None:
    told = judged("AUZ104", desk())
    assert told.verdict.remedy == '[accounts.admin]\ntoken = { env = "ADMIN_TOKEN" }\nrole = "admin"', said(
        told
    )


def test_whom_the_issuer_vouches_for_the_service_need_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    told = judged("TOK201", desk())
    assert (told.name, "[signing]" in told.verdict.remedy) == ("skipped", True), said(told)
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("ISSUER_KEY", pem)
    signing = {"key": {"env": "ISSUER_KEY"}, "algorithm": "ES256"}
    assert judged("TOK201", desk(), signing=signing).name == "passed"
    result = judged("TOK211", desk(), signing=signing)
    assert result.name == "passed", said(result)
    assert any("the issuer says" in note for note in result.verdict.notes)
    wide = judged("AUZ111", desk(), signing=signing)
    assert wide.name == "passed", said(wide)
