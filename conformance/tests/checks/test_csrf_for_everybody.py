"""DOC102 where everybody needs a CSRF token: an open change that refuses for want of one demands no credential."""

import secrets
from typing import Annotated, Any

from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie
from pydantic import BaseModel
from services.people import PEOPLE

Session = Annotated[str | None, Depends(APIKeyCookie(name="SID", auto_error=False))]


class Login(BaseModel):
    username: str
    password: str


class Remark(BaseModel):
    text: str


def shield(app: FastAPI) -> None:
    """Double submit, for members and strangers alike; the refusal itself hands the token over."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        own = request.cookies.get("XSRF-TOKEN")
        if request.method == "POST" and (not own or request.headers.get("x-xsrf-token") != own):
            reply: Response = JSONResponse({"status": 403, "error": "Forbidden"}, 403)
        else:
            reply = await call_next(request)
        if not own:
            reply.set_cookie("XSRF-TOKEN", secrets.token_hex(16))
        return reply


def desk(*, closed: bool = False) -> FastAPI:
    """Anybody may remark upon something; `closed`: only who has a session may, though no document says so."""
    app, sessions = FastAPI(), dict[str, str]()

    shield(app)

    @app.post("/login")
    def login(body: Login, response: Response) -> dict[str, str]:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no")
        response.set_cookie("SID", sid := secrets.token_urlsafe(24))
        sessions[sid] = body.username
        return {"username": body.username}

    @app.get("/me")
    def me(sid: Session) -> dict[str, str]:
        if sid not in sessions:
            raise HTTPException(401, "nobody")
        return {"username": sessions[sid]}

    def member(request: Request) -> None:
        if closed and request.cookies.get("SID") not in sessions:
            raise HTTPException(403, "not for you")

    @app.post("/remarks", dependencies=[Depends(member)])
    def remark(body: Remark) -> dict[str, str]:
        return {"text": body.text}

    return app


def test_who_has_no_csrf_token_is_not_asked_for_a_credential() -> None:
    result = judged_as_found("DOC102", desk())
    assert result.name == "passed", said(result)


def test_a_change_that_only_members_may_make_is_found_behind_the_token() -> None:
    result = judged_as_found("DOC102", desk(closed=True))
    assert result.name == "failed", said(result)
    assert "POST /remarks declares no credential" in str(result.verdict)
