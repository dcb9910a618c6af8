"""An ASGI application in this process: its lifespan runs once, on the loop that the checks run on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

import httpx

from auth_conformance.transports.http import build, read_bounded
from auth_conformance.transports.message import HttpRequest, RawReply

App = Callable[..., Awaitable[None]]
BASE_URL = "https://testserver"


# The address from which the request of this task comes.
_SOURCE: ContextVar[str | None] = ContextVar("auth_conformance_source", default=None)


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
        self.state: dict[str, Any] = {}

    async def _stated(self, scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        # A request sees a copy of what start-up left (ASGI specification, Lifespan State).
        caller = {"client": (source, 50000)} if (source := _SOURCE.get()) else {}
        await self.app({**scope, **caller, "state": dict(self.state)}, receive, send)

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
        _SOURCE.set(request.source)
        # In a task of its own: an application that swallows its cancellation must not keep the run.
        call = asyncio.create_task(self._call(request), name="request")
        call.add_done_callback(_looked_at)
        try:
            done, _ = await asyncio.wait({call}, timeout=self._timeout)
        finally:
            call.cancel()
        if not done:
            return RawReply(
                None, error=f"no answer within {self._timeout:g} s", took=time.monotonic() - started
            )
        try:
            return call.result()
        except (httpx.InvalidURL, UnicodeEncodeError, TypeError) as error:
            return RawReply(None, error=f"our client refused to send it: {error}", undelivered=True)
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
        headers = tuple(
            (key.decode("latin-1"), value.decode("latin-1")) for key, value in response.headers.raw
        )
        return RawReply(
            response.status_code, headers, body, took=ended - began, ended=ended, truncated=truncated
        )

    async def close(self) -> None:
        """Run the application's shutdown."""
        await self._transport.aclose()
        if self._lifespan is None:
            return
        await self._events.put({"type": "lifespan.shutdown"})
        self._lifespan.add_done_callback(_looked_at)
        await asyncio.wait({self._lifespan}, timeout=10)
        self._lifespan.cancel()
        self._lifespan = None


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Take what a task raised, so that nobody is told that it was never retrieved."""
    if not task.cancelled():
        task.exception()


def _raised(task: asyncio.Task[None]) -> BaseException | None:
    """What the task raised, the first of a group; asking keeps asyncio from complaining that nobody did."""
    error = task.exception() if task.done() and not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its start-up failed without saying why"
