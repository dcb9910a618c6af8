"""HTTP/1.1 written by hand, for bytes that no client library would send, and a server to send them to.

An application in this process has no parser in front of it: what only a real server would refuse (a NUL in a
header) would reach it, and what only a real server would let through could not be sent. `serve_app` puts the
application behind uvicorn, on loopback and on the same event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

from auth_conformance.model import NO_CONNECTION
from auth_conformance.transports.http import inflate
from auth_conformance.transports.loopback import has_many_callers
from auth_conformance.transports.message import (
    BODY_LIMIT,
    ENDLESS,
    STREAM_FOR,
    HttpRequest,
    RawReply,
    media_type,
    no_answer,
)
from auth_conformance.transports.tls import trusting

App = Callable[..., Awaitable[None]]

# A server that needs longer to start than this, in seconds, will not start.
_START_WITHIN = 10.0
_STOP_WITHIN = 5.0
_CHUNK = 65_536
# Methods whose requests say that they have no body (RFC 9110 §8.6).
_WITH_BODY = {"POST", "PUT", "PATCH"}


# What is said of bytes that nothing here can send to an application in this process, and what would send them.
NO_SERVER = "this vector needs a real server, and uvicorn is not installed"
INSTALL_SERVER = "pip install 'fastapi-auth-conformance[serve]'"


class WireUnavailableError(RuntimeError):
    """No real server can be put in front of the application; the message says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """An application that answers at `url` until its block is left."""

    url: str


