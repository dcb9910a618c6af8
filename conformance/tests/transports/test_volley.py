"""Requests that arrive together: over a real server, and in one process; and a server that serves one at a time."""

import asyncio
import threading
import time

import pytest
from services.serving import Message, Receive, Send

from auth_conformance.oracles.overlap import in_work, most_at_once
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.volley import Volley
from auth_conformance.transports.wire import WireTransport, serve_app


class Slow:
    """Answers after a while; `waits` says whether it lets others go on meanwhile.

    With `heard`, it goes to work only when the answer before has been heard: so a busy machine changes nothing.
    """

    def __init__(self, *, waits: bool, heard: threading.Semaphore | None = None) -> None:
        self.waits, self.heard = waits, heard
        self.inside = self.most = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        while (await receive()).get("more_body"):
            pass
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.waits:
            await asyncio.sleep(0.05)
        else:
            assert self.heard is None or self.heard.acquire(timeout=60)
            time.sleep(0.02)  # noqa: ASYNC251 - the service that blocks its loop is what is tested
        self.inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


REQUEST = HttpRequest("POST", "/").with_json({"x": 1})


async def volley(app: Slow, *, wire: bool, count: int = 6) -> Volley:
    if not wire:
        made = Volley(AsgiTransport(app, agent="test"), count)
        await asyncio.gather(*(made.send(REQUEST) for _ in range(count)))
        return made
    async with serve_app(app) as served:
        made = Volley(WireTransport(served.url, agent="test"), count)
        replies = await asyncio.gather(*(made.send(REQUEST) for _ in range(count)))
        assert [reply.status for reply in replies] == [200] * count
    return made


@pytest.mark.parametrize("wire", [False, True])
def test_all_are_in_work_together(wire: bool) -> None:
    app = Slow(waits=True)
    made = asyncio.run(volley(app, wire=wire))
    assert app.most == 6
    assert most_at_once(made.spans) == 6


def test_a_service_that_blocks_is_not_raced_in_process() -> None:
    app = Slow(waits=False)
    made = asyncio.run(volley(app, wire=False))
    assert app.most == 1
    assert most_at_once(made.spans) == 1


def test_over_the_wire_only_work_counts_and_not_the_queue() -> None:
    # On a loop of its own: a service that blocks must not block whoever measures it.
    heard = threading.Semaphore(1)
    app, url, done = Slow(waits=False, heard=heard), [""], threading.Event()
    ready = threading.Event()

    async def serve() -> None:
        async with serve_app(app) as served:
            url[0] = served.url
            ready.set()
            await asyncio.to_thread(done.wait)

    async def measure() -> Volley:
        made = Volley(WireTransport(url[0], agent="test"), 6)

        async def one() -> None:
            await made.send(REQUEST)
            heard.release()

        await asyncio.gather(*(one() for _ in range(6)))
        return made

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        made = asyncio.run(measure())
    finally:
        done.set()
        thread.join()
    assert app.most == 1
    assert most_at_once(made.spans) > 1
    assert most_at_once(in_work(made.spans, 0.01)) == 1


def test_a_request_that_never_gets_ready_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_conformance.transports.volley.READY_WITHIN", 0.05)
    app = Slow(waits=True)

    async def one_missing() -> Volley:
        made = Volley(AsgiTransport(app, agent="test"), 3)
        await asyncio.gather(made.send(REQUEST), made.send(REQUEST))
        return made

    assert len(asyncio.run(one_missing()).spans) == 2
