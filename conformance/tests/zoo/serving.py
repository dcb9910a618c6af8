"""Each service of the zoo in a process of its own, under the server that its framework is deployed with.

`python serving.py MODULE` serves a module: its SERVER says by what, its `create_app` makes the application.
`running(MODULE)` starts that process and yields the address; nothing is left behind.
"""

import asyncio
import contextlib
import importlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).parents[1]
_START_WITHIN = 40.0
_STOP_WITHIN = 5.0


@contextlib.contextmanager
def running(module: str) -> Iterator[str]:
    command = [sys.executable, __file__, module]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"{module} did not start: its process said why")
            _until_open(int(port), process)
            prefix = getattr(importlib.import_module(module), "PREFIX", "")
            yield f"http://127.0.0.1:{port}{prefix}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _until_open(port: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + _START_WITHIN
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > end or process.poll() is not None:
            raise RuntimeError("the service does not listen: its process said why")
        time.sleep(0.02)


def main(name: str) -> None:
    sys.path.insert(0, str(TESTS))
    module = importlib.import_module(name)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    print(port, flush=True)
    _serve(module, getattr(module, "SERVER", "uvicorn"), port)


def _serve(module: ModuleType, server: str, port: int) -> None:
    match server:
        case "uvicorn":
            import uvicorn

            uvicorn.run(
                module.create_app(), host="127.0.0.1", port=port, log_level="error", forwarded_allow_ips=""
            )
        case "hypercorn":
            import hypercorn.asyncio
            import hypercorn.config

            config = hypercorn.config.Config()
            config.bind = [f"127.0.0.1:{port}"]
            config.loglevel = "ERROR"
            asyncio.run(hypercorn.asyncio.serve(module.create_app(), config))
        case "waitress":
            import waitress

            waitress.serve(module.create_app(), host="127.0.0.1", port=port, threads=8, _quiet=True)
        case _:
            module.serve(port)


if __name__ == "__main__":
    main(sys.argv[1])
