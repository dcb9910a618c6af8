"""A second process of an application: it starts with nothing but its files, its environment and our clock."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.second import SecondProcessError, second_process

APP = """
import os, time
seen = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    seen.append(1)
    text = f"{len(seen)} {os.environ.get('COLOUR')} {int(time.time())}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})
"""


async def asked(folder: Path, times: int, **environment: str) -> list[str]:
    async with second_process("little:app", str(folder), environment) as url:
        transport = HttpTransport(url, agent="test")
        replies = [(await transport.send(HttpRequest("GET", "/"))).text for _ in range(times)]
        await transport.close()
    return replies


def test_it_has_its_own_memory_our_environment_and_our_clock(tmp_path: Path) -> None:
    (tmp_path / "little.py").write_text(APP)
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with time_machine.travel(moment, tick=True):
        first = asyncio.run(asked(tmp_path, 2, COLOUR="green"))
        second = asyncio.run(asked(tmp_path, 1, COLOUR="red"))
    assert [reply.split()[:2] for reply in (*first, *second)] == [
        ["1", "green"],
        ["2", "green"],
        ["1", "red"],
    ]
    assert abs(int(first[0].split()[2]) - moment.timestamp()) < 60


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "little.py").write_text("raise RuntimeError('no database here')")
    with pytest.raises(SecondProcessError, match="no database here"):
        asyncio.run(asked(tmp_path, 1))
