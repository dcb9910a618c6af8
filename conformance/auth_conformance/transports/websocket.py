"""WebSocket: an application in this process or a server, one conversation at a time, told as one reply.

A conversation is a request (the handshake) and a reply: 101 with a transcript in JSON when it was opened, else the
refusal as it came. So it is recorded, redacted and counted as everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from auth_conformance.model import NO_CONNECTION
from auth_conformance.transports import frames
from auth_conformance.transports.frames import Frame
from auth_conformance.transports.message import HttpRequest, RawReply, no_answer
from auth_conformance.transports.stragglers import Stragglers
from auth_conformance.transports.wire import App, WireTransport

# How long a message is waited for, in seconds; a server that has not answered by then says nothing.
LISTEN = 1.0
OPEN_WITHIN = 10.0
MOST_RECEIVED = 20


class ClosedError(Exception):
    """The other side has closed; `code` is its reason (RFC 6455 §7.4), None where the connection just ended."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Socket(Protocol):
    """An open WebSocket."""

    async def say(self, text: str) -> None:
        """Send one text message. Raises ClosedError."""
        ...

    async def hear(self, seconds: float) -> str | None:
        """Return the next message, None when none comes in time. Raises ClosedError."""
        ...

    async def leave(self) -> None:
        """Close."""
        ...


class Opener(Protocol):
    """Opens WebSockets at one target."""

    async def open(self, request: HttpRequest) -> Socket | RawReply:
        """Shake hands; the refusal as a reply when there is one."""
        ...


