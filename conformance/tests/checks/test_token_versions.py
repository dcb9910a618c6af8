"""A sound service in the manner of many: OAuth2 form, UUIDs as subjects, and a logout that ends every login."""

import time
import uuid
from typing import Annotated, Any

import jwt
import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel
from services.people import PEOPLE, SIGNING_SECRET

from auth_conformance.model import Failed, Inconclusive, Passed

Token = Annotated[str, Depends(OAuth2PasswordBearer("/token"))]
Form = Annotated[OAuth2PasswordRequestForm, Depends()]
NOBODY = HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})


class Person(BaseModel):
    username: str
    password: str


def read(token: str) -> dict[str, Any]:
    """The claims of a token whose end is in whole seconds and whose subject is a UUID."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, SIGNING_SECRET, ["HS256"], options={"require": ["exp", "sub", "ver"]}
        )
        uuid.UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError, AttributeError):
        raise NOBODY from None
    if type(claims["exp"]) is not int:
        raise NOBODY
    return claims


def versions(*, json_login: bool = False) -> FastAPI:
    """Wrong passwords are answered 400, at a token endpoint or at a login of the service's own."""
    app = FastAPI()
    ids = {name: uuid.uuid5(uuid.NAMESPACE_DNS, name) for name in PEOPLE}
    names = {number: name for name, number in ids.items()}
    version = dict.fromkeys(PEOPLE, 0)

    def issued(name: str, password: str) -> dict[str, Any]:
        if PEOPLE.get(name) != password:
            raise HTTPException(400, "Incorrect username or password")
        claims = {
            "sub": str(ids[name]),
            "ver": version[name],
            "exp": int(time.time()) + 600,
            "jti": str(uuid.uuid4()),
        }
        return {"access_token": jwt.encode(claims, SIGNING_SECRET), "token_type": "bearer"}

    if json_login:

        @app.post("/token")
        def by_json(who: Person) -> dict[str, Any]:
            return issued(who.username, who.password)
    else:

        @app.post("/token")
        def by_form(form: Form) -> dict[str, Any]:
            return issued(form.username, form.password)

    def caller(token: Token) -> str:
        claims = read(token)
        name = names.get(uuid.UUID(claims["sub"]))
        if name is None or claims["ver"] != version[name]:
            raise NOBODY
        return name

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.post("/logout", status_code=204)
    def logout(name: Annotated[str, Depends(caller)]) -> None:
        version[name] += 1

    return app


@pytest.mark.parametrize("code", ["ERR103", "TOK211", "DOC101"])
def test_is_not_accused(code: str) -> None:
    result = judged_as_found(code, versions())
    assert isinstance(result.verdict, Passed), said(result)


def test_a_login_of_its_own_that_answers_400_misleads() -> None:
    result = judged_as_found("ERR103", versions(json_login=True))
    assert isinstance(result.verdict, Failed), said(result)
    assert "400, not 401" in result.verdict.reason


def test_whole_seconds_are_no_reason_to_judge_nothing() -> None:
    result = judged_as_found("TOK203", versions())
    assert not isinstance(result.verdict, Inconclusive), said(result)
    assert any("fraction of a second" in note for note in result.verdict.notes), said(result)
