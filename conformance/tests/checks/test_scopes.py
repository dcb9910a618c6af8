"""AUZ111 where nothing looks at scopes, where everything does, and where a renewed token has more than the first."""

import secrets
import time
from typing import Annotated, Any

import jwt
import pytest
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, Form, HTTPException, Security
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed

SCOPES = {"who": "see who you are", "notes": "see notes"}


def office(
    *,
    looked_at: bool = True,
    widened: bool = False,
    claimed: bool = False,
    closed: str = "",
    changed: list[str] | None = None,
) -> FastAPI:
    """Opaque tokens with scopes; `widened` believes the scopes that a renewal asks for.

    With `claimed`, tokens are JWTs that say in `permissions` what they may do. With `changed`, a new password is
    taken without the current one, and whose it is noted there.
    """
    app = FastAPI()
    access: dict[str, tuple[str, set[str]]] = {}
    renewable: dict[str, tuple[str, set[str]]] = {}
    bearer = OAuth2PasswordBearer(tokenUrl="token", scopes=SCOPES)

    def caller(wanted: SecurityScopes, token: Annotated[str, Depends(bearer)]) -> str:
        if token not in access:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        name, scopes = access[token]
        if looked_at and not set(wanted.scopes) <= scopes:
            raise HTTPException(403, "not with this token")
        return name

    def issued(name: str, scopes: set[str]) -> dict[str, str]:
        token, renewal = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        if claimed:
            listed = {"sub": name, "scope": "openid", "permissions": sorted(scopes), "jti": token}
            token = jwt.encode(listed, secrets.token_bytes(32))
        access[token] = renewable[renewal] = (name, scopes)
        if claimed:
            return {"access_token": token, "refresh_token": renewal}
        return {"access_token": token, "refresh_token": renewal, "scope": " ".join(sorted(scopes))}

    @app.post("/token")
    def log_in(
        username: Annotated[str, Form()], password: Annotated[str, Form()], scope: Annotated[str, Form()] = ""
    ) -> dict[str, str]:
        if PEOPLE.get(username) != password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return issued(username, set(scope.split() or SCOPES) & set(SCOPES))

    @app.post("/token/refresh")
    def renew(refresh_token: Annotated[str, Form()], scope: Annotated[str, Form()] = "") -> dict[str, str]:
        if refresh_token not in renewable:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        name, scopes = renewable.pop(refresh_token)
        wanted = set(scope.split()) or scopes
        return issued(name, wanted if widened else wanted & scopes)

    @app.get("/me")
    def me(name: Annotated[str, Security(caller, scopes=["who"])]) -> dict[str, str]:
        return {"username": name}

    @app.get("/notes")
    def notes(name: Annotated[str, Security(caller, scopes=["notes"])]) -> list[str]:
        return [f"a note of {name}"]

    if closed:

        def unseen(_: SecurityScopes, token: Annotated[str, Depends(bearer)]) -> str:
            return token

        guard = caller if closed == "guarded" else unseen

        @app.get("/archive")
        def archive(name: Annotated[str, Security(guard, scopes=["notes"])]) -> list[str]:
            raise HTTPException(403, "the archive is closed today")

    if changed is not None:

        @app.put("/me/password", status_code=204)
        def change(
            password: Annotated[str, Form()], name: Annotated[str, Security(caller, scopes=["who"])]
        ) -> None:
            changed.append(name)

    return app


@pytest.mark.parametrize(
    ("knobs", "operations"),
    [
        ({"looked_at": False}, ["GET /me", "GET /notes"]),
        ({"looked_at": False, "claimed": True}, ["GET /me", "GET /notes"]),
        ({"widened": True}, ["POST /token/refresh"]),
    ],
    ids=["nothing looks at them", "nothing looks at permissions", "more when renewed"],
)
def test_what_has_no_scope_for_it_and_gets_in_is_found(knobs: dict[str, bool], operations: list[str]) -> None:
    found: Any = judged_as_found("AUZ111", office(**knobs)).verdict
    assert isinstance(found, Failed)
    assert sorted(violation.operation for violation in found.violations) == operations


