"""Schemathesis as a source of requests: its engine and public API, never its pytest plugin.

It calls a WSGI application of ours that passes each generated request on, so that every request goes out
through the recorder: under the run's budget, rate and redaction, and to a URL as well as in process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from auth_conformance.loop import wait_for_those_left
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_fuzz.bridge import GRACE, Bridge, HaltedError
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

    folder = tempfile.mkdtemp(prefix="auth-fuzz-")
    before = os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
    configuration.set_hypothesis_home_dir(Path(folder))
    try:
        yield
    finally:
        if wait_for_those_left(GRACE):
            configuration.set_hypothesis_home_dir(None)
            if before is None:
                del os.environ["HYPOTHESIS_STORAGE_DIRECTORY"]
            else:
                os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = before
            shutil.rmtree(folder, ignore_errors=True)
        else:
            # A search that was broken off still writes: there, and not into the user's folder.
            atexit.register(shutil.rmtree, folder, ignore_errors=True)


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

        schema = schemathesis.openapi.from_wsgi(_DOCUMENT, self._application)
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

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A WSGI application: it is called in the thread of the search, and may wait there."""
        if environ["PATH_INFO"] == _DOCUMENT:
            reply = RawReply(200, (("content-type", "application/json"),), encoded(self.document))
        elif self.bridge.spent:
            reply = RawReply(204)
        else:
            try:
                reply = self.bridge.run(self.handle(_request(environ)))
            except HaltedError:
                reply = RawReply(204)
        headers = [pair for pair in reply.headers if pair[0].lower() in {"content-type", "location"}]
        start_response(f"{reply.status or 502} said", headers)
        return [reply.body]


def _request(environ: Mapping[str, Any]) -> HttpRequest:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    headers = [
        (name[5:].replace("_", "-").title(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and name[5:].replace("_", "-").lower() not in _CLIENT
    ]
    content = environ.get("CONTENT_TYPE")
    if content:
        headers.append(("Content-Type", content))
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    path = str(environ.get("REQUEST_URI") or quote(environ["PATH_INFO"].encode("latin-1"))).split("?")[0]
    return HttpRequest(
        environ["REQUEST_METHOD"], path, tuple(query), tuple(headers), body if body or content else None
    )
