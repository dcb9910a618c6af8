"""AUZ113 where the credential comes as a ticket, as a subprotocol, or in the first message."""

import contextlib
import json
import secrets
from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Result, Severity
from auth_conformance.probe import sockets


class Credentials(BaseModel):
    username: str
    password: str


def ticker(door: str, *, reusable: bool = False, careless: bool = False) -> FastAPI:
    """Prices over a WebSocket; `careless` takes any token, `reusable` any ticket again."""
    app, sessions, tickets = FastAPI(), dict[str, str](), dict[str, str]()
    bearer = HTTPBearer(auto_error=False)

    def trader(token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        if token is None or token.credentials not in sessions:
            raise HTTPException(401, "no")
        return sessions[token.credentials]

    Trader = Annotated[str, Depends(trader)]

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no")
        token = secrets.token_urlsafe(24)
        sessions[token] = body.username
        return {"access_token": token}

    @app.get("/me")
    def me(name: Trader) -> dict[str, str]:
        return {"username": name}

    if door == "ticket":

        @app.post("/prices/ticket")
        def ticket(name: Trader) -> dict[str, str]:
            value = secrets.token_urlsafe(18)
            tickets[value] = name
            return {"ticket": value}

    async def shown(socket: WebSocket) -> str | None:
        """The token that came, by the door of this house; a message only after the handshake."""
        if door == "ticket":
            value = socket.query_params.get("ticket", "")
            return tickets.get(value) if reusable else tickets.pop(value, None)
        if door == "protocol":
            offered = socket.headers.get("sec-websocket-protocol", "").partition(", ")
            return sessions.get(offered[2]) or ("anybody" if careless and offered[2] else None)
        await socket.accept()
        said = json.loads(await socket.receive_text())
        token = said.get("token", "") if isinstance(said, dict) else ""
        name = sessions.get(token) or ("anybody" if careless and token else None)
        await socket.send_json({"type": "ready" if name else "refused"})
        return name

    @app.websocket("/prices")
    async def prices(socket: WebSocket) -> None:
        try:
            if await shown(socket) is None:
                await socket.close(1008)
                return
            if door != "message":
                await socket.accept("bearer" if door == "protocol" else None)
            while True:
                await socket.receive_text()
                await socket.send_json({"price": 7})
        except WebSocketDisconnect:
            return

    return app


def judged(app: FastAPI) -> Result:
    return judged_as_found("AUZ113", app)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LISTEN", 0.05)
    monkeypatch.setattr(sockets, "PAUSES", (0.0, 0.05, 0.2))
    monkeypatch.setattr(sockets, "LONGEST_AFTER_LOGOUT", 0.1)


@pytest.mark.parametrize("door", ["ticket", "protocol", "message"])
def test_each_door_of_a_sound_house_is_found_and_passes(door: str) -> None:
    result = judged(ticker(door))
    assert result.name == "passed", said(result)
    assert "/prices opened for a live credential only" in result.verdict.reason


def test_a_ticket_that_opens_twice_is_found() -> None:
    result = judged(ticker("ticket", reusable=True))
    assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)
    assert "took a ticket of POST /prices/ticket twice" in result.verdict.reason


def test_any_token_in_the_subprotocol_is_found() -> None:
    result = judged(ticker("protocol", careless=True))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "a junk credential" in result.verdict.reason


def test_a_first_message_that_everybody_may_say_proves_nothing_and_passes_nothing() -> None:
    result = judged(ticker("message", careless=True))
    assert result.name == "inconclusive", said(result)


def ledger(*, forgets: str = "") -> FastAPI:
    """Notes over HTTP, and by their id over a WebSocket that `forgets` whose they are, or that its login has ended."""
    app, sessions, notes = FastAPI(), dict[str, str](), dict[str, dict[str, str]]()
    bearer = HTTPBearer(auto_error=False)

    def writer(token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        if token is None or token.credentials not in sessions:
            raise HTTPException(401, "no")
        return sessions[token.credentials]

    Writer = Annotated[str, Depends(writer)]

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        if PEOPLE.get(body.username) != body.password:
            raise HTTPException(401, "no")
        sessions[token := secrets.token_urlsafe(24)] = body.username
        return {"access_token": token}

    @app.post("/logout", status_code=204)
    def logout(name: Writer, token: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> None:
        del sessions[token.credentials]

    @app.get("/me")
    def me(name: Writer) -> dict[str, str]:
        return {"username": name}

    @app.post("/notes", status_code=201)
    def create(text: Annotated[str, Body(embed=True)], name: Writer) -> dict[str, str]:
        number = secrets.token_hex(8)
        notes[number] = {"id": number, "text": text, "owner": name}
        return notes[number]

    @app.get("/notes/{note_id}")
    def read(note_id: str, name: Writer) -> dict[str, str]:
        if notes.get(note_id, {}).get("owner") != name:
            raise HTTPException(404, "no such note")
        return notes[note_id]

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        token = socket.headers.get("authorization", "").removeprefix("Bearer ")
        name = sessions.get(token)
        if name is None:
            return await socket.close(1008)
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                asked = json.loads(await socket.receive_text())
                if token not in sessions and forgets != "the end":
                    return await socket.close(1008)
                found = notes.get(str(asked.get("note_id")), {})
                seen = found.get("owner") == name or forgets == "the owner"
                await socket.send_json(found if found and seen else {"error": "no such note"})

    return app


@pytest.mark.parametrize(
    ("forgets", "told"),
    [
        ("", "opened for a live credential only, and closed when its login had ended"),
        ("the end", "still served its caller"),
        ("the owner", "showed A what B had written"),
    ],
)
def test_a_socket_is_its_callers_alone_and_ends_with_the_login(forgets: str, told: str) -> None:
    result = judged(ledger(forgets=forgets))
    assert result.name == ("failed" if forgets else "passed"), said(result)
    assert told in result.verdict.reason