@dataclass(slots=True)
class Talk:
    """A transport for one conversation: says `say`, hears what comes; `meanwhile` runs, then `afterwards` is said.

    Between two of the `pauses` (seconds) it is said again, until nothing comes any more.
    """

    opener: Opener
    say: tuple[str, ...] = ()
    meanwhile: Callable[[], Awaitable[None]] | None = None
    afterwards: str = ""
    pauses: tuple[float, ...] = (0.0,)
    listen: float = LISTEN
    _heard: list[str] = field(default_factory=list)
    _later: list[str] = field(default_factory=list)
    _last: float = 0.0

    async def send(self, request: HttpRequest) -> RawReply:
        """Hold the conversation."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                opened = await self.opener.open(request)
        except TimeoutError:
            return no_answer(OPEN_WITHIN, time.monotonic() - started)
        if isinstance(opened, RawReply):
            return opened
        code: int | None = None
        closed = False
        try:
            await self._converse(opened)
        except ClosedError as error:
            closed, code = True, error.code
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OPEN_WITHIN):
                    await opened.leave()
        transcript = {
            "heard": self._heard,
            "later": self._later,
            "last": round(self._last, 1),
            "closed": closed,
            "code": code,
        }
        body = json.dumps(transcript).encode()
        headers = (("Content-Type", "application/json"),)
        return RawReply(101, headers, body, took=time.monotonic() - started)

    async def _converse(self, socket: Socket) -> None:
        await self._listen(socket, self._heard, self.listen / 4)
        for text in self.say:
            await socket.say(text)
            await self._listen(socket, self._heard, self.listen)
        if self.meanwhile is None:
            return
        await self.meanwhile()
        began = time.monotonic()
        for pause in self.pauses:
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))
            known = len(self._later)
            await socket.say(self.afterwards)
            await self._listen(socket, self._later, self.listen)
            if len(self._later) > known:
                self._last = time.monotonic() - began

    async def _listen(self, socket: Socket, into: list[str], seconds: float) -> None:
        # What follows a first message at once belongs to it; a service that never stops is cut off.
        while len(into) < MOST_RECEIVED and (text := await socket.hear(seconds)) is not None:
            into.append(text)
            seconds = 0.05

    async def close(self) -> None:
        """Nothing is held between conversations."""


class AsgiSockets:
    """Opens WebSockets of an application in this process. `state` is what its start-up left."""

    def __init__(
        self, app: App, *, state: MutableMapping[str, Any] | None = None, host: str = "testserver"
    ) -> None:
        self._app, self._state, self._host = app, state or {}, host
        self._stragglers = Stragglers()

    async def open(self, request: HttpRequest) -> Socket | RawReply:
        """Call the application with a handshake."""
        names = [name.lower() for name, _ in request.headers]
        headers = [(b"host", self._host.encode())] if "host" not in names else []
        headers += [
            (
                name.lower().encode("latin-1"),
                value if isinstance(value, bytes) else value.encode("latin-1", "replace"),
            )
            for name, value in request.headers
        ]
        offered = str(request.header("sec-websocket-protocol") or "")
        path, _, query = request.url.partition("?")
        scope: MutableMapping[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": request.path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": (self._host, 443),
            "subprotocols": [item.strip() for item in offered.split(",") if item.strip()],
            "state": dict(self._state),
            "extensions": {"websocket.http.response": {}},
        }
        socket = _AsgiSocket(self._app, scope, self._stragglers)
        return await socket.shake()


class _AsgiSocket:
    def __init__(self, app: App, scope: MutableMapping[str, Any], stragglers: Stragglers) -> None:
        self._stragglers = stragglers
        self._to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(app, scope), name="websocket")

    async def _run(self, app: App, scope: MutableMapping[str, Any]) -> None:
        try:
            await app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # noqa: BLE001 - whatever the application does is its answer
            await self._from_app.put({"type": "crashed", "error": type(error).__name__})
        else:
            await self._from_app.put({"type": "websocket.close"})

    async def shake(self) -> Socket | RawReply:
        await self._to_app.put({"type": "websocket.connect"})
        answer = await self._from_app.get()
        match answer["type"]:
            case "websocket.accept":
                return self
            case "websocket.http.response.start":
                body = (await self._from_app.get()).get("body", b"")
                pairs = tuple(
                    (key.decode("latin-1"), value.decode("latin-1"))
                    for key, value in answer.get("headers", ())
                )
                await self.leave()
                return RawReply(answer["status"], pairs, body)
            case "websocket.close":
                # Closed before it was accepted: a server answers the handshake with 403 (ASGI specification).
                await self.leave()
                return RawReply(403)
            case _:
                await self.leave()
                return RawReply(
                    None, error=f"connection closed without an answer ({answer.get('error', 'odd')})"
                )

    async def say(self, text: str) -> None:
        if self._task.done() and self._from_app.empty():
            raise ClosedError
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def hear(self, seconds: float) -> str | None:
        try:
            message = await asyncio.wait_for(self._from_app.get(), seconds)
        except TimeoutError:
            return None
        if message["type"] != "websocket.send":
            raise ClosedError(message.get("code", 1000) if message["type"] == "websocket.close" else 1011)
        text = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"").decode("utf-8", "replace")

    async def leave(self) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1001})
        done, _ = await asyncio.wait({self._task}, timeout=1)
        if not done:
            self._stragglers.leave(self._task)


class WireSockets:
    """Opens WebSockets of a server, over a connection of its own each."""

    def __init__(self, wire: WireTransport) -> None:
        self._wire = wire

    async def open(self, request: HttpRequest) -> Socket | RawReply:
        """Shake hands (RFC 6455 §4.1)."""
        key = frames.new_key()
        handshake = request.with_headers(
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
        )
        try:
            reader, writer = await self._wire.connect()
        except OSError as error:
            return RawReply(None, error=f"{NO_CONNECTION} {error}")
        writer.write(self._wire.written(handshake))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()
            return RawReply(None, error="connection closed without an answer (no handshake)")
        status, headers = _head(head)
        if status != 101:
            length = next((value for name, value in headers if name.lower() == "content-length"), "0")
            with contextlib.suppress(ValueError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(2):
                    body = await reader.readexactly(min(int(length), frames.LONGEST))
                    writer.close()
                    return RawReply(status, headers, body)
            writer.close()
            return RawReply(status, headers)
        answered = next((value for name, value in headers if name.lower() == "sec-websocket-accept"), "")
        if answered != frames.accept_value(key):
            writer.close()
            return RawReply(None, error="the handshake was answered to another key")
        return _WireSocket(reader, writer)


def _head(head: bytes) -> tuple[int | None, tuple[tuple[str, str], ...]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None
    pairs = (line.partition(":") for line in lines if ":" in line)
    return status, tuple((name.strip(), value.strip()) for name, _, value in pairs)


class _WireSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._data = b""
        self._begun = b""

    async def say(self, text: str) -> None:
        try:
            self._writer.write(frames.written(Frame(frames.TEXT, text.encode())))
            await self._writer.drain()
        except ConnectionError:
            raise ClosedError from None

    async def hear(self, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._next()
        except TimeoutError:
            return None

    async def _next(self) -> str:
        while True:
            try:
                found = frames.parsed(self._data)
            except frames.FrameError:
                raise ClosedError(1002) from None
            if found is None:
                try:
                    data = await self._reader.read(65_536)
                except ConnectionError:
                    raise ClosedError from None
                if not data:
                    raise ClosedError
                self._data += data
                continue
            frame, self._data = found
            if frame.opcode == frames.CLOSE:
                raise ClosedError(int.from_bytes(frame.payload[:2], "big") or None)
            if frame.opcode == frames.PING:
                self._writer.write(frames.written(Frame(frames.PONG, frame.payload)))
            elif frame.opcode != frames.PONG:
                self._begun += frame.payload[: frames.LONGEST]
                if frame.final:
                    whole, self._begun = self._begun, b""
                    return whole.decode("utf-8", "replace")

    async def leave(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(frames.written(Frame(frames.CLOSE, (1000).to_bytes(2, "big"))))
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
