"""WEB108 where refusals may be kept, where everybody may read an object, and where a read fails half-way."""

import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Severity


class Person(BaseModel):
    username: str
    password: str


class Page(BaseModel):
    title: str


class Badge(BaseModel):
    id: str
    key: str


def library(*, refusals: str = "", fails: int = 200, shared: bool = True, keys: int | None = None) -> FastAPI:
    """Pages that everybody may read and caches may keep, where `shared`; all else is `no-store`.

    `refusals` is what refusals say of caches; a read of `/me` under a new URL is answered `fails`, and whoever asks
    for an API key `keys`.
    """
    app, sessions, pages = FastAPI(), dict[str, str](), dict[str, dict[str, str]]()
    bearer = HTTPBearer(auto_error=False)

    def caller(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)], response: Response
    ) -> str:
        response.headers["Cache-Control"] = "no-store"
        if given is None or given.credentials not in sessions:
            headers = {"WWW-Authenticate": "Bearer"} | ({"Cache-Control": refusals} if refusals else {})
            raise HTTPException(401, "no", headers)
        return sessions[given.credentials]

    @app.post("/login")
    def login(who: Person, response: Response) -> dict[str, str]:
        response.headers["Cache-Control"] = "no-store"
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        sessions[token] = who.username
        return {"access_token": token, "token_type": "bearer"}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)], request: Request) -> dict[str, str]:
        if fails != 200 and request.query_params:
            raise HTTPException(fails, "busy")
        return {"username": name}

    @app.post("/pages", status_code=201)
    def create(page: Page, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        made = {"id": secrets.token_hex(6), "owner": name, "title": page.title}
        pages[made["id"]] = made
        return made

    if keys is not None:

        @app.post("/api-keys", status_code=201)
        def badge(name: Annotated[str, Depends(caller)]) -> Badge:
            raise HTTPException(keys, f"not for {name}")

        @app.delete("/api-keys/{number}", status_code=204)
        def take(number: str, name: Annotated[str, Depends(caller)]) -> None:
            raise HTTPException(404, f"no key {number} of {name}")

    def read(page: str, response: Response) -> dict[str, str]:
        response.headers["Cache-Control"] = "public, max-age=60"
        if page not in pages:
            raise HTTPException(404, "none")
        return pages[page]

    def read_own(page: str, response: Response, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        if pages.get(page, {}).get("owner") != name:
            raise HTTPException(404, "none")
        return read(page, response)

    app.get("/pages/{page}")(read if shared else read_own)
    return app


def test_what_everybody_may_read_may_be_kept() -> None:
    result = judged_as_found("WEB108", library())
    assert result.name == "passed", said(result)


def test_what_only_its_owner_may_read_may_not() -> None:
    result = judged_as_found("WEB108", library(shared=False))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "GET /pages/{page} is marked for shared caches" in result.verdict.reason


def test_refusals_that_caches_may_keep_are_a_lesser_finding() -> None:
    result = judged_as_found("WEB108", library(refusals="public, max-age=300"))
    assert (result.name, result.severity) == ("failed", Severity.LOW), said(result)
    for sound in ("max-age=0", "no-cache", "private, max-age=60"):
        result = judged_as_found("WEB108", library(refusals=sound))
        assert result.name == "passed", (sound, said(result))


def test_a_read_that_fails_under_a_new_url_is_no_proof() -> None:
    result = judged_as_found("WEB108", library(fails=403))
    assert result.name == "inconclusive", said(result)
    assert "could not read /me under a new URL" in result.verdict.reason


@pytest.mark.parametrize(("keys", "verdict"), [(403, "passed"), (503, "inconclusive")])
def test_who_may_make_no_keys_is_given_no_answer_with_one(keys: int, verdict: str) -> None:
    told = {"create": "POST /api-keys", "value": "/key", "carrier": "header X-API-Key"}
    result = judged_as_found("WEB108", library(keys=keys), keys=told, patience=0.1)
    assert result.name == verdict, said(result)
