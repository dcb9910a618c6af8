"""AUZ101 where people are told 403 for what is not theirs and for what is not there: no filter has to be in front."""

import secrets
from typing import Annotated

from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint


class Note(BaseModel):
    text: str


def closed() -> FastAPI:
    """Notes of people; whoever asks for anything else is refused in the words for the notes of others."""
    app, notes = FastAPI(), dict[str, tuple[str, str]]()
    caller = front_desk(app)

    @app.post("/notes", status_code=201)
    def create(note: Note, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        notes[number := secrets.token_hex(6)] = (name, note.text)
        return {"id": number, "text": note.text}

    @app.get("/notes/{number}")
    def read(number: str, name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        owner, text = notes.get(number, ("", ""))
        if owner != name:
            raise HTTPException(403, "Permission denied")
        return {"id": number, "text": text}

    async def deny(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        if response.status_code != 404:
            return response
        known = "authorization" in request.headers and "ordinary" not in request.headers["authorization"]
        return JSONResponse({"detail": "Permission denied" if known else "no"}, 403 if known else 401)

    app.add_middleware(BaseHTTPMiddleware, dispatch=deny)
    return app


def test_who_refuses_everything_in_one_way_is_no_filter() -> None:
    result = judged_as_found("AUZ101", closed())
    assert result.name == "passed", said(result)
