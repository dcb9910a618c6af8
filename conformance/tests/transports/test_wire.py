import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.wire import WireTransport, serve_app

AGENT = "auth-conformance/test"
Message = MutableMapping[str, Any]


async def echo(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answers with the raw header lines that reached it, the body last."""
    message = await receive()
    lines = [name + b": " + value for name, value in scope["headers"]]
    lines += [b"target: " + scope["raw_path"], b"state: " + repr(scope["state"]).encode(), message["body"]]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-echo", b"1")]})
    await send({"type": "http.response.body", "body": b"\n".join(lines)})


def through(*requests: HttpRequest, app: Any = echo, **state: object) -> list[RawReply]:
    async def run() -> list[RawReply]:
        async with serve_app(app, state=state) as served:
            wire = WireTransport(served.url, timeout=5, agent=AGENT, host="testserver")
            return [await wire.send(request) for request in requests]

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def answering(*chunks: bytes, linger: float = 0) -> AsyncIterator[str]:
    handlers: set[asyncio.Task[Any]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            await asyncio.sleep(linger)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for task in handlers:
        task.cancel()
    await asyncio.gather(*handlers)


def from_server(*chunks: bytes, linger: float = 0, request: HttpRequest | None = None) -> RawReply:
    async def run() -> RawReply:
        async with answering(*chunks, linger=linger) as url:
            return await WireTransport(url, timeout=0.5, agent=AGENT).send(request or HttpRequest("GET", "/"))

    return asyncio.run(run())


def test_raw_bytes_arrive_as_they_were_sent() -> None:
    request = HttpRequest("GET", "/a", headers=(("Authorization", b"Bearer \xff\xfe"), ("X-One", "caf\xe9")))
    (reply,) = through(request)
    assert b"authorization: Bearer \xff\xfe" in reply.body
    assert b"x-one: caf\xe9" in reply.body
    assert reply.status == 200


def test_a_target_is_not_tidied() -> None:
    (reply,) = through(HttpRequest("GET", "/", target=b"/a/../b//c%2e"))
    assert b"target: /a/../b//c%2e" in reply.body


def test_a_nul_is_refused_by_the_server_and_not_by_us() -> None:
    (reply,) = through(HttpRequest("GET", "/", headers=(("Authorization", b"Bearer a\x00b"),)))
    assert reply.status == 400
    assert not reply.undelivered


def test_a_body_and_its_length_arrive() -> None:
    (reply,) = through(HttpRequest("POST", "/").with_json({"a": 1}))
    assert reply.body.endswith(b'{"a": 1}')


def test_the_host_and_the_state_are_those_of_the_process() -> None:
    (reply,) = through(HttpRequest("GET", "/"), pool="open")
    assert b"host: testserver" in reply.body
    assert b"state: {'pool': 'open'}" in reply.body


def test_no_server_header_gives_the_wire_away() -> None:
    (reply,) = through(HttpRequest("GET", "/"))
    assert reply.header("server") is None
    assert reply.header("date") is None


def test_an_exception_of_the_application_is_a_500() -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("no")

    assert [reply.status for reply in through(HttpRequest("GET", "/"), app=broken)] == [500]


def test_the_same_server_answers_many() -> None:
    assert [reply.status for reply in through(*[HttpRequest("GET", "/")] * 5)] == [200] * 5


def test_a_hang_up_is_no_answer() -> None:
    assert from_server().error == "connection closed without an answer (EOFError)"


def test_a_cut_answer_is_no_answer() -> None:
    reply = from_server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    assert reply.status is None
    assert reply.error is not None


def test_what_is_no_http_is_no_answer() -> None:
    assert "no HTTP" in (from_server(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").error or "")


def test_silence_ends() -> None:
    assert from_server(linger=2).error == "no answer within 0.5 s"


def test_chunks_and_repeated_headers_are_read() -> None:
    reply = from_server(
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nWWW-Authenticate: Basic\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    assert reply.header_lines("www-authenticate") == ("Bearer", "Basic")
    assert reply.body == b"abc"


def test_interim_answers_are_skipped_and_head_has_no_body() -> None:
    head = HttpRequest("HEAD", "/")
    reply = from_server(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\n", request=head
    )
    assert reply.status == 204


def test_an_endless_body_is_cut() -> None:
    reply = from_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (1 << 20) + b"b" * 9_000)
    assert reply.truncated
    assert len(reply.body) == 1 << 20


def test_nobody_there_is_said() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        wire = WireTransport(f"http://127.0.0.1:{held.getsockname()[1]}", agent=AGENT)
        reply = asyncio.run(wire.send(HttpRequest("GET", "/")))
    assert (reply.error or "").startswith("no connection")
