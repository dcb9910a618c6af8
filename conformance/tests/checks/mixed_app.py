"""A service with three ways to sign in and one error body, and knobs that make it wrong in one way each."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE
from starlette.exceptions import HTTPException

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load
from auth_conformance.target import Target

LISTED = "https://app.example.com"
CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "wrong_verb", 422: "invalid"}


class Credentials(BaseModel):
    username: str
    password: str


class Drawer(BaseModel):
    label: str


def create_app(  # noqa: PLR0915 - a service is many handlers, and knobs are branches
    *,
    challenge: str | None = "Bearer, ApiKey, Cookie",
    invalid: int = 401,
    one_body: bool = True,
    origins: Sequence[str] = (),
    crash_on: str | None = None,
    crash_always: bool = False,
    split: bool = False,
    painted_lock: bool | Literal["ajar", "people"] = False,
    page_refusals: bool = False,
    forgets_cookie: bool = False,
    logs: int | None = None,
    counts: int | None = None,
    favours: int | None = None,
    same_site: Literal["lax", "strict", "none"] | None = "lax",
) -> FastAPI:
    app = FastAPI()
    sessions: dict[str, str] = {}
    drawers: dict[str, tuple[str, str]] = {}
    used: dict[str, int] = {}
    bearer = HTTPBearer(auto_error=False, scheme_name="Token")
    key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="Key")
    cookie = APIKeyCookie(name="sid", auto_error=False, scheme_name="Session")
    keys = {f"key-of-{name}-0123456789": name for name in PEOPLE}

    def refuse(status: int = 401, code: str = "unauthorized") -> HTTPException:
        headers = {"WWW-Authenticate": challenge} if challenge and status == 401 else None
        return HTTPException(status, code, headers)

    async def caller(
        request: Request,
        response: Response,
        token: Annotated[Any, Depends(bearer)],
        api_key: Annotated[str | None, Depends(key)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        sent = request.headers.get("authorization", "")
        if crash_always or (crash_on and crash_on in sent.encode("latin-1").decode("utf-8", "replace")):
            raise RuntimeError(crash_on)
        if not (sent or api_key or sid):
            raise refuse()
        found = []
        if sent:
            found.append(sessions.get(token.credentials if token else ""))
        if api_key:
            found.append(keys.get(api_key))
        if sid and not forgets_cookie:
            found.append(sessions.get(sid))
        if not found or None in found:
            raise refuse(invalid)
        two = len(set(found)) > 1
        if two and not split and logs is None and counts is None and favours is None:
            raise refuse()
        name = found[-1 if split and request.url.path.startswith("/drawers") else 0]
        if two and favours is not None:
            used["of two"] = used.get("of two", 0) + 1
            name = min(filter(None, found)) if used["of two"] <= favours else name
        assert name is not None
        if logs is not None:
            logging.getLogger("mixed").warning("%s by %s", request.url.path, found[logs])
        if counts is not None:
            counted = found[counts] or ""
            used[counted] = used.get(counted, 0) + 1
            response.headers["X-RateLimit-Remaining"] = str(10_000 - used[counted])
        return name

    Caller = Annotated[str, Depends(caller)]

    async def log_in(body: Credentials) -> str:
        if not secrets.compare_digest(PEOPLE.get(body.username, "").encode(), body.password.encode()):
            raise refuse()
        sid = secrets.token_urlsafe(24)
        sessions[sid] = body.username
        return sid

    @app.post("/login", response_model=dict[str, str])
    async def login(body: Credentials) -> Any:
        if page_refusals and PEOPLE.get(body.username) != body.password:
            return HTMLResponse("<!doctype html><title>Log in</title><p>Wrong.", 401, refuse().headers)
        return {"access_token": await log_in(body), "token_type": "bearer"}

    @app.post("/session")
    async def session(body: Credentials, response: Response) -> dict[str, str]:
        response.set_cookie("sid", await log_in(body), httponly=True, secure=True, samesite=same_site)
        return {"status": "ok"}

    @app.get("/me")
    async def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.post("/drawers")
    async def create(body: Drawer, name: Caller) -> dict[str, str]:
        number = secrets.token_hex(8)
        drawers[number] = (name, body.label)
        return {"id": number, "label": body.label}

    @app.get("/drawers/{drawer_id}")
    async def read(drawer_id: str, name: Caller) -> dict[str, str]:
        owner, label = drawers.get(drawer_id, (None, ""))
        if owner != name:
            raise refuse(404)
        return {"id": drawer_id, "label": label}

    if painted_lock:

        @app.get("/secret", openapi_extra={"security": [{"Token": []}]})
        async def secret(request: Request) -> dict[str, str]:
            known = request.headers.get("authorization", "").removeprefix("Bearer ") in sessions
            return {"secret": "for bob" if painted_lock == "people" else "none"} | (
                {"more": "some"} if known and painted_lock == "ajar" else {}
            )

    def answer(status: int, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": CODES.get(status, "error"), "message": "No."}, status, headers)

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return answer(error.status_code, error.headers)

    async def on_invalid(_: Request, __: Exception) -> JSONResponse:
        return answer(422)

    if one_body:
        app.add_exception_handler(HTTPException, on_http)
        app.add_exception_handler(RequestValidationError, on_invalid)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_credentials=True)
    return app


def judged(
    code: str,
    *,
    listed: Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
    level: int = 3,
    **knobs: Any,
) -> Result:
    """The result of one check on the service with these knobs."""
    return judged_all([code], create_app(**knobs), listed=listed, policy=policy, level=level)[0]


def judged_all(
    codes: Sequence[str],
    app: Any,
    *,
    listed: Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
    level: int = 3,
    on_target: Callable[[Target], None] = lambda _: None,
) -> tuple[Result, ...]:
    """The results of these checks on one application."""
    accounts = {
        label: {
            "username": name,
            "password": {"env": f"PASSWORD_OF_{name}".upper()},
            "key": {"env": f"KEY_OF_{name}".upper()},
        }
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    settings = load(
        {"accounts": accounts, "level": level, "policy": {"origins": list(listed), **(policy or {})}},
        start=Path("/"),
    )
    chosen = [catalog.load()[code] for code in codes]
    return asyncio.run(conduct(settings, chosen, app=app, on_target=on_target)).results
