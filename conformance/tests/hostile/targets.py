"""Targets that answer everything except the question: dead, throttling, intercepting, lying, breaking ones.

Each factory takes the application that it stands in front of (most work without one, too) and returns a
plain ASGI application, for use in-process and under `services.serving.serve`. The lifespan always reaches
the inner application; only HTTP is tampered with. Numbers are kept per returned application, so make a new
one per test.

`TARGETS` holds them all, ready with defaults. Against those in `NOTHING_MAY_PASS` every answer is
worthless. The others are honest now and then: there, only what was really shown may pass.

`dead()` and `drops_connections()` are URLs, not applications: no ASGI application can refuse a connection,
and uvicorn turns one that raises into a 500. Uvicorn also adds its own `Server` header to the WAF's.
"""

import asyncio
import contextlib
import itertools
import json
import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from services.serving import App, Message, Receive, Send

Answer = Callable[[Message, Receive, Send], Awaitable[None]]

_CREDENTIALS = ("authorization", "cookie", "x-api-key", "x-session-token")
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><div id=app></div></body></html>"
_BLOCKED = b"<!doctype html><html><body><h1>Request blocked</h1><p>Incident 18ab3f</p></body></html>"
_SUSPICIOUS = re.compile(
    rb"<script|'\s*or\s|union\s+select|\.\./|%2e%2e|%00|\x00|\\u0000"
    rb"|eyJhbGciOiJ[uo]|eyJ[\w-]+\.[\w-]*\.(?![\w-])",  # JWTs that name no algorithm, or have no signature
    re.IGNORECASE,
)
_NOT_ASCII = re.compile(rb"[^\x20-\x7e]")


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def html(cls, status: int, body: bytes, **headers: str) -> "Reply":
        return cls(status, body, _headers({"content-type": "text/html; charset=utf-8", **headers}))

    @classmethod
    def json(cls, status: int, body: Mapping[str, Any], **headers: str) -> "Reply":
        return cls(
            status, json.dumps(body).encode(), _headers({"content-type": "application/json", **headers})
        )

    @classmethod
    def text(cls, status: int, body: str, **headers: str) -> "Reply":
        return cls(status, body.encode(), _headers({"content-type": "text/plain; charset=utf-8", **headers}))

    async def to(self, send: Send) -> None:
        headers = [pair for pair in self.headers if pair[0] != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


# --- nothing there -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def dead() -> Iterator[str]:
    """Yield a URL where nobody listens: the port is held, so nobody else can move in."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextlib.contextmanager
def drops_connections() -> Iterator[str]:
    """Yield a URL that accepts each connection, hears the request and hangs up without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_hang_up, args=(listener,), name="drops-connections", daemon=True)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
            thread.join(5)


