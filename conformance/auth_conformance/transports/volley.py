"""Requests that arrive together: all are on their way before the first of them is complete."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from auth_conformance.oracles.overlap import Span
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.wire import WireTransport

if TYPE_CHECKING:
    from auth_conformance.transports.message import Transport

# When not all requests are ready after this many seconds, those that are go out.
READY_WITHIN = 5.0


class Volley:
    """Holds `count` requests until all are ready, then releases them; knows afterwards when each was in work.

    Over the wire all but the last byte of each has been sent by then, on a connection of its own. In this
    process a request is in work from the moment that the application is called with it. `spans` has an entry
    for each reply, in the order in which they came; `seat` gives one request a door whose span is its own.
    """

    def __init__(self, inner: Transport, count: int) -> None:
        self._inner = inner
        self._count = count
        self._ready = 0
        self._all_ready = asyncio.Event()
        self.spans: list[Span] = []

    async def _release(self) -> None:
        self._ready += 1
        if self._ready >= self._count:
            self._all_ready.set()
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self._all_ready.wait()
        except TimeoutError:
            self._all_ready.set()

    def seat(self) -> Seat:
        """A transport for one of the requests, which remembers when that one was in work."""
        return Seat(self)

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver once, together with the others."""
        return (await self.timed(request))[0]

    async def timed(self, request: HttpRequest) -> tuple[RawReply, Span | None]:
        """Deliver once, together with the others; when it was in work is None where no reply came."""
        started = [0.0]

        async def release() -> None:
            await self._release()
            started[0] = time.monotonic()

        if isinstance(self._inner, WireTransport):
            reply = await self._inner.send_held(request, release)
        else:
            await release()
            reply = await self._inner.send(request)
        if not started[0] or reply.status is None:
            return reply, None
        ended = reply.ended or time.monotonic()
        span = Span(ended - reply.took if reply.ended else started[0], ended)
        self.spans.append(span)
        return reply, span

    async def close(self) -> None:
        """Nothing of its own is held."""


class Seat:
    """One request's door to a volley."""

    def __init__(self, volley: Volley) -> None:
        self._volley = volley
        self.span: Span | None = None

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver once, together with the others."""
        reply, self.span = await self._volley.timed(request)
        return reply

    async def close(self) -> None:
        """Nothing of its own is held."""
