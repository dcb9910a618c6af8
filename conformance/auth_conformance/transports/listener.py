"""A listener for callbacks: whether the target fetched an address that only a token of ours named.

Two witnesses. A small HTTP server in a thread of its own, so that a target that fetches synchronously on our
event loop is answered, too. And, for an application in this process, Python's audit events: they tell of
look-ups, connections and files that never reach our server.
"""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Mapping
from typing import Any

_EVENTS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "open"}
# Hooks cannot be taken away again (PEP 578): one is installed, and looks at this.
_WATCHERS: list[Watch] = []
_INSTALLED: list[bool] = []


class Watch:
    """What this process looked up, connected to or opened, as far as it has one of the marks in it."""

    def __init__(self) -> None:
        self.marks: tuple[str, ...] = ()
        self.seen: list[str] = []

    def start(self, *marks: str) -> None:
        """Watch for these texts in host names, ports and paths."""
        self.marks = marks
        if not _INSTALLED:
            _INSTALLED.append(True)
            sys.addaudithook(_notice)
        _WATCHERS.append(self)

    def stop(self) -> None:
        """Look away."""
        if self in _WATCHERS:
            _WATCHERS.remove(self)


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCHERS or event not in _EVENTS:
        return
    said = str(arguments[1:] if event == "socket.connect" else arguments[:2])
    for watcher in _WATCHERS:
        watcher.seen += [f"{event} {mark}" for mark in watcher.marks if mark in said]


class Listener:
    """Serves `pages` by path at `url`, and remembers every path that was asked for.

    `bind` is host and port, port 0 for any free one; `url` is how the target reaches it, "" for the same.
    """

    def __init__(
        self, pages: Mapping[str, bytes], bind: tuple[str, int] = ("127.0.0.1", 0), url: str = ""
    ) -> None:
        self.asked: list[str] = []
        self.pages = dict(pages)
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers with what was prepared for the path."""

            timeout = 5

            def do_GET(self) -> None:
                """Serve a page, and remember the path."""
                path = self.path.partition("?")[0]
                listener.asked.append(path)
                page = listener.pages.get(path, b"{}")
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            do_HEAD = do_POST = do_GET  # noqa: N815 - as above

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(bind, Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = url.rstrip("/") or f"http://{bind[0]}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
