"""ERR107 where a body with unknown members is refused, and the refusal names them."""

import secrets
from typing import Annotated

from checks.desk import Bearer
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from services.people import PEOPLE

from auth_conformance.model import Failed, Severity

NO = HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str
    password: str


def strict() -> FastAPI:
    """A service whose errors say where something was wrong, and nothing of what was sent there."""
    app, logins = FastAPI(), dict[str, str]()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": [list(item["loc"]) for item in error.errors()]}, 422)

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins:
            raise NO
        return logins[bearer.credentials]

    @app.post("/login")
    def login(who: Entry) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise NO
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


def test_a_name_of_a_member_that_is_repeated_is_no_grave_matter() -> None:
    result = judged_as_found("ERR107", strict())
    assert isinstance(result.verdict, Failed), said(result)
    assert result.severity is Severity.LOW, said(result)
