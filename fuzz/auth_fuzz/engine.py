"""Schemathesis as a source of requests: its engine and public API, never its pytest plugin.

It calls an ASGI application of ours that passes each generated request on, so that every request goes out
through the recorder: under the run's budget, rate and redaction, and to a URL as well as in process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from auth_conformance.transports.message import HttpRequest, RawReply
from auth_fuzz.bridge import Bridge
from auth_fuzz.documents import encoded

Handle = Callable[[HttpRequest], Coroutine[Any, Any, RawReply]]
_DOCUMENT = "/openapi.json"
# Headers of the client below Schemathesis: they are not part of what it generated.
_CLIENT = {
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "authorization",
    "x-schemathesis-testcaseid",
}


class MissingExtraError(RuntimeError):
    """Hypothesis or Schemathesis is not installed."""

    def __init__(self) -> None:
        super().__init__("fuzzing needs the extra: pip install 'fastapi-auth-conformance[fuzz]'")


def available() -> bool:
    """Whether the extra is installed; loads it, which takes a second that is no part of any search."""
    try:
        import hypothesis
        from schemathesis import engine, openapi
    except ImportError:
        return False
    return bool(hypothesis.__version__ and engine and openapi)


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Keep what Hypothesis and Schemathesis write out of the user's folder while the block runs."""
    from hypothesis import configuration  # an extra

    with tempfile.TemporaryDirectory(prefix="auth-fuzz-") as folder:
        before = os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY")
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        configuration.set_hypothesis_home_dir(Path(folder))
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)
            if before is None:
                del os.environ["HYPOTHESIS_STORAGE_DIRECTORY"]
            else:
                os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = before


def warm_up(loop: asyncio.AbstractEventLoop) -> None:
    """Let Schemathesis build what it builds once: a second or two that are no part of any search. Blocks."""

    async def nothing(_: HttpRequest) -> RawReply:
        return RawReply(204)

    operation = {"get": {"responses": {"default": {"description": "any"}}}}
    document = {"openapi": "3.1.0", "info": {"title": "warm-up", "version": "1"}, "paths": {"/": operation}}
    Source(document, nothing, Bridge(loop, time.monotonic() + 10), 0, 1).exhaust()


@dataclass(slots=True)
class Source:
    """Generated requests for one document, each given to `handle` on the loop of `bridge`."""

    document: dict[str, Any]
    handle: Handle
    bridge: Bridge
    seed: int
    examples: int

    def exhaust(self) -> None:
        """Generate until the examples, or the search's time, are used up. Blocks: for a thread of its own."""
        import schemathesis
        from schemathesis import engine

        schema = schemathesis.openapi.from_asgi(_DOCUMENT, self._application)
        schema.config.seed = self.seed
        schema.config.generation.update(
            modes=[schemathesis.GenerationMode.POSITIVE],
            max_examples=self.examples,
            database="none",
            no_shrink=True,
            with_security_parameters=False,
            allow_x00=False,
        )
        schema.config.phases.stateful.enabled = False
        stream = engine.from_schema(schema).execute()
        for _ in stream:
            if self.bridge.spent:
                stream.stop()

    async def _application(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Any
    ) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["path"] == _DOCUMENT:
            reply = RawReply(200, (("content-type", "application/json"),), encoded(self.document))
        elif self.bridge.spent:
            reply = RawReply(204)
        else:
            work = self.handle(await _request(scope, receive))
            reply = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.bridge.loop))
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in reply.headers
            if name.lower() in {"content-type", "location"}
        ]
        await send({"type": "http.response.start", "status": reply.status or 502, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


async def _lifespan(receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _request(scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Any]]) -> HttpRequest:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name.decode("latin-1").lower() not in _CLIENT
    )
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").split("?")[0]
    has_body = bool(body) or any(name.lower() == "content-type" for name, _ in headers)
    return HttpRequest(scope["method"], path, tuple(query), headers, body if has_body else None)
