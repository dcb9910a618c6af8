"""A plain Starlette service: no OpenAPI document, no framework security, a bearer token read by hand.

`POST /sessions` takes JSON `{"name", "password"}` and answers `{"accessToken", "expiresIn"}`; `GET /whoami`
names the caller; `DELETE /sessions/current` logs out. Refusals are 401 with `{"error": ...}`. Start:
`services.starlette_app:create_app`; alice and bob exist.

True faults: none known. Ten wrong passwords within a minute close an account for the rest of it, also to
its owner.
"""

import json
from collections.abc import Mapping

from services.people import PEOPLE, FailureLimit, PasswordBook, Sessions
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_PRIVATE = {"Cache-Control": "no-store"}


def create_app(*, people: Mapping[str, str] = PEOPLE) -> Starlette:
    passwords, limit, sessions = PasswordBook(people), FailureLimit(), Sessions()

    async def log_in(request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            return JSONResponse({"error": "not JSON"}, 400)
        name, password = (body.get("name"), body.get("password")) if isinstance(body, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(password, str):
            return JSONResponse({"error": "name and password are required"}, 400)
        if wait := limit.wait(name):
            return JSONResponse({"error": "too many attempts"}, 429, {"Retry-After": str(wait)})
        if not await run_in_threadpool(passwords.accepts, name, password):
            limit.failed(name)
            return JSONResponse({"error": "wrong name or password"}, 401, _PRIVATE)
        limit.succeeded(name)
        answer = {"accessToken": sessions.open(name), "expiresIn": int(sessions.lifetime)}
        return JSONResponse(answer, 201, _PRIVATE)

    async def log_out(request: Request) -> Response:
        token = _bearer(request)
        if token is None or sessions.owner(token) is None:
            return _refusal()
        sessions.close(token)
        return Response(status_code=204)

    async def whoami(request: Request) -> Response:
        name = sessions.owner(_bearer(request))
        return _refusal() if name is None else JSONResponse({"name": name}, headers=_PRIVATE)

    return Starlette(
        routes=[
            Route("/sessions", log_in, methods=["POST"]),
            Route("/sessions/current", log_out, methods=["DELETE"]),
            Route("/whoami", whoami),
        ]
    )


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


def _refusal() -> Response:
    return JSONResponse(
        {"error": "a valid token is required"}, 401, {"WWW-Authenticate": "Bearer", **_PRIVATE}
    )
