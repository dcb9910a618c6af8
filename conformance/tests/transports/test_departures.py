"""A client that leaves: the application is told and goes on; answers that never end are read for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

from auth_conformance.loop import run_to_end
from auth_conformance.transports import message, stragglers
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.websocket import AsgiSockets
from auth_conformance.transports.wire import WireTransport, serve_app


class Service:
    """An application with a slow transaction, a stream and a deaf WebSocket; it writes down what became of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.app = app = FastAPI()

        @app.post("/slow")
        async def slow() -> dict[str, bool]:
            return await self._transaction()

        @app.post("/polite")
        async def polite(request: Request) -> dict[str, bool]:
            await request.body()
            message = await request.receive()
            self.told.append(message["type"])
            self.ended.set()
            return {"done": True}

        @app.get("/events")
        async def events() -> StreamingResponse:
            return StreamingResponse(self._events(), media_type="text/event-stream; charset=utf-8")

        @app.websocket("/deaf")
        async def deaf(socket: WebSocket) -> None:
            await socket.accept()
            await self._transaction()

    async def _transaction(self) -> dict[str, bool]:
        try:
            await self.go_on.wait()
            self.told.append("committed")
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        finally:
            self.ended.set()
        return {"done": True}

    async def _events(self) -> AsyncIterator[str]:
        try:
            yield "data: secret of everybody\n\n"
            await asyncio.Event().wait()
        finally:
            self.ended.set()


def in_process(scenario: Callable[[Service, AsgiTransport], Awaitable[None]], timeout: float = 0.05) -> None:
    async def main() -> None:
        service = Service()
        transport = AsgiTransport(service.app, timeout=timeout, agent="test")
        await transport.start()
        await scenario(service, transport)
        await transport.close()

    run_to_end(main())


def test_a_transaction_is_not_cut_off_by_a_client_that_gives_up() -> None:
    async def scenario(service: Service, transport: AsgiTransport) -> None:
        reply = await transport.send(HttpRequest("POST", "/slow"))
        assert reply.error == "no answer within 0.05 s"
        service.go_on.set()
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["committed"]

    in_process(scenario)


def test_neither_by_a_check_that_is_stopped() -> None:
    async def scenario(service: Service, transport: AsgiTransport) -> None:
        check = asyncio.create_task(transport.send(HttpRequest("POST", "/slow")))
        await asyncio.sleep(0.01)
        check.cancel()
        await asyncio.wait({check})
        assert check.cancelled()
        service.go_on.set()
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["committed"]

    in_process(scenario, timeout=5)


def test_the_application_learns_that_the_client_has_left() -> None:
    async def scenario(service: Service, transport: AsgiTransport) -> None:
        await transport.send(HttpRequest("POST", "/polite"))
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["http.disconnect"]

    in_process(scenario)


def test_who_never_ends_is_cancelled_after_a_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stragglers, "GRACE", 0.05)

    async def scenario(service: Service, transport: AsgiTransport) -> None:
        await transport.send(HttpRequest("POST", "/slow"))
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["cancelled"]

    in_process(scenario)


def test_and_at_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stragglers, "LAST", 0.01)

    async def scenario(service: Service, transport: AsgiTransport) -> None:
        await transport.send(HttpRequest("POST", "/slow"))
        await transport.close()
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["cancelled"]

    in_process(scenario)


def test_a_deaf_websocket_goes_on() -> None:
    async def main() -> None:
        service = Service()
        sockets = AsgiSockets(service.app)
        socket = await sockets.open(HttpRequest("GET", "/deaf"))
        assert not isinstance(socket, RawReply)
        await socket.leave()
        service.go_on.set()
        await asyncio.wait_for(service.ended.wait(), 5)
        assert service.told == ["committed"]

    run_to_end(main())


@pytest.mark.parametrize("how", ["in process", "http", "wire"])
def test_an_endless_answer_is_an_answer(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("asgi", "http", "wire"):
        monkeypatch.setattr(f"auth_conformance.transports.{module}.STREAM_FOR", 0.1)
    assert "text/event-stream" in message.ENDLESS

    async def main() -> None:
        service = Service()
        local = AsgiTransport(service.app, agent="test")
        async with serve_app(service.app) as served:
            there: dict[str, Any] = {
                "in process": local,
                "http": HttpTransport(served.url, agent="test"),
                "wire": WireTransport(served.url, agent="test"),
            }
            reply = await there[how].send(HttpRequest("GET", "/events"))
            assert (reply.status, reply.text, reply.truncated) == (200, "data: secret of everybody\n\n", True)
            assert reply.media_type == "text/event-stream"
            await asyncio.wait_for(service.ended.wait(), 5)
            await there[how].close()

    run_to_end(main())
