"""ERR107 where a body with unknown members is refused, and the refusal names them."""

from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import ConfigDict
from services.people import PEOPLE
from starlette.middleware.base import RequestResponseEndpoint

from auth_conformance.model import Failed, Severity


class Entry(Person):
    model_config = ConfigDict(extra="forbid")


def strict() -> FastAPI:
    """A service whose errors say where something was wrong, and nothing of what was sent there."""
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": [list(item["loc"]) for item in error.errors()]}, 422)

    front_desk(app, entry=Entry)
    return app


def test_a_name_of_a_member_that_is_repeated_is_no_grave_matter() -> None:
    result = judged_as_found("ERR107", strict())
    assert isinstance(result.verdict, Failed), said(result)
    assert result.severity is Severity.LOW, said(result)


def test_what_was_taken_is_no_refusal_that_could_repeat_a_secret() -> None:
    """A page answers whatever does not fit: what the login says to a password that it refuses was not seen."""
    app = FastAPI()

    @app.middleware("http")
    async def page(request: Request, go_on: RequestResponseEndpoint) -> Response:
        body = await request.body()
        if any(word.encode() in body for word in PEOPLE.values()) or request.url.path != "/login":
            return await go_on(request)
        return HTMLResponse("<h1>Shop</h1>")

    front_desk(app)
    result = judged_as_found("ERR107", app)
    assert result.name == "inconclusive", said(result)
    assert "POST /login refused nothing" in result.verdict.reason
