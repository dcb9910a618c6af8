"""An ASGI application in this process: its lifespan runs once, on the loop that the checks run on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import httpx

from auth_conformance.transports.http import build, read_bounded
from auth_conformance.transports.message import (
    ENDLESS,
    STREAM_FOR,
    HttpRequest,
    RawReply,
    media_type,
    never_sent,
    no_answer,
)
from auth_conformance.transports.stragglers import Stragglers, looked_at

App = Callable[..., Awaitable[None]]
BASE_URL = "https://testserver"


Message = MutableMapping[str, Any]


class _Line:
    """The connection of one request: whether the client still listens, and what it has heard until now."""

    def __init__(self, source: str | None) -> None:
        self.source = source
        self.over = asyncio.Event()
        self.streams: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head: Message = {}
        self._body = bytearray()
        self._left = False

    def receiving(self, receive: Callable[[], Awaitable[Message]]) -> Callable[[], Awaitable[Message]]:
        """Give `receive` of the application: the request, then the disconnect, as soon as there is one."""
        complete = False

        async def received() -> Message:
            nonlocal complete
            if complete or self.over.is_set():
                await self.over.wait()
                return {"type": "http.disconnect"}
            message = await receive()
            complete = not message.get("more_body", False)
            return message

        return received

    def sending(self, send: Callable[[Message], Awaitable[None]]) -> Callable[[Message], Awaitable[None]]:
        """Give `send` of the application: after the client has left it does nothing (ASGI specification 2.3)."""

        async def sent(message: Message) -> None:
            if self._left:
                await asyncio.sleep(0)  # whoever sends without end must let others run
                return
            await send(message)
            if message["type"] == "http.response.start":
                self._head = message
                if media_type(_pairs(message.get("headers", ()))) in ENDLESS:
                    self.streams.set_result(None)
            elif message["type"] == "http.response.body":
                if self.streams.done():
                    self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    self.over.set()

        return sent

    def leave(self) -> None:
        """Hang up."""
        self._left = True
        self.over.set()

    def heard(self, limit: int) -> RawReply | None:
        """What an endless stream has sent until now; None when this is none."""
        if not self.streams.done():
            return None
        body = bytes(self._body[:limit])
        return RawReply(self._head["status"], _pairs(self._head.get("headers", ())), body, truncated=True)


# The connection that the request of this task came over.
_LINE: ContextVar[_Line | None] = ContextVar("auth_conformance_line", default=None)


class LifespanFailedError(RuntimeError):
    """The application refused to start; the message is its own, and the cause what it raised, if that is known."""


class AsgiTransport:
    """Requests to an application object, without a server. `timeout` is in seconds.

    The base URL is https, because browsers and frameworks treat `Secure` cookies and redirects otherwise.
    """

    def __init__(self, app: App, *, timeout: float = 10.0, agent: str) -> None:
        self.app = app
        self._agent = agent
        self._timeout = timeout
        self._transport = httpx.ASGITransport(
            self._stated, raise_app_exceptions=False, client=("127.0.0.1", 50000)
        )
        self._lifespan: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._stragglers = Stragglers()
        self.state: dict[str, Any] = {}

    async def _stated(self, scope: Message, receive: Any, send: Any) -> None:
        line = _LINE.get() or _Line(None)
        caller = {"client": (line.source, 50000)} if line.source else {}
        # A request sees a copy of what start-up left (ASGI specification, Lifespan State).
        scope = {**scope, **caller, "state": dict(self.state)}
        await self.app(scope, line.receiving(receive), line.sending(send))

    async def start(self) -> None:
        """Run the application's start-up. Raises LifespanFailedError when it fails."""

        async def lifespan() -> None:
            scope = {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": self.state,
            }
            try:
                await self.app(scope, self._events.get, self._answers.put)
            except SystemExit as error:
                # It would end this process, and nobody would read why.
                await self._answers.put(
                    {"type": "lifespan.startup.failed", "message": f"SystemExit: {error}"}
                )

        # Start-up and shutdown must run in one task: pools and task groups insist on it.
        self._lifespan = asyncio.create_task(lifespan(), name="lifespan")
        await self._events.put({"type": "lifespan.startup"})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, self._lifespan}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        if answer.done():
            message = answer.result()
            if message["type"] == "lifespan.startup.failed":
                # Servers log the whole traceback that frameworks send along; people need what was raised.
                await asyncio.wait({self._lifespan}, timeout=1)
                error = _raised(self._lifespan)
                raise LifespanFailedError(_last_line(str(message.get("message") or ""))) from error
            return
        answer.cancel()
        if not self._lifespan.done():
            self._lifespan.cancel()
            raise LifespanFailedError("the application's start-up did not finish within 60 s")
        # An application that raises on the lifespan scope has none (ASGI specification, Lifespan Protocol).
        _raised(self._lifespan)
        self._lifespan = None

    async def send(self, request: HttpRequest) -> RawReply:
        """Call the application once. What it raises becomes a 500, as behind a server."""
        started = time.monotonic()
        if request.target is not None:
            return RawReply(None, error="this vector needs the raw wire", undelivered=True)
        line = _Line(request.source)
        _LINE.set(line)
        # In a task of its own: it goes on when we have left, as it does behind a server.
        call = asyncio.create_task(self._call(request), name="request")
        try:
            either: set[asyncio.Future[Any]] = {call, line.streams}
            await asyncio.wait(either, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if not call.done() and line.streams.done():
                await asyncio.wait({call}, timeout=min(STREAM_FOR, self._timeout))
        finally:
            if not call.done():
                line.leave()
                self._stragglers.leave(call)
        if not call.done():
            took = time.monotonic() - started
            if (heard := line.heard(request.limit)) is not None:
                return replace(heard, took=took)
            return no_answer(self._timeout, took)
        try:
            return call.result()
        except (httpx.InvalidURL, UnicodeEncodeError, TypeError) as error:
            return never_sent(error)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what the application does is its answer
            name = type(error).__name__
            return RawReply(
                None, error=f"connection closed without an answer ({name})", took=time.monotonic() - started
            )

    async def _call(self, request: HttpRequest) -> RawReply:
        # Both times are taken here: while an application blocks the loop, whoever waits is told late.
        began = time.monotonic()
        response = await self._transport.handle_async_request(build(BASE_URL, request, self._agent))
        body, truncated = await read_bounded(response, request.limit)
        ended = time.monotonic()
        headers = _pairs(response.headers.raw)
        return RawReply(
            response.status_code, headers, body, took=ended - began, ended=ended, truncated=truncated
        )

    async def close(self) -> None:
        """Run the application's shutdown."""
        await self._stragglers.close()
        await self._transport.aclose()
        if self._lifespan is None:
            return
        await self._events.put({"type": "lifespan.shutdown"})
        self._lifespan.add_done_callback(looked_at)
        await asyncio.wait({self._lifespan}, timeout=10)
        self._lifespan.cancel()
        self._lifespan = None


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in headers)


def _raised(task: asyncio.Task[None]) -> BaseException | None:
    """What the task raised, the first of a group; asking keeps asyncio from complaining that nobody did."""
    error = task.exception() if task.done() and not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its start-up failed without saying why"