class NoWire:
    """Stands where there is no wire: delivers nothing and says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def send(self, request: HttpRequest) -> RawReply:  # noqa: ARG002 - the Transport protocol
        """Answer that the target never saw the request."""
        return RawReply(None, error=self._reason, undelivered=True)

    async def close(self) -> None:
        """Nothing is held."""


class WireTransport:
    """One connection per request; method, target, header names and values go out byte for byte.

    `timeout` is in seconds and bounds the whole exchange. `host` replaces the URL's own in the Host header.
    `verify` may be the file of an authority to trust besides the usual ones.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 10.0,
        verify: bool | str = True,
        agent: str,
        host: str | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        self._name = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._local = has_many_callers(base_url)
        self._host = host or parts.netloc.rpartition("@")[2]
        self._timeout = timeout
        self._verify = verify
        self._agent = agent

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver once; failures are replies with an `error`."""
        return await self.send_held(request, None)

    async def send_held(
        self, request: HttpRequest, release: Callable[[], Awaitable[object]] | None
    ) -> RawReply:
        """Deliver once; the last byte goes out only after `release`, so that many can be complete together."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                status, headers, body, truncated = await self._exchange(request, release)
        except TimeoutError:
            return no_answer(self._timeout, time.monotonic() - started)
        except _NoConnectionError as error:
            return RawReply(None, error=f"{NO_CONNECTION} {error}", took=time.monotonic() - started)
        except h11.RemoteProtocolError as error:
            return RawReply(
                None,
                error=f"connection closed without an answer (no HTTP: {error})",
                took=time.monotonic() - started,
            )
        except (OSError, EOFError) as error:
            name = type(error).__name__
            return RawReply(
                None, error=f"connection closed without an answer ({name})", took=time.monotonic() - started
            )
        return RawReply(status, headers, body, took=time.monotonic() - started, truncated=truncated)

    async def close(self) -> None:
        """Nothing is held between requests."""

    async def _exchange(
        self, request: HttpRequest, release: Callable[[], Awaitable[object]] | None = None
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool]:
        try:
            reader, writer = await self.connect(request.source)
        except OSError as error:
            raise _NoConnectionError(error) from None
        try:
            # A server may answer and close before it has read everything: its answer counts.
            with contextlib.suppress(ConnectionError):
                written = self.written(request)
                if release is not None:
                    writer.write(written[:-1])
                    await writer.drain()
                    await release()
                    written = written[-1:]
                writer.write(written)
                await writer.drain()
            return await _answer(reader, request.method)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def connect(self, source: str | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the target, from another address of this machine if named. Raises OSError."""
        local = (source, 0) if source is not None and self._local else None
        return await asyncio.open_connection(self._name, self._port, ssl=self._tls(), local_addr=local)

    def _tls(self) -> ssl.SSLContext | None:
        if not self._secure:
            return None
        context = trusting(self._verify if isinstance(self._verify, str) else None)
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        return context

    def written(self, request: HttpRequest) -> bytes:
        """Return the bytes of a request; what it does not say itself is said as our other transports do."""
        given = {name.lower() for name, _ in request.headers}
        headers: list[tuple[str, str | bytes]] = [
            ("Host", self._host),
            ("User-Agent", self._agent),
            ("Accept", "application/json, */*;q=0.5"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        body = request.body or b""
        if "transfer-encoding" not in given and (request.body is not None or request.method in _WITH_BODY):
            headers.append(("Content-Length", str(len(body))))
        headers = [pair for pair in headers if pair[0].lower() not in given]
        target = request.target if request.target is not None else (self._path + request.url).encode("ascii")
        lines = [
            request.method.encode("latin-1") + b" " + target + b" HTTP/" + request.version.encode("latin-1")
        ]
        lines += [_raw(name) + b": " + _raw(value) for name, value in (*headers, *request.headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


class _NoConnectionError(Exception):
    """Nobody listens, or TLS failed."""


def _raw(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


async def _answer(
    reader: asyncio.StreamReader, method: str
) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_CHUNK)
    # h11 reads an answer only after a request; what it would have written is thrown away.
    known = method if method in ("HEAD", "CONNECT") else "GET"
    connection.send(h11.Request(method=known, target="/", headers=[("Host", "reader")]))
    connection.send(h11.EndOfMessage())
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body = bytearray()
    end: float | None = None
    cut = False
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                async with asyncio.timeout_at(end):
                    data = await reader.read(_CHUNK)
            except TimeoutError:
                cut = True
                break
            if not data and status is None:
                raise EOFError
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
            )
            end = _until(headers)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT:
                break
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) or event is h11.PAUSED:
            break
    if status is None:
        raise EOFError
    coding = next((value for name, value in headers if name.lower() == "content-encoding"), "identity")
    text = inflate(bytes(body[:BODY_LIMIT]), coding.strip().lower())
    return status, headers, text[:BODY_LIMIT], cut or len(body) > BODY_LIMIT or len(text) > BODY_LIMIT


def _until(headers: tuple[tuple[str, str], ...]) -> float | None:
    """When to stop reading an answer that never ends, on the loop's clock; None for one that does."""
    return asyncio.get_running_loop().time() + STREAM_FOR if media_type(headers) in ENDLESS else None


@contextlib.asynccontextmanager
async def serve_app(app: App, *, state: Mapping[str, Any] | None = None) -> AsyncIterator[Served]:
    """Serve `app` on a free port of 127.0.0.1 by a task of this event loop.

    Its lifespan has run already: `state` is what that left. Raises WireUnavailableError.
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra: a run against a URL never needs it
    except ImportError:
        raise WireUnavailableError(NO_SERVER) from None

    class Server(uvicorn.Server):
        """A server that leaves the process's signal handlers to whoever runs the checks."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    async def stated(scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        await app({**scope, "state": dict(state or {})}, receive, send)

    # Neither Server nor Date: an answer has to look as it does without a server in front. Nobody sits behind
    # a proxy here: forwarded headers are as untrusted as in process. The pure-Python parser on every machine.
    config = uvicorn.Config(
        stated,
        lifespan="off",
        http="h11",
        ws="none",
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        task = asyncio.create_task(server.serve(sockets=[listener.dup()]), name="served application")
        try:
            await _started(server, task)
            yield Served(f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            done, _ = await asyncio.wait({task}, timeout=_STOP_WITHIN)
            if not done:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _started(server: Any, task: asyncio.Task[None]) -> None:
    end = time.monotonic() + _START_WITHIN
    while not server.started:
        if task.done() or time.monotonic() > end:
            raise WireUnavailableError("uvicorn did not start in front of the application")
        await asyncio.sleep(0.01)
