"""What a service writes while it serves: its loggers and streams in this process, or its log file.

A record counts as its own handlers would write it, after their levels, filters and formatters: an
application that masks secrets in a formatter has masked them. Where it has no handlers of its own, the
plain message counts.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from auth_conformance.transports.asgi import AsgiTransport

App = Callable[..., Awaitable[None]]
# Loggers of servers that would stand around the application outside this process.
ACCESS, ERROR = "uvicorn.access", "uvicorn.error"
# Loggers that tell of requests or of the machinery, and know no user.
_MACHINERY = (ACCESS, "uvicorn", "asyncio", "sqlalchemy", "aiosqlite", "httpx", "httpcore", "stdout.access")
_MOST = 20_000
_LONGEST = 100_000
_PLAIN = logging.Formatter("%(levelname)s %(name)s %(message)s")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was written: by which logger or stream, and its text, line breaks included."""

    source: str
    text: str

    @property
    def own(self) -> bool:
        """Whether the application wrote it, and not the machinery around it, which knows no user."""
        return not self.source.startswith(_MACHINERY)


@dataclass(slots=True)
class Journal:
    """Everything that was written since it was opened. `known` is false where nothing could be watched."""

    lines: list[Line] = field(default_factory=list)
    known: bool = True
    _file: Path | None = None
    _offset: int = 0

    def write(self, source: str, text: str) -> None:
        """Add a line, unless there are too many."""
        if len(self.lines) < _MOST and text:
            self.lines.append(Line(source, text[:_LONGEST]))

    def mark(self) -> int:
        """How many lines there are by now."""
        self._read()
        return len(self.lines)

    def since(self, mark: int) -> list[Line]:
        """What was written after `mark`."""
        self._read()
        return self.lines[mark:]

    def _read(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError), self._file.open("rb") as stream:
            stream.seek(self._offset)
            found = stream.read(8_000_000)
            self._offset += len(found)
            for text in found.decode("utf-8", "replace").split("\n"):
                self.write("file", text)


class _Listener(logging.Handler):
    """Writes down what the application's own handlers would write for a record."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.NOTSET)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        own = list(_handlers(record.name))
        for handler in own:
            if record.levelno < handler.level:
                continue
            each = copy.copy(record)
            with contextlib.suppress(Exception):  # a formatter of the application that fails writes nothing
                if handler.filter(each):
                    self._journal.write(record.name, handler.format(each))
        if not own:
            with contextlib.suppress(Exception):
                self._journal.write(record.name, _PLAIN.format(copy.copy(record)))


def _handlers(name: str) -> Iterator[logging.Handler]:
    """The handlers that the application itself has given this logger."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        for handler in logger.handlers:
            foreign = type(handler).__module__.split(".")[0] in ("_pytest", "auth_conformance")
            if not foreign and not isinstance(handler, logging.NullHandler):
                yield handler
        logger = logger.parent if logger.propagate else None


class _Tee:
    """A stream that passes everything on and keeps a copy."""

    def __init__(self, stream: TextIO, name: str, journal: Journal) -> None:
        self._stream, self._name, self._journal = stream, name, journal

    def write(self, text: str) -> int:
        self._journal.write(self._name, text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def open_journal(transport: object, file: str | None, *, loud: bool = False) -> Iterator[Journal]:
    """Watch what the service writes while the block runs.

    `loud` turns every logger of this process to DEBUG, as people do who look for an error.
    """
    journal = Journal()
    if isinstance(transport, AsgiTransport):
        with _listening(journal, loud=loud), _served(transport):
            yield journal
        return
    path = Path(file) if file else None
    if path is None or not path.is_file():
        journal.known = False
    else:
        journal._file, journal._offset = path, path.stat().st_size  # noqa: SLF001 - its maker
    yield journal


@contextlib.contextmanager
def _listening(journal: Journal, *, loud: bool) -> Iterator[None]:
    listener = _Listener(journal)
    names = ["", "uvicorn", ACCESS, ERROR, *logging.root.manager.loggerDict]
    loggers = {name: logging.getLogger(name) for name in dict.fromkeys(names)}
    before = {name: (logger.level, logger.disabled) for name, logger in loggers.items()}
    # A record reaches the root unless a logger on the way keeps it to itself.
    places = [logger for name, logger in loggers.items() if not name or not logger.propagate]
    for logger in places:
        logger.addHandler(listener)
    for name in ("uvicorn", ACCESS, ERROR):
        # As uvicorn sets them; the server that our raw wire needs has turned them to CRITICAL.
        if loggers[name].level in (logging.NOTSET, logging.CRITICAL):
            loggers[name].setLevel(logging.INFO)
    if loud:
        for logger in loggers.values():
            logger.setLevel(logging.DEBUG)
            logger.disabled = False
    out, err = sys.stdout, sys.stderr
    sys.stdout = _Tee(out, "stdout", journal)
    sys.stderr = _Tee(err, "stderr", journal)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        for logger in places:
            logger.removeHandler(listener)
        for name, (level, disabled) in before.items():
            loggers[name].setLevel(level)
            loggers[name].disabled = disabled


@contextlib.contextmanager
def _served(transport: AsgiTransport) -> Iterator[None]:
    """Write the lines that uvicorn would write about each request of an application in this process."""
    app = transport.app

    async def logged(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        status = 500

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, noted)
        except Exception:
            logging.getLogger(ERROR).exception("Exception in ASGI application\n")
            raise
        finally:
            if scope["type"] == "http":
                query = scope.get("query_string", b"").decode("latin-1")
                path = scope["path"] + (f"?{query}" if query else "")
                host, port = scope.get("client") or ("", 0)
                logging.getLogger(ACCESS).info(
                    '%s - "%s %s HTTP/%s" %d', f"{host}:{port}", scope["method"], path, "1.1", status
                )

    transport.app = logged
    try:
        yield
    finally:
        transport.app = app
