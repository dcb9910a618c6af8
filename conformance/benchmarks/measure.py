"""Benchmarks of the suite itself, as ratios within one run: absolute times on a shared machine mean little.

python conformance/benchmarks/measure.py [replay | latency | imports | memory | source | storage]
"""

import argparse
import asyncio
import importlib.util
import json
import logging
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Run
from auth_conformance.runner import batches
from auth_conformance.transports import asgi
from auth_conformance.transports.http import build
from auth_conformance.transports.message import HttpRequest, RawReply

Send = Callable[[HttpRequest], Awaitable[RawReply]]
LATENCY = 0.05
ROUNDS = 3


def run_demo(wrap: Callable[[asgi.AsgiTransport], None] = lambda _: None) -> tuple[Run, float]:
    """One demo run and its duration in seconds; `wrap` may change the transport before it is used."""
    # Some checks make the app fail. Without a handler of the root logger each traceback would go to the terminal.
    logging.getLogger().addHandler(logging.NullHandler())
    original = asgi.AsgiTransport.start

    async def start(transport: asgi.AsgiTransport) -> None:
        wrap(transport)
        await original(transport)

    asgi.AsgiTransport.start = start  # type: ignore[method-assign] # the benchmark's own tap
    try:
        with bundled() as (app, settings):
            checks = list(catalog.load().values())
            started = time.perf_counter()
            run = asyncio.run(conduct(settings, checks, app=app))
            return run, time.perf_counter() - started
    finally:
        asgi.AsgiTransport.start = original  # type: ignore[method-assign]


def replay() -> None:
    """The whole demo run against the same requests sent by the bare client, one after another.

    The bare client meets a new app, which knows none of the credentials: how many requests are answered with the
    same status tells how much of the app's work it repeats.
    """
    ratios = []
    for _ in range(ROUNDS):
        sent: list[tuple[HttpRequest, int | None]] = []

        def tap(transport: asgi.AsgiTransport, kept: list[tuple[HttpRequest, int | None]] = sent) -> None:
            transport.send = _kept(transport.send, kept)  # type: ignore[method-assign]

        began = time.process_time()
        _, ours = run_demo(tap)
        busy = time.process_time() - began
        bare, bare_busy, alike = asyncio.run(_replayed([item for item in sent if item[0].target is None]))
        ratios.append(ours / bare)
        print(
            f"  {len(sent)} requests, {alike} answered alike: run {ours:.1f} s ({busy:.1f} s of processor), "
            f"bare client {bare:.1f} s ({bare_busy:.1f} s), ratio {ours / bare:.2f}",
        )
    print(f"replay: median ratio {statistics.median(ratios):.2f} (goal: at most 1.5)")


def _kept(send: Send, kept: list[tuple[HttpRequest, int | None]]) -> Send:
    async def recorded(request: HttpRequest) -> RawReply:
        reply = await send(request)
        kept.append((request, reply.status))
        return reply

    return recorded


async def _replayed(sent: list[tuple[HttpRequest, int | None]]) -> tuple[float, float, int]:
    """Seconds, seconds of processor, and how many were answered with the same status."""
    alike = 0
    with bundled() as (app, _):
        door = asgi.AsgiTransport(app, agent="bare")  # type: ignore[arg-type]
        await door.start()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
        started, began = time.perf_counter(), time.process_time()
        for request, status in sent:
            try:
                response = await transport.handle_async_request(build(asgi.BASE_URL, request, "bare"))
                await response.aread()
                alike += response.status_code == status
            except (httpx.InvalidURL, UnicodeEncodeError):
                continue
        took, busy = time.perf_counter() - started, time.process_time() - began
        await door.close()
        return took, busy, alike


def latency() -> None:
    """A run with 50 ms added to each response, against the longest chain that cannot be parallel."""

    def slow(transport: asgi.AsgiTransport) -> None:
        send = transport.send

        async def delayed(request: HttpRequest) -> RawReply:
            await asyncio.sleep(LATENCY)
            reply = await send(request)
            return replace(reply, took=reply.took + LATENCY)

        transport.send = delayed  # type: ignore[method-assign]

    run, took = run_demo(slow)
    took_by_code = {result.rule.code: result.took for result in run.results}
    chain = sum(
        max((took_by_code[check.rule.code] for check in batch), default=0.0)
        for batch in batches(catalog.load().values())
    )
    one_by_one = run.requests * LATENCY
    print(
        f"  {run.requests} requests: run {took:.2f} s; one after another they would wait {one_by_one:.2f} s",
    )
    print(f"latency: {took / chain:.2f} times the longest exclusive chain of {chain:.2f} s (goal: at most 2)")


