"""A second process of the application, on the same database: what one process remembers, the other does not know.

A re-import in this process would keep module globals; only another interpreter starts with nothing.
Run as a module it is that process: `python -m auth_conformance.transports.second SPEC DIRECTORY PORT MOMENT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

# An application that needs longer to start than this, in seconds, is not waited for.
START_WITHIN = 45.0
STOP_WITHIN = 5.0


class SecondProcessError(RuntimeError):
    """The second process did not start; the message says what it wrote last."""


@contextlib.asynccontextmanager
async def second_process(
    spec: str, app_dir: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Start `spec` (module:app or module:factory) in a process of its own; yields its URL on 127.0.0.1.

    It has the environment of this process, with `environment` on top, and the clock of this process, which tests
    may have moved. Raises SecondProcessError.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *_command(spec, app_dir, port),
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    written = bytearray()
    reading = asyncio.create_task(_keep_last(process.stderr, written))
    try:
        await _listening(process, port, written)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN)
            except TimeoutError:
                process.kill()
                await process.wait()
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


def _command(spec: str, app_dir: str, port: int) -> list[str]:
    return [sys.executable, "-m", __name__, spec, str(Path(app_dir).resolve()), str(port), repr(time.time())]


async def _keep_last(stream: asyncio.StreamReader | None, written: bytearray) -> None:
    # Read all the time: a process whose pipe is full stands still.
    while stream is not None and (data := await stream.read(4096)):
        written += data
        del written[:-4096]


async def _listening(process: asyncio.subprocess.Process, port: int, written: bytearray) -> None:
    end = time.monotonic() + START_WITHIN
    while time.monotonic() < end:
        if process.returncode is not None:
            lines = written.decode("utf-8", "replace").strip().splitlines()
            raise SecondProcessError(lines[-1][:300] if lines else f"it ended with {process.returncode}")
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise SecondProcessError(f"it did not listen within {START_WITHIN:g} s")


def main(spec: str, app_dir: str, port: str, moment: str) -> None:
    """Serve the application in this process until it is ended."""
    import time_machine  # noqa: PLC0415 - patches on import
    import uvicorn  # noqa: PLC0415 - an extra

    sys.path.insert(0, app_dir)
    # Neither Server nor Date: an answer has to look as it does in the first process.
    options = {"server_header": False, "date_header": False, "proxy_headers": False, "access_log": False}
    distance = abs(float(moment) - time.time())
    with contextlib.ExitStack() as stack:
        if distance > 60:
            stack.enter_context(time_machine.travel(float(moment), tick=True))
        uvicorn.run(spec, host="127.0.0.1", port=int(port), log_level="error", **options)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:5])
