"""WEB104 where the changes of one collection want a CSRF token, and those of another were forgotten."""

import secrets
from typing import Annotated, Any

from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.security import APIKeyCookie
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed


class Person(BaseModel):
    username: str
    password: str


def shelves(*, everywhere: bool) -> FastAPI:
    """Forms and a session cookie without SameSite; books want the token, and magazines where `everywhere`."""
    app = FastAPI()
    sessions: dict[str, str] = {}
    things: dict[str, dict[str, str]] = {}
    cookie = APIKeyCookie(name="sid", auto_error=False)

    def caller(sid: Annotated[str | None, Depends(cookie)]) -> str:
        if sid not in sessions:
            raise HTTPException(401, "no")
        return sessions[sid or ""]

    def meant(request: Request, name: Annotated[str, Depends(caller)]) -> str:
        if request.headers.get("x-csrf-token") != request.cookies["sid"][::-1]:
            raise HTTPException(403, "csrf")
        return name

    @app.post("/login")
    def login(who: Person, request: Request, response: Response) -> dict[str, str]:
        own = request.headers.get("origin", "http://testserver") == "http://testserver"
        if PEOPLE.get(who.username) != who.password or not own:
            raise HTTPException(401, "no")
        sid = secrets.token_urlsafe(24)
        sessions[sid] = who.username
        response.set_cookie("sid", sid, httponly=True, samesite="none", secure=True)
        return {"csrf_token": sid[::-1]}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    def collection(kind: str, guard: Any) -> None:
        @app.post(f"/{kind}", status_code=201)
        def create(title: Annotated[str, Form()], name: Annotated[str, Depends(guard)]) -> dict[str, str]:
            made = {"id": secrets.token_hex(6), "owner": name, "title": title}
            things[made["id"]] = made
            return made

        @app.get(f"/{kind}/{{thing}}")
        def read(thing: str, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
            if things.get(thing, {}).get("owner") != name:
                raise HTTPException(404, "no")
            return things[thing]

    collection("books", meant)
    collection("magazines", meant if everywhere else caller)
    return app


def test_a_change_that_was_forgotten_is_found() -> None:
    found: Any = judged_as_found("WEB104", shelves(everywhere=False)).verdict
    assert isinstance(found, Failed)
    assert {violation.operation for violation in found.violations} == {"POST /magazines"}


def test_changes_that_are_all_defended_pass() -> None:
    result = judged_as_found("WEB104", shelves(everywhere=True))
    assert isinstance(result.verdict, Passed), said(result)
