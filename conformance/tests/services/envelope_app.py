"""A house-built JSON API in which nothing has its usual name.

`POST /api/session` takes `{"identifier", "passphrase"}` and answers `{"ok": true, "data": {"session":
{"token": ...}}}`; the opaque token travels in `X-Session-Token`. `DELETE /api/session` logs out, `GET
/api/profile` names the caller, `GET|POST /api/notes` and `GET|PUT|DELETE /api/notes/{id}` are private to
each person. Refusals are 401, 404 or 429 with `{"ok": false, "code": ...}`; somebody else's note does not
exist (404). The document is at `/api/schema/openapi.json`. Start: `services.envelope_app:create_app`; alice
and bob exist.

True faults: none known. Ten wrong passwords within a minute close an account for the rest of it, also to
its owner.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field
from services.people import PEOPLE, FailureLimit, PasswordBook, Sessions


class RefusalError(Exception):
    """Anything but the answer the caller hoped for."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers


class Credentials(BaseModel):
    identifier: str = Field(max_length=64)
    passphrase: str = Field(max_length=128)


class Note(BaseModel):
    text: str = Field(max_length=1000)


TokenHeader = Annotated[str | None, Depends(APIKeyHeader(name="X-Session-Token", auto_error=False))]


def create_app(*, people: Mapping[str, str] = PEOPLE) -> FastAPI:
    app = FastAPI(title="Envelope", openapi_url="/api/schema/openapi.json", docs_url=None, redoc_url=None)
    sessions = Sessions()

    @app.exception_handler(RefusalError)
    def refuse(_: Request, refusal: RefusalError) -> JSONResponse:
        return JSONResponse({"ok": False, "code": refusal.code}, refusal.status, refusal.headers)

    @app.exception_handler(RequestValidationError)
    def complain(_: Request, __: RequestValidationError) -> JSONResponse:
        return JSONResponse({"ok": False, "code": "malformed"}, 422)

    @app.middleware("http")
    async def private(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await proceed(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def caller(token: TokenHeader) -> str:
        name = sessions.owner(token)
        if name is None:
            raise RefusalError(401, "session_required")
        return name

    app.include_router(_session_routes(sessions, caller, people), prefix="/api")
    app.include_router(_note_routes(caller), prefix="/api")
    return app


def _session_routes(sessions: Sessions, caller: Callable[..., str], people: Mapping[str, str]) -> APIRouter:
    api = APIRouter()
    passwords, limit = PasswordBook(people), FailureLimit()
    authenticated = Annotated[str, Depends(caller)]

    @api.post("/session", status_code=201)
    def log_in(credentials: Credentials) -> dict[str, Any]:
        name = credentials.identifier
        if wait := limit.wait(name):
            raise RefusalError(429, "too_many_attempts", {"Retry-After": str(wait)})
        if not passwords.accepts(name, credentials.passphrase):
            limit.failed(name)
            raise RefusalError(401, "bad_credentials")
        limit.succeeded(name)
        session = {"token": sessions.open(name), "expires_in": int(sessions.lifetime)}
        return {"ok": True, "data": {"session": session}}

    @api.delete("/session")
    def log_out(_: authenticated, token: TokenHeader) -> dict[str, Any]:
        sessions.close(token or "")
        return {"ok": True, "data": None}

    @api.get("/profile")
    def profile(name: authenticated) -> dict[str, Any]:
        return {"ok": True, "data": {"identifier": name}}

    return api


def _note_routes(caller: Callable[..., str]) -> APIRouter:
    api = APIRouter(prefix="/notes")
    notes: dict[UUID, tuple[str, str]] = {}
    authenticated = Annotated[str, Depends(caller)]

    def own(key: UUID, name: str) -> dict[str, str]:
        owner, text = notes.get(key, ("", ""))
        if owner != name:
            raise RefusalError(404, "no_such_note")
        return {"id": str(key), "text": text}

    @api.get("")
    def list_notes(name: authenticated) -> dict[str, Any]:
        return {"ok": True, "data": [own(key, name) for key, (owner, _) in notes.items() if owner == name]}

    @api.post("", status_code=201)
    def write_note(note: Note, name: authenticated) -> dict[str, Any]:
        key = uuid4()
        notes[key] = (name, note.text)
        return {"ok": True, "data": own(key, name)}

    @api.get("/{note_id}")
    def read_note(note_id: UUID, name: authenticated) -> dict[str, Any]:
        return {"ok": True, "data": own(note_id, name)}

    @api.put("/{note_id}")
    def change_note(note_id: UUID, note: Note, name: authenticated) -> dict[str, Any]:
        own(note_id, name)
        notes[note_id] = (name, note.text)
        return {"ok": True, "data": own(note_id, name)}

    @api.delete("/{note_id}")
    def drop_note(note_id: UUID, name: authenticated) -> dict[str, Any]:
        own(note_id, name)
        del notes[note_id]
        return {"ok": True, "data": None}

    return api
