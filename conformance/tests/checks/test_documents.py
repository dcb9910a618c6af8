"""DOC105, DOC107 and DOC108 at a service that mounts another one, and that limits or breaks in places."""

from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

HIDDEN = {"policy": {"hide_docs": True, "public_operations": ["GET /openapi.json"]}}


class Visit(BaseModel):
    username: str = Field(max_length=80, examples=["guide"])
    password: str = Field(max_length=80, json_schema_extra={"format": "password", "examples": ["lantern-41"]})


def museum(*, limited: str = "", broken: str = "", mounted: bool = False, health: Any = None) -> FastAPI:
    """`limited` and `broken` are paths; `mounted` has an annex with documentation of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None if mounted else "/openapi.json")
    caller = front_desk(app)

    @app.middleware("http")
    async def door(request: Request, call_next: Any) -> Response:
        guided = limited == "guide" and request.method == "POST" and b"guide" in await request.body()
        if request.url.path == limited or guided:
            return JSONResponse({"detail": "slower"}, 429, headers={"Retry-After": "99"})
        if request.url.path == broken:
            return JSONResponse({"detail": "broken"}, 500)
        answer: Response = await call_next(request)
        return answer

    @app.get("/health")
    def healthy() -> dict[str, Any]:
        return health or {"status": "ok", "version": "1.2"}

    @app.post("/visits", summary="Come in")
    def visit(_: Visit, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        raise HTTPException(409, name)

    if mounted:
        annex = FastAPI(redoc_url=None)
        front_desk(annex)
        app.mount("/annex", annex)
    return app


@pytest.mark.parametrize(
    ("knobs", "name", "words"),
    [
        ({}, "passed", ""),
        ({"broken": "/console"}, "passed", ""),
        ({"limited": "/docs"}, "inconclusive", "GET /docs gave no usable answer"),
        ({"health": {"status": "ok", "hostname": "m1", "uptime_s": 7}}, "failed", "GET /health shows"),
    ],
)
def test_what_strangers_can_read(knobs: dict[str, Any], name: str, words: str) -> None:
    result = judged_as_found("DOC108", museum(**knobs), patience=0, **HIDDEN)
    assert result.name == name, said(result)
    assert words in result.verdict.reason


def test_documentation_of_what_is_mounted_is_found() -> None:
    told = {"policy": {"hide_docs": True}, "openapi": "/annex/openapi.json"}
    result = judged_as_found("DOC108", museum(mounted=True), **told)
    assert result.name == "failed", said(result)
    told_of = [item.operation for item in getattr(result.verdict, "violations", ())]
    assert told_of == ["GET /annex/openapi.json", "GET /annex/docs"]


def test_documented_users_that_a_limit_kept_out_were_not_tried() -> None:
    sound = judged_as_found("DOC107", museum())
    tried = [item.label for item in sound.verdict.evidence]
    assert "log in as documented" in tried, said(sound)
    assert "control: the right password of A" in tried
    result = judged_as_found("DOC107", museum(limited="guide"), patience=0)
    assert "A documented user could not be tried" in said(result)
