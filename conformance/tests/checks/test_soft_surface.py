"""AUZ112 where strangers are refused in a 200, and where they get one page wherever they ask."""

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint


def house(answer: str) -> FastAPI:
    """Who comes without a credential gets this answer, with 200."""
    app = FastAPI()
    caller = front_desk(app, more=lambda _: {"ok": True})

    @app.get("/rooms", dependencies=[Depends(caller)])
    def rooms() -> dict[str, object]:
        return {"ok": True, "rooms": ["attic"]}

    async def door(request: Request, call_next: RequestResponseEndpoint) -> Response:
        known = "authorization" in request.headers or request.url.path in ("/login", "/docs", "/openapi.json")
        return await call_next(request) if known else HTMLResponse("<h1>Welcome</h1>")

    async def refused(_: Request, error: Exception) -> Response:
        return JSONResponse({"ok": False, "error": str(error)})

    if answer == "a page":
        app.add_middleware(BaseHTTPMiddleware, dispatch=door)
    else:
        app.add_exception_handler(HTTPException, refused)
    return app


@pytest.mark.parametrize(("answer", "verdict"), [("a refusal", "passed"), ("a page", "inconclusive")])
def test_what_refuses_nobody_in_so_many_words_is_not_for_everybody(answer: str, verdict: str) -> None:
    result = judged_as_found("AUZ112", house(answer))
    assert result.name == verdict, said(result)
