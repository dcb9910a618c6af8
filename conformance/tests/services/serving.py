"""Serve an ASGI application on a free loopback port for the length of a `with` block."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_START_WITHIN = 60.0
_STOP_WITHIN = 10.0


@contextlib.contextmanager
def serve(app: App | str, *, workers: int = 1) -> Iterator[str]:
    """Yield the base URL of `app`, served by uvicorn in a thread of this process.

    With `workers` above 1, `app` has to be an import string of a factory, such as
    `services.tutorial_app:create_app`: real processes are started, and what the service keeps in memory is
    then not shared, as in production.
    """
    if workers > 1:
        if not isinstance(app, str):
            raise TypeError("several workers are several processes: give the factory as 'module:function'")
        with _processes(app, workers) as url:
            yield url
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                factory=isinstance(app, str),
                log_config=None,  # pytest owns the logging of this process
                log_level="error",
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=_run, args=(server, listener), name="served-app", daemon=True)
        thread.start()
        try:
            _until(lambda: server.started or not thread.is_alive(), "uvicorn did not start")
            if not server.started:
                raise RuntimeError("the application did not start: see the log")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_STOP_WITHIN)
            if thread.is_alive():
                server.force_exit = True
                thread.join(_STOP_WITHIN)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn leaves by SystemExit when the lifespan fails; it has logged why.
    # It closes the sockets that it is given, and the caller still wants to ask this one for its port.
    with contextlib.suppress(SystemExit), listener.dup() as own:
        server.run(sockets=[own])


@contextlib.contextmanager
def _processes(factory: str, workers: int) -> Iterator[str]:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--workers", str(workers)]
    command += ["--app-dir", str(Path(__file__).parents[1]), "--log-level", "error"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as supervisor:
        try:
            _until(lambda: _answers(port) or supervisor.poll() is not None, f"{factory} did not start")
            if supervisor.returncode is not None:
                raise RuntimeError(f"{factory} did not start: uvicorn said why")
            yield f"http://127.0.0.1:{port}"
        finally:
            supervisor.terminate()  # it takes its workers with it
            try:
                supervisor.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                supervisor.kill()


def _answers(port: int) -> bool:
    """Whether a worker answers a request; the supervisor listens long before."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(1) != b""
    except OSError:
        return False


def _until(done: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + _START_WITHIN
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{complaint} within {_START_WITHIN:g} s")
        time.sleep(0.02)
