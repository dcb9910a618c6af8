"""Ctrl-C during a search: what is known by then is told at once, also when the service has stopped to answer.

The application itself presses Ctrl-C, at a moment that does not depend on how busy the machine is, and answers
nothing from there on: whoever waits for one more reply waits for an hour.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis.configuration import storage_directory

from auth_conformance.gate import FINDINGS
from auth_conformance.loop import BESIDE
from auth_fuzz.operations.engine import tidy

APP = """
import asyncio, os, signal
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader

KEY = os.environ["KEY_A"]
app = FastAPI()
wrongly_admitted = 0


def caller(key: str | None = Depends(APIKeyHeader(name="X-API-Key", auto_error=False))) -> str:
    global wrongly_admitted
    if key is None or key.lower() != KEY.lower():
        raise HTTPException(401, "no", {"WWW-Authenticate": "ApiKey"})
    wrongly_admitted += key != KEY
    return "ann"


@app.get("/things")
async def things(name: str = Depends(caller)) -> list[str]:
    if wrongly_admitted:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3600)
    return [name]


@app.get("/me")
async def me(name: str = Depends(caller)) -> dict[str, str]:
    return {"username": name}
"""
# As CPython up to 3.11.7 does where two threads parse source at once, which is chance.
CONFTEST = """
import pytest

times = []


def pytest_keyboard_interrupt():
    raise SystemError("AST constructor recursion depth mismatch")


@pytest.hookimpl(tryfirst=True)
def pytest_auth_report_write():
    times.append(1)
    if len(times) == 1:
        raise SystemError("AST constructor recursion depth mismatch")
"""
CONFIGURATION = """
timeout = 3600
[accounts.a]
username = "ann"
key = { env = "KEY_A" }
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
@pytest.mark.parametrize("door", ["command", "pytest"])
def test_what_is_known_is_told_at_once(door: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "auth-conformance.toml").write_text(CONFIGURATION)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    arguments = {
        "command": [
            "auth_conformance.cli",
            "run",
            "shop:app",
            "--fuzz",
            "--only",
            "FUZ",
            "--json",
            "run.json",
        ],
        "pytest": [
            *("pytest", "-q", "-p", "no:cacheprovider", "--auth-app", "shop:app", "--auth-fuzz"),
            *("--auth-only", "FUZ", "--auth-json", "run.json"),
        ],
    }
    done = subprocess.run(
        [sys.executable, "-m", *arguments[door]],
        cwd=tmp_path,
        env={**os.environ, "KEY_A": "live-Kq8vYb2nLr6XwZ4mHk9sPd3f", "NO_COLOR": "1"},
        # As a terminal has it; a shell that starts this in the background ignores the signal for its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == (FINDINGS if door == "command" else pytest.ExitCode.INTERRUPTED), told
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["interrupted"] is True
    assert "The run was interrupted" in told
    assert "FUZ202" in told
    results = {item["code"]: item["verdict"] for item in run["results"]}
    assert results["FUZ202"] == "failed"
    # The part under way has told what it knows, too; what was not begun is not there.
    assert "FUZ100" in results
    assert "FUZ401" not in results


def test_what_a_broken_off_search_still_writes_breaks_nothing_and_goes_not_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders, ends = list[Path](), threading.Event()

    def writes() -> None:
        for number in itertools.count():
            storage_directory(f"made{number}").path.mkdir(parents=True, exist_ok=True)
            if ends.wait(0.001):
                return

    with tidy():
        folders.append(storage_directory().path)
        thread = threading.Thread(target=writes, name=BESIDE, daemon=True)
        thread.start()
    # Hypothesis keeps its folder until the thread is over.
    assert storage_directory().path == folders[0]
    ends.set()
    thread.join()
    with tidy():
        assert storage_directory().path != folders[0]
    assert not list(tmp_path.iterdir())
