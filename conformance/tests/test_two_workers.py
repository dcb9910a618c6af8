"""The reference app behind uvicorn with two real workers: what one of them remembers, the other does not know."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Run
from auth_conformance.settings import Settings
from auth_conformance.testing import FAST_HASHING, Edit, Flaw

# Each worker has a list of its own, as a module's global would be: one of them knows of the logout.
FORGETFUL = Flaw(
    name="worker_local_revocation",
    chapter="lifecycle",
    title="Ended logins stand in a set of each worker",
    caught_by=frozenset({"LIF101"}),
    edits=(
        Edit(
            "routes.py",
            "        await tx.sessions.end(require_session(principal).id, utc_now())\n    clear_session_cookie",
            "        services.ended.add(require_session(principal).id)\n    clear_session_cookie",
        ),
        Edit(
            "dependencies.py",
            "    if session is None or user is None:\n        raise invalid_token()",
            "    if session is None or user is None or session.id in services.ended:\n        raise invalid_token()",
        ),
        Edit(
            "dependencies.py",
            "    outbox: Outbox\n",
            "    outbox: Outbox\n    ended: set[str] = field(default_factory=set)\n",
        ),
    ),
    environment={},
    configuration={},
)


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The application of these settings behind uvicorn with two workers, each of them answering."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", str(settings.restart), "--factory", "--workers", "2"]
    command += ["--app-dir", settings.app_dir, "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(command, env=dict(os.environ)) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 90
            while time.monotonic() < end:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/health").is_success:
                        break
                time.sleep(0.1)
            time.sleep(2)  # the second worker has to have started, too
            yield url
        finally:
            process.terminate()


def verdicts(codes: set[str], flaw: Flaw | None = None) -> Run:
    checks = [check for code, check in catalog.load().items() if code in codes]
    with bundled(flaw=flaw, extra=FAST_HASHING) as (_, settings), served(settings) as url:
        remote = settings.model_copy(
            update={"url": url, "restart": None, "allow_disruptive": True, "timeout": 20.0}
        )
        return asyncio.run(conduct(remote, checks))


def told(run: Run) -> str:
    return "\n".join(f"{item.rule.code} {item.name}: {item.verdict.reason}" for item in run.results)


def test_what_one_worker_forgets_is_seen_as_what_some_workers_know() -> None:
    run = verdicts({"LIF101"}, FORGETFUL)
    assert {item.rule.code for item in run.results if item.name == "failed"} == FORGETFUL.caught_by, told(run)


def test_the_sound_app_holds_behind_two_workers_and_races_are_real() -> None:
    run = verdicts({"LIF101", "LIF103", "LIF108"})
    assert {item.rule.code: item.name for item in run.results} == {
        "LIF101": "passed",
        "LIF103": "passed",
        "LIF108": "passed",
    }, told(run)
    raced = next(item for item in run.results if item.rule.code == "LIF108")
    assert "in work together" in raced.verdict.reason


@pytest.mark.parametrize("code", ["LIF116"])
def test_without_another_process_nothing_is_said_to_hold(code: str) -> None:
    check = catalog.load()[code]
    with bundled(extra=FAST_HASHING) as (app, settings):
        alone = settings.model_copy(update={"restart": None})
        run = asyncio.run(conduct(alone, [check], app=app))
    assert run.results[0].name == "skipped"
    assert 'restart = "module:app"' in run.results[0].verdict.remedy
