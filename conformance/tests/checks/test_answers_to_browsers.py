"""WEB103 and WEB110: what a limit answered is no sample, and what pages may read stands in answers."""

from typing import Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

PAGES = "https://pages.example"
INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def kiosk(*, limited: str = "", bare: bool = False, **cors: Any) -> FastAPI:
    """`limited` is a method, or a status, that is answered 429 instead; a `bare` one forgets what it refuses."""
    app = FastAPI(docs_url=None, redoc_url=None)
    front_desk(app)

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return JSONResponse({"detail": "broken"}, 500, headers=INERT)

    @app.middleware("http")
    async def dressed(request: Request, call_next: Any) -> Response:
        answer: Response = await call_next(request)
        if limited in (request.method, str(answer.status_code)):
            answer = JSONResponse({"detail": "slower"}, 429, headers={"Retry-After": "99"})
        if not (bare and answer.status_code in (401, 404)):
            answer.headers.update(INERT)
        return answer

    if cors:
        app.add_middleware(CORSMiddleware, allow_origins=[PAGES], **cors)
    if limited == "OPTIONS":
        app.user_middleware.reverse()
    return app


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ({"allow_headers": ["Authorization"]}, "passed"),
        ({"allow_headers": ["Authorization"], "expose_headers": ["X-Request-Id", "X-CSRF-Token"]}, "passed"),
        ({"allow_headers": ["Authorization"], "expose_headers": ["X-Access-Token"]}, "failed"),
        ({"allow_headers": ["Authorization"], "limited": "OPTIONS"}, "inconclusive"),
        ({"allow_headers": ["Authorization"], "limited": "404"}, "inconclusive"),
    ],
)
def test_what_pages_are_granted(knobs: dict[str, Any], name: str) -> None:
    result = judged_as_found("WEB103", kiosk(**knobs), patience=0)
    assert result.name == name, said(result)
    assert ("lets a page read x-access-token" in result.verdict.reason) is (name == "failed")
    assert ("no usable answer" in result.verdict.reason) is (name == "inconclusive")


def test_a_listed_page_that_may_read_nothing_proves_nothing() -> None:
    told = {"policy": {"origins": ["https://other.example"]}}
    result = judged_as_found("WEB103", kiosk(allow_headers=["Authorization"]), **told)
    assert result.name == "inconclusive", said(result)
    assert "https://other.example, which is listed" in result.verdict.reason


@pytest.mark.parametrize(
    ("limited", "words"), [("404", "An unknown path was not seen"), ("422", "Bad input was not seen")]
)
def test_an_answer_that_was_not_seen_is_not_inert(limited: str, words: str) -> None:
    assert judged_as_found("WEB110", kiosk()).name == "passed"
    result = judged_as_found("WEB110", kiosk(limited=limited), patience=0)
    assert result.name == "inconclusive", said(result)
    assert words in said(result)


def test_what_lacks_headers_is_named_as_people_can_ask_for_it() -> None:
    """A path that was made up is another one in the next run: a waiver could not name it."""
    found = judged_as_found("WEB110", kiosk(bare=True)).findings
    assert {(item.operation, item.subject) for item in found} == {
        ("GET /me", "a refused stranger"),
        ("an unknown path", "an unknown path"),
    }
    assert "GET /me, a refused stranger: " in str([item.message for item in found])
