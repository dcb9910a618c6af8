"""WebSocket by hand: frames with property tests, and conversations in process and with a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from services.serving import Message, Receive, Send

from auth_conformance.transports import frames
from auth_conformance.transports.frames import Frame
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.websocket import AsgiSockets, Opener, Talk, WireSockets
from auth_conformance.transports.wire import WireTransport


@given(st.binary(max_size=70_000), st.binary(max_size=5), st.sampled_from([frames.TEXT, frames.PING]))
def test_what_is_written_is_read_back_and_the_rest_stays(payload: bytes, rest: bytes, opcode: int) -> None:
    assert frames.parsed(frames.written(Frame(opcode, payload)) + rest) == (Frame(opcode, payload), rest)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_half_a_frame_is_none(payload: bytes, cut: int) -> None:
    written = frames.written(Frame(frames.TEXT, payload))
    assert cut >= len(written) or frames.parsed(written[:cut]) is None


def test_the_key_of_the_standard_has_the_answer_of_the_standard() -> None:
    assert frames.accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def test_a_frame_of_an_unagreed_extension_and_an_endless_one_are_refused() -> None:
    with pytest.raises(frames.FrameError):
        frames.parsed(b"\xc1\x00")
    with pytest.raises(frames.FrameError):
        frames.parsed(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Lets the token `good` in; says everything again in capitals until it hears `bye`."""
    assert scope["type"] == "websocket"
    await receive()
    names = dict(scope["headers"])
    if names.get(b"authorization") != b"Bearer good":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "bye":
            await send({"type": "websocket.close", "code": 3000})
            return
        await send({"type": "websocket.send", "text": message["text"].upper()})


@asynccontextmanager
async def opener(*, wire: bool) -> AsyncIterator[Opener]:
    if not wire:
        yield AsgiSockets(echo)
        return
    config = uvicorn.Config(
        echo, port=0, ws="wsproto", lifespan="off", log_config=None, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "uvicorn did not start: is wsproto installed?"
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield WireSockets(WireTransport(f"http://127.0.0.1:{port}", agent="test"))
    finally:
        server.should_exit = True
        await task


GOOD = HttpRequest("GET", "/ws").with_headers(("Authorization", "Bearer good"))


async def talked(
    request: HttpRequest,
    *say: str,
    wire: bool,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    afterwards: str = "",
) -> RawReply:
    async with asyncio.timeout(60), opener(wire=wire) as sockets:
        talk = Talk(sockets, say, meanwhile, afterwards, listen=0.2)
        return await talk.send(request)


@pytest.mark.parametrize("wire", [False, True])
def test_a_conversation_is_one_reply(wire: bool) -> None:
    reply = asyncio.run(talked(GOOD, "one", "t" * 500, wire=wire))
    assert reply.status == 101
    told = reply.json
    assert told["heard"] == ["ONE", "T" * 500]
    assert not told["closed"]


@pytest.mark.parametrize("wire", [False, True])
def test_a_refusal_is_a_refusal(wire: bool) -> None:
    assert asyncio.run(talked(HttpRequest("GET", "/ws"), "one", wire=wire)).status == 403


@pytest.mark.parametrize("wire", [False, True])
def test_a_close_has_its_code(wire: bool) -> None:
    told = json.loads(asyncio.run(talked(GOOD, "bye", "late", wire=wire)).body)
    assert (told["closed"], told["code"], told["heard"]) == (True, 3000, [])


@pytest.mark.parametrize("wire", [False, True])
def test_what_is_said_later_is_told_apart(wire: bool) -> None:
    done: list[int] = []

    async def meanwhile() -> None:
        done.append(1)

    told = asyncio.run(talked(GOOD, "one", wire=wire, meanwhile=meanwhile, afterwards="two")).json
    assert (told["heard"], told["later"], done) == (["ONE"], ["TWO"], [1])


def test_an_application_that_crashes_is_told_as_such() -> None:
    async def broken(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError

    reply = asyncio.run(Talk(AsgiSockets(broken)).send(GOOD))
    assert reply.status is None
    assert "ValueError" in (reply.error or "")
