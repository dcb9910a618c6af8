"""A service unlike the reference app: Starlette's sessions or ids of its own, login by form, keys in memory."""

import itertools
import secrets
from collections.abc import Callable
from typing import Annotated, Any

from checks.judging import judged_as_found
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.security import APIKeyCookie, APIKeyHeader
from pydantic import BaseModel
from services.people import PEOPLE
from starlette.middleware.sessions import SessionMiddleware

from auth_conformance.model import Result


class Wanted(BaseModel):
    name: str


def create_app(  # noqa: PLR0915 - a service is many handlers, and knobs are branches
    *,
    secret: str | None = None,
    make_id: Callable[[int], str] = lambda _: secrets.token_urlsafe(32),
    make_key: Callable[[int], str] = lambda _: f"k_{secrets.token_hex(20)}",
    show_keys: bool = False,
    most_keys: int = 1_000,
    last_cookie: bool = False,
    cookie_name: str = "sid",
    url_session: bool = False,
    reauthenticates: bool | None = None,
    doomed: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """With `secret` the session lives in the cookie, signed by Starlette's SessionMiddleware; else in memory.

    Once somebody logs out while it is `doomed`, it refuses everybody.
    """
    app = FastAPI()
    sessions: dict[str, str] = {}
    keys: dict[str, tuple[str, str]] = {}
    numbers = itertools.count(1_000)
    lost: list[str] = []
    cookie = APIKeyCookie(name=cookie_name, auto_error=False, scheme_name="Session")
    header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="Key")
    if secret is not None:
        app.add_middleware(
            SessionMiddleware, secret_key=secret, session_cookie=cookie_name, https_only=True, max_age=3600
        )

    def of_cookie(request: Request) -> str | None:
        if secret is not None:
            name = request.session.get("user")
            return name if isinstance(name, str) else None
        sent = [
            pair.strip().partition("=")[2]
            for pair in "; ".join(request.headers.getlist("cookie")).split(";")
            if pair.strip().startswith(f"{cookie_name}=")
        ]
        if url_session and "sid" in request.query_params:
            sent.append(request.query_params["sid"])
        if not sent or (len(sent) > 1 and not last_cookie):
            return None
        return sessions.get(sent[-1])

    async def caller(
        request: Request,
        _: Annotated[str | None, Depends(cookie)],
        key: Annotated[str | None, Depends(header)],
    ) -> str:
        name = keys.get(key, ("", ""))[0] if key is not None else of_cookie(request)
        if not name or lost:
            raise HTTPException(401, "no")
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/enter")
    async def enter(
        request: Request,
        response: Response,
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
    ) -> dict[str, str]:
        if PEOPLE.get(username) != password or lost:
            raise HTTPException(401, "no")
        if secret is not None:
            request.session["user"] = username
        else:
            sid = make_id(next(numbers))
            sessions[sid] = username
            response.set_cookie(cookie_name, sid, httponly=True, secure=True, samesite="lax")
        return {"hello": username}

    @app.post("/leave")
    async def leave(request: Request, response: Response, name: Caller) -> dict[str, str]:
        if secret is not None:
            request.session.clear()
        else:
            sessions.pop(request.cookies.get(cookie_name, ""), None)
            response.delete_cookie(cookie_name)
        lost.extend([name] * doomed())
        return {"bye": name}

    if reauthenticates is not None:

        class Again(BaseModel):
            password: str

        @app.post("/confirm-password")
        async def confirm(body: Again, request: Request, response: Response, name: Caller) -> dict[str, str]:
            if PEOPLE[name] != body.password:
                raise HTTPException(403, "no")
            if reauthenticates:
                sessions.pop(request.cookies.get(cookie_name, ""), None)
                sid = make_id(next(numbers))
                sessions[sid] = name
                response.set_cookie(cookie_name, sid, httponly=True, secure=True, samesite="lax")
            return {"confirmed": name}

    @app.get("/profile")
    async def profile(name: Caller) -> dict[str, dict[str, str]]:
        return {"data": {"username": name}}

    @app.post("/api-keys", status_code=201)
    async def make(body: Wanted, name: Caller, response: Response) -> dict[str, str]:
        if sum(owner == name for owner, _ in keys.values()) >= most_keys:
            raise HTTPException(409, "revoke one of your keys first")
        key, number = make_key(next(numbers)), secrets.token_hex(4)
        keys[key] = (name, number)
        response.headers["Cache-Control"] = "no-store"
        return {"id": number, "name": body.name, "key": key}

    @app.get("/api-keys")
    async def listed(name: Caller) -> list[dict[str, str]]:
        return [
            {"id": number, **({"key": key} if show_keys else {"last": key[-4:]})}
            for key, (owner, number) in keys.items()
            if owner == name
        ]

    @app.delete("/api-keys/{key_id}", status_code=204)
    async def revoke(key_id: str, name: Caller) -> None:
        found = next((key for key, value in keys.items() if value == (name, key_id)), None)
        if found is None:
            raise HTTPException(404, "nothing")
        del keys[found]

    return app


def judged(code: str, **knobs: Any) -> Result:
    """The result of one check on the service with these knobs."""
    return judged_as_found(code, create_app(**knobs))