def _hang_up(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(2)
                connection.recv(65536)


def drops(app: App | None = None) -> App:
    """Raise on every request. In-process that is a lost connection; uvicorn makes it a bare 500."""

    async def answer(_: Message, __: Receive, ___: Send) -> None:
        raise ConnectionResetError("the target dropped the connection")

    return in_front_of(app, answer)


def cuts_short(app: App | None = None) -> App:
    """Answer 200, promise a body, and hang up before it: over the network too."""

    async def answer(_: Message, __: Receive, send: Send) -> None:
        await _cut(send, 200)

    return in_front_of(app, answer)


def hangs(app: App | None = None, after: int = 0) -> App:
    """Serve the first `after` requests; from then on never answer, until the client goes away."""

    async def answer(_: Message, receive: Receive, __: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    return _after(app, after, answer)


# --- the same for everybody --------------------------------------------------------------------------------


def throttled(app: App | None = None, *, retry_after: int = 30) -> App:
    """Answer 429 with Retry-After to everything."""
    return _always(app, Reply.json(429, {"detail": "Too Many Requests"}, **{"retry-after": str(retry_after)}))


def unavailable(app: App | None = None, *, retry_after: int = 30) -> App:
    """Answer 503 with Retry-After to everything."""
    return _always(app, Reply.html(503, b"<h1>Maintenance</h1>", **{"retry-after": str(retry_after)}))


def same_page(app: App | None = None) -> App:
    """Answer 200 with one HTML page to everything."""
    return _always(app, Reply.html(200, _PAGE))


def same_json(app: App | None = None, *, body: Mapping[str, Any] = MappingProxyType({"status": "ok"})) -> App:
    """Answer 200 with one JSON object to everything; with the victim's name in it a convincing liar."""
    return _always(app, Reply.json(200, dict(body)))


def gzip_bomb(
    app: App | None = None, *, megabytes: int = 50, encoding: Literal["gzip", "deflate", "zlib"] = "gzip"
) -> App:
    """Answer 200 with JSON that is a few kilobytes on the wire and `megabytes` after decompression.

    `deflate` is the raw stream, `zlib` the one with a header; HTTP calls both `Content-Encoding: deflate`.
    """
    name = "gzip" if encoding == "gzip" else "deflate"
    headers = {"content-type": "application/json", "content-encoding": name}
    return _always(app, Reply(200, _inflatable(megabytes, encoding), _headers(headers)))


# --- interception ------------------------------------------------------------------------------------------


def waf(app: App | None = None, *, everything: bool = True) -> App:
    """Answer 403 with an HTML page: to everything, or only to what carries suspicious bytes."""
    inner, page = app or _empty, _waf_page()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if everything:
            await page.to(send)
            return
        body = await whole_body(receive)
        query, values = scope.get("query_string", b""), [value for _, value in scope["headers"]]
        parts = [scope["path"].encode(), scope.get("raw_path") or b"", query, body, *values]
        parts += [unquote_to_bytes(part.replace(b"+", b" ")) for part in (query, body)]
        if any(map(_SUSPICIOUS.search, parts)) or any(map(_NOT_ASCII.search, values)):
            await page.to(send)
        else:
            await inner(scope, replayed(body, receive), send)

    return in_front_of(app, answer)


def waf_on_attack(app: App, *, known: Iterable[str] = ()) -> App:
    """Let good requests through; answer 403 HTML to any credential that was not seen being issued.

    Issued is what the application has set as a cookie or answered as a long string in JSON, and `known` (keys
    handed out elsewhere, the base64 of a Basic pair). Requests without a credential go through. To a tester
    who looks at the status alone, every forged token is refused, whatever the application would have done.
    """
    page, issued = _waf_page(), set(known)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if not all(value in issued for value in credentials_of(scope)):
            await page.to(send)
            return
        reply = await ask(app, scope, receive)
        issued.update(issued_in(reply))
        await reply.to(send)

    return in_front_of(app, answer)


def stale_cache(app: App) -> App:
    """Keep each path's first 200 to a GET and serve it to whoever asks next, with `Age`."""
    kept: dict[str, tuple[float, Reply]] = {}

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        path, cacheable = scope["path"], scope["method"] == "GET"
        if cacheable and path in kept:
            born, reply = kept[path]
            extra = _headers({"age": str(int(time.monotonic() - born)), "x-cache": "HIT"})
            await replace(reply, headers=reply.headers + extra).to(send)
            return
        reply = await ask(app, scope, receive)
        if cacheable and reply.status == 200:
            public = tuple(pair for pair in reply.headers if pair[0].lower() != b"set-cookie")
            kept[path] = (time.monotonic(), replace(reply, headers=public))
        await reply.to(send)

    return in_front_of(app, answer)


def spa(app: App) -> App:
    """Turn every 404 into 200 with the HTML index, as single-page applications do for unknown paths."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        reply = await ask(app, scope, receive)
        await (Reply.html(200, _PAGE) if reply.status == 404 else reply).to(send)

    return in_front_of(app, answer)


# --- giving up ---------------------------------------------------------------------------------------------


def dies_after(app: App, n: int = 20, *, closed: bool = False) -> App:
    """Serve `n` requests, then answer 502 for good, or hang up in the middle of it if `closed`."""

    async def answer(_: Message, __: Receive, send: Send) -> None:
        if closed:
            await _cut(send, 502)
        await Reply.html(502, b"<h1>502 Bad Gateway</h1>").to(send)

    return _after(app, n, answer)


def throttles_after(app: App, n: int = 20, *, retry_after: int = 30) -> App:
    """Serve `n` requests, then answer 429 for good."""
    reply = Reply.json(429, {"detail": "Too Many Requests"}, **{"retry-after": str(retry_after)})
    return _after(app, n, lambda _, __, send: reply.to(send))


def half_broken(app: App) -> App:
    """Answer every second request with a 500."""
    numbers = itertools.count(1)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % 2:
            await app(scope, receive, send)
        else:
            await Reply.text(500, "Internal Server Error").to(send)

    return in_front_of(app, answer)


def slow(app: App, seconds: float = 0.2) -> App:
    """Serve everything, `seconds` late."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.sleep(seconds)
        await app(scope, receive, send)

    return in_front_of(app, answer)


def logs_out(app: App, uses: int = 3) -> App:
    """Let each credential work `uses` times, then answer it 401 for good."""
    used: Counter[str] = Counter()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        credentials = credentials_of(scope)
        if any(used[credential] >= uses for credential in credentials):
            detail = {"detail": "Your session has ended"}
            await Reply.json(401, detail, **{"www-authenticate": "Bearer"}).to(send)
            return
        used.update(credentials)
        await app(scope, receive, send)

    return in_front_of(app, answer)


def blocks_for_a_while(app: App, refusals: int = 4, block: int = 12) -> App:
    """After so many refusals refuse everybody's next `block` requests, with 403 in JSON; then begin anew."""
    counted = left = 0
    blocked = Reply.json(403, {"error": "blocked"})

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal counted, left
        if left:
            left -= 1
            await blocked.to(send)
            return
        reply = await ask(app, scope, receive)
        counted += reply.status in (401, 403)
        if counted >= refusals:
            counted, left = 0, block
        await reply.to(send)

    return in_front_of(app, answer)


def forgets_everybody(app: App, served: int = 25, refused: int = 15) -> App:
    """Serve so many requests, then answer so many 401 whoever asks, and so on: a replica without the key."""
    numbers = itertools.count()
    refusal = Reply.json(
        401,
        {"error": "invalid_token", "message": "The token is not valid."},
        **{"www-authenticate": "Bearer"},
    )

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % (served + refused) < served:
            await app(scope, receive, send)
        else:
            await refusal.to(send)

    return in_front_of(app, answer)


NOTHING_MAY_PASS: Mapping[str, Callable[[App], App]] = {
    "drops": drops,
    "cuts_short": cuts_short,
    "hangs": hangs,
    "throttled": throttled,
    "unavailable": unavailable,
    "waf": waf,
    "same_page": same_page,
    "same_json": same_json,
    "same_json_naming_alice": partial(
        same_json, body={"username": "alice", "access_token": "same-token-for-all"}
    ),
    "gzip_bomb": gzip_bomb,
    "zlib_bomb": partial(gzip_bomb, encoding="zlib"),
    "deflate_bomb": partial(gzip_bomb, encoding="deflate"),
}
TARGETS: Mapping[str, Callable[[App], App]] = {
    **NOTHING_MAY_PASS,
    "hangs_after": partial(hangs, after=20),
    "waf_on_suspicion": partial(waf, everything=False),
    "waf_on_attack": waf_on_attack,
    "stale_cache": stale_cache,
    "spa": spa,
    "dies_after": dies_after,
    "closes_after": partial(dies_after, closed=True),
    "throttles_after": throttles_after,
    "half_broken": half_broken,
    "slow": slow,
    "logs_out": logs_out,
    "blocks_for_a_while": blocks_for_a_while,
    "forgets_everybody": forgets_everybody,
}


# --- how they are made -------------------------------------------------------------------------------------


def in_front_of(app: App | None, answer: Answer) -> App:
    inner = app or _empty

    async def target(scope: Message, receive: Receive, send: Send) -> None:
        await (answer if scope["type"] == "http" else inner)(scope, receive, send)

    return target


def _always(app: App | None, reply: Reply) -> App:
    return in_front_of(app, lambda _, __, send: reply.to(send))


def _after(app: App | None, n: int, then: Answer) -> App:
    inner, numbers = app or _empty, itertools.count(1)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        await (inner if next(numbers) <= n else then)(scope, receive, send)

    return in_front_of(app, answer)


async def _empty(scope: Message, receive: Receive, send: Send) -> None:
    """Start, stop, and know no path."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
    elif scope["type"] == "http":
        await Reply.json(404, {"detail": "Not Found"}).to(send)


async def _cut(send: Send, status: int) -> None:
    """Begin an answer and break off; raising then makes uvicorn close the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"', "more_body": True})
    raise ConnectionResetError("the target hung up in the middle of its answer")


async def ask(app: App, scope: Message, receive: Receive) -> Reply:
    """What `app` answers, whole."""
    start: Message = {}
    body = bytearray()

    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, note)
    return Reply(
        start["status"], bytes(body), tuple((name, value) for name, value in start.get("headers", ()))
    )


async def whole_body(receive: Receive) -> bytes:
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Give an application the body that was read before it, then what follows."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def credentials_of(scope: Message) -> list[str]:
    """Every credential of a request; one that cannot be read comes back as it stands."""
    found = []
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        if name not in _CREDENTIALS:
            continue
        if name == "cookie":
            found += [pair.partition("=")[2] or pair for pair in text.split("; ")]
        elif name == "authorization" and re.fullmatch(r"[A-Za-z]+ \S+", text):
            found.append(text.partition(" ")[2])
        else:
            found.append(text)
    return found


def issued_in(reply: Reply) -> set[str]:
    """The strings of an answer that could be credentials."""
    issued = set()
    for name, value in reply.headers:
        if name.lower() == b"set-cookie":
            issued.add(value.decode("latin-1").partition(";")[0].partition("=")[2])
    with contextlib.suppress(ValueError):
        waiting = [json.loads(reply.body)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value
            elif isinstance(value, str) and len(value) >= 16:
                issued.add(value)
    return issued


def _waf_page() -> Reply:
    return Reply.html(403, _BLOCKED, server="waf")


@cache
def _inflatable(megabytes: int, encoding: Literal["gzip", "deflate", "zlib"]) -> bytes:
    window = {"gzip": 31, "deflate": -15, "zlib": 15}[encoding]
    press = zlib.compressobj(9, zlib.DEFLATED, window)
    blanks = b" " * 2**20
    parts = [press.compress(b'{"padding": "'), *(press.compress(blanks) for _ in range(megabytes))]
    return b"".join([*parts, press.compress(b'"}'), press.flush()])


def _headers(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers.items())