@pytest.mark.parametrize("closed", ["", "guarded"])
def test_scopes_that_are_looked_at_pass(closed: str) -> None:
    result = judged_as_found("AUZ111", office(closed=closed))
    assert isinstance(result.verdict, Passed), said(result)


def test_a_refusal_that_everybody_gets_shows_no_scope() -> None:
    result = judged_as_found("AUZ111", office(closed="unguarded"))
    assert result.name == "inconclusive", said(result)
    assert "GET /archive refused a credential with all scopes (403)" in said(result)


def test_nobody_loses_the_password_to_a_control() -> None:
    """A change that asks for no current password: what A may do is not tried with A's own account."""
    changed: list[str] = []
    result = judged_as_found("AUZ111", office(changed=changed))
    assert changed == [], said(result)
    assert "PUT /me/password was not called" in said(result)


def signed(*, unasked: str = "") -> FastAPI:
    """JWTs whose scopes are a text, split as every tutorial does it; papers are made, read and deleted by scope."""
    app, papers = FastAPI(), dict[str, str]()
    app.state.key = secrets.token_hex(32)
    bearer = OAuth2PasswordBearer(tokenUrl="token", scopes=dict.fromkeys(("who", "write", "shred"), ""))

    def caller(wanted: SecurityScopes, token: Annotated[str, Depends(bearer)]) -> str:
        try:
            claims = jwt.decode(token, app.state.key, ["HS256"])
        except jwt.PyJWTError:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"}) from None
        if not {*wanted.scopes} - {unasked} <= {*claims["scope"].split(" ")}:
            raise HTTPException(403, "not with this token")
        return str(claims["sub"])

    @app.post("/token")
    def log_in(
        username: Annotated[str, Form()], password: Annotated[str, Form()], scope: Annotated[str, Form()] = ""
    ) -> dict[str, str]:
        if PEOPLE.get(username) != password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        granted = scope or "who write shred"
        claims = {
            "sub": username,
            "scope": granted,
            "exp": int(time.time()) + 900,
            "jti": secrets.token_hex(4),
        }
        return {"access_token": jwt.encode(claims, app.state.key, "HS256"), "scope": granted}

    @app.get("/me")
    def me(name: Annotated[str, Security(caller, scopes=["who"])]) -> dict[str, str]:
        return {"username": name}

    def own(number: str, name: str) -> dict[str, str]:
        if not papers.get(number, "").startswith(f"{name}:"):
            raise HTTPException(404, "no such paper")
        return {"id": number, "text": papers[number].partition(":")[2]}

    @app.post("/papers", status_code=201)
    def write(
        text: Annotated[str, Body(embed=True)], name: Annotated[str, Security(caller, scopes=["write"])]
    ) -> dict[str, str]:
        papers[number := secrets.token_hex(8)] = f"{name}:{text}"
        return own(number, name)

    @app.get("/papers/{number}")
    def read(number: str, name: Annotated[str, Security(caller, scopes=["who"])]) -> dict[str, str]:
        return own(number, name)

    @app.delete("/papers/{number}", status_code=204)
    def shred(number: str, name: Annotated[str, Security(caller, scopes=["shred"])]) -> None:
        del papers[own(number, name)["id"]]

    return app


def test_a_crash_over_scopes_that_nobody_issues_says_nothing_of_scopes() -> None:
    result = judged_as_found("AUZ111", signed())
    assert isinstance(result.verdict, Passed), said(result)
    assert "with a token with a nested list of scopes: the service answered 500" in said(result)


def test_a_deletion_that_asks_for_no_scope_finds_something_to_delete() -> None:
    result = judged_as_found("AUZ111", signed(unasked="shred"))
    assert [finding.operation for finding in result.findings] == ["DELETE /papers/{number}"], said(result)
