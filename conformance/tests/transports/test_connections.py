"""A connection of its own for one request costs a connection, and no second reading of certificates."""

import asyncio
import ssl
from typing import Any

import pytest

from auth_conformance.transports import tls
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.message import HttpRequest


async def answered(fresh: int) -> tuple[list[int | None], int]:
    """The statuses of `fresh` requests, each on a connection of its own, and how many connections there were."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport(f"http://127.0.0.1:{port}", agent="test")
        request = HttpRequest("GET", "/", fresh=True)
        statuses = [(await transport.send(request)).status for _ in range(fresh)]
        await transport.close()
    return statuses, connections


def test_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    make = ssl.create_default_context

    def counted(*given: Any, **named: Any) -> ssl.SSLContext:
        read.append(named)
        return make(*given, **named)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    tls.usual.cache_clear()
    statuses, connections = asyncio.run(answered(fresh=3))
    assert (statuses, connections) == ([204] * 3, 3)
    assert len(read) == 1