def imports() -> None:
    """Modules and milliseconds that the installed plugin adds to an unrelated pytest run."""
    code = (
        "import sys, time, pytest; before = set(sys.modules); start = time.perf_counter(); "
        "import auth_conformance.plugin; took = time.perf_counter() - start; "
        "import json; print(json.dumps([sorted(set(sys.modules) - before), took * 1000]))"
    )
    samples: list[Any] = [
        json.loads(
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout,
        )
        for _ in range(7)
    ]
    modules = samples[0][0]
    fastest = min(sample[1] for sample in samples)
    print(
        f"imports: {len(modules)} modules {modules}, {fastest:.2f} ms (goal: at most 3 modules, under 10 ms)",
    )


def memory() -> None:
    """Peak memory of one demo run in a process of its own."""
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); import measure; run, took = measure.run_demo(); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    here = __file__.rpartition("/")[0] or "."
    with tempfile.TemporaryDirectory() as folder:
        # An installed package is compiled; to compile all of it within the run would be measured with it.
        surroundings = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(2):
            out = subprocess.run(
                [sys.executable, "-c", code, here],
                capture_output=True,
                check=True,
                text=True,
                env=surroundings,
            )
    print(f"memory: peak {float(out.stdout.split()[-1]):.0f} MiB (goal: under 200)")


def source() -> None:
    """The source pass against plain `bandit -r` on the same tree, by the CPU seconds of a process each."""
    package = importlib.util.find_spec("fastapi_users")
    if package is None or package.origin is None:
        raise SystemExit("The benchmark of the source pass reads fastapi-users: pip install '.[test]'.")
    tree = str(Path(package.origin).parent)
    ours = (
        "import sys, pathlib; from auth_conformance.source.scan import scan; scan(pathlib.Path(sys.argv[1]))"
    )
    plugins = "SRC101,SRC103,SRC104,SRC105,SRC106,SRC107,SRC113"
    commands = {
        "ours": [sys.executable, "-c", ours, tree],
        "bandit": [
            sys.executable,
            "-m",
            "bandit",
            "-q",
            "-r",
            tree,
            "-s",
            plugins,
            "--exit-zero",
            "-f",
            "json",
            "-o",
            os.devnull,
        ],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    ratio = statistics.median(took["ours"]) / statistics.median(took["bandit"])
    print(f"source: {ratio:.2f} times plain bandit -r on {tree.rpartition('/')[2]} (goal: at most 1.5)")


def storage() -> None:
    """Peak memory and time of a scan of a million rows, against one of ten thousand."""
    code = (
        "import asyncio, resource, sys, time; from auth_conformance.storage import read; start = time.perf_counter(); "
        "dump = asyncio.run(read(sys.argv[1])); took = time.perf_counter() - start; "
        "print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(dump.rows))"
    )
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (10_000, 1_000_000):
            path = Path(folder) / f"{count}.db"
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
                rows = ((f"{number:032x}", "x" * 100) for number in range(count))
                connection.executemany("INSERT INTO t (a, b) VALUES (?, ?)", rows)
            connection.close()
            command = [sys.executable, "-c", code, f"sqlite:///{path}"]
            out = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
            took.append(float(out[0]))
            print(f"  {count} rows: peak {float(out[1]):.0f} MiB, {out[2]} rows read")
    print(
        f"storage: a million rows take {took[1] / took[0]:.1f} times ten thousand (goal: peak under 200 MiB)"
    )


def main() -> None:
    """Run the named benchmark, or all."""
    known = {
        "replay": replay,
        "latency": latency,
        "imports": imports,
        "memory": memory,
        "source": source,
        "storage": storage,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", choices=[*known, []], default=[])
    for name in parser.parse_args().which or known:
        known[name]()


if __name__ == "__main__":
    main()
