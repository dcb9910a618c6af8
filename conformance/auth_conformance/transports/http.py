"""HTTP over the network, by httpx: no redirects, no cookie jar, no .netrc, no credential of its own."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from auth_conformance.model import NO_CONNECTION
from auth_conformance.transports.loopback import has_many_callers
from auth_conformance.transports.message import (
    BODY_LIMIT,
    ENDLESS,
    STREAM_FOR,
    HttpRequest,
    RawReply,
    media_type,
    never_sent,
    no_answer,
)
from auth_conformance.transports.tls import trusting, usual

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

# httpx logs every URL at INFO: keys in query strings would reach the user's log.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class HttpTransport:
    """Requests to one origin. `timeout` is in seconds and bounds the whole exchange.

    The transport below httpx's client is used, because the client would add cookies, redirects, proxies and
    `.netrc` credentials: an "anonymous" request would then be none. `verify` may be the file of an authority to
    trust besides the usual ones.
    """

    def __init__(
        self, base_url: str, *, timeout: float = 10.0, verify: bool | str = True, agent: str
    ) -> None:
        self._base = base_url.rstrip("/")
        self._agent = agent
        self._timeout = timeout
        self._context = trusting(verify) if isinstance(verify, str) else usual(verify=verify)
        self._pool = self._new_pool()
        # One pool for each address of ours from which a target on this machine is called.
        self._local = has_many_callers(base_url)
        self._pools: dict[str, httpx.AsyncHTTPTransport] = {}

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver once; after a dropped connection once more on a fresh one.

        A pooled connection that the server closed after an earlier answer says nothing about this request.
        """
        if request.fresh:
            return await self._alone(request)
        reply = await self._once(self._pool_for(request), request)
        if reply.error is None or reply.undelivered or reply.error.startswith("no answer"):
            return reply
        return await self._alone(request)

    def _address(self, request: HttpRequest) -> str | None:
        return request.source if self._local else None

    def _pool_for(self, request: HttpRequest) -> httpx.AsyncHTTPTransport:
        address = self._address(request)
        if address is None:
            return self._pool
        if address not in self._pools:
            self._pools[address] = self._new_pool(address)
        return self._pools[address]

    def _new_pool(self, address: str | None = None) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, local_address=address)

    async def _alone(self, request: HttpRequest) -> RawReply:
        fresh = self._new_pool(self._address(request))
        try:
            return await self._once(fresh, request)
        finally:
            await fresh.aclose()

    async def close(self) -> None:
        """Close the pooled connections."""
        for pool in (self._pool, *self._pools.values()):
            await pool.aclose()

    async def _once(self, pool: httpx.AsyncBaseTransport, request: HttpRequest) -> RawReply:
        started = time.monotonic()
        if request.target is not None:
            return RawReply(None, error="this vector needs the raw wire", undelivered=True)
        try:
            outgoing = build(self._base, request, self._agent)
            async with asyncio.timeout(self._timeout) as patience:
                response = await pool.handle_async_request(outgoing)
                try:
                    if media_type(response.headers.items()) in ENDLESS:
                        patience.reschedule(None)
                        body, truncated = await read_bounded(
                            response, request.limit, min(STREAM_FOR, self._timeout)
                        )
                    else:
                        body, truncated = await read_bounded(response, request.limit)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            return no_answer(self._timeout, time.monotonic() - started)
        except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError, TypeError) as error:
            return never_sent(error)
        except httpx.ConnectError as error:
            return RawReply(None, error=f"{NO_CONNECTION} {error}", took=time.monotonic() - started)
        except (httpx.TransportError, OSError) as error:
            name = type(error).__name__
            return RawReply(
                None, error=f"connection closed without an answer ({name})", took=time.monotonic() - started
            )
        headers = tuple(
            (key.decode("latin-1"), value.decode("latin-1")) for key, value in response.headers.raw
        )
        took = time.monotonic() - started
        return RawReply(response.status_code, headers, body, took=took, truncated=truncated)


def build(base: str, request: HttpRequest, agent: str) -> httpx.Request:
    """The httpx request for ours, with exactly its headers besides Host, User-Agent and length."""
    parts = urlsplit(base)
    url = httpx.URL(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port,
        raw_path=(parts.path.rstrip("/") + request.url).encode("ascii"),
    )
    headers: list[tuple[bytes, bytes]] = [
        (b"User-Agent", agent.encode()),
        (b"Accept", b"application/json, */*;q=0.5"),
        (b"Accept-Encoding", b"identity"),
    ]
    given = {name.lower() for name, _ in request.headers}
    headers = [pair for pair in headers if pair[0].decode().lower() not in given]
    headers += [
        (name.encode("ascii"), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in request.headers
    ]
    return httpx.Request(request.method, url, headers=headers, content=request.body)


async def read_bounded(
    response: httpx.Response, limit: int = BODY_LIMIT, seconds: float | None = None
) -> tuple[bytes, bool]:
    """The body, decoded, at most `limit` bytes of it and what came within `seconds`; whether more was cut off."""
    stream = response.stream
    raw = bytearray()
    cut = False
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _chunks(stream):
                raw += chunk
                if len(raw) > limit:
                    cut = True
                    break
    except TimeoutError:
        cut = True
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    body = inflate(bytes(raw[:limit]), coding, limit)
    return body[:limit], cut or len(body) > limit


def _chunks(stream: object) -> AsyncIterable[bytes]:
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("an asynchronous stream was expected")
    return stream


def inflate(data: bytes, coding: str, limit: int = BODY_LIMIT) -> bytes:
    """Decompress gzip and deflate (zlib and raw, both exist) up to one byte over the limit."""
    windows = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}.get(coding, ())
    for window in windows:
        try:
            return zlib.decompressobj(window).decompress(data, limit + 1)
        except zlib.error:
            continue
    return data
