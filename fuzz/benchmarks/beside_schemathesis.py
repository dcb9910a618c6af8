"""Prints what this search and plain `schemathesis run` (all checks) find on the same flawed applications.

`python fuzz/benchmarks/beside_schemathesis.py [NAME ...]`. Schemathesis gets a live token, as a careful user
would give it one. What its checks report on the clean application as well is not counted: a flaw counts as seen
when a check fails that does not fail without it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from quality import CASES, Case, found

from auth_conformance.demo import package
from auth_conformance.testing import FAST_HASHING, Flaw, environment, seeded

PEER_SECONDS = 20
CHOSEN = (
    "token/unsigned_token",
    "access/foreign_object_readable",
    "operations/declared_only",
    "operations/own_token_parser",
    "operations/hash_in_reply",
    "grammars/cookie_name_folded",
    "lifecycle/old_key_after_rotation",
    "differential/browsers_are_administrators",
)
_SERVE = """
import sys, uvicorn
sys.path.insert(0, {parent!r})
import {name}
uvicorn.run({name}.create_app(), port={port}, log_level="critical")
"""


def peer(flaw: Flaw | None, port: int) -> tuple[set[str], int, float]:
    """The checks that fail in a plain run, its cases, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        values = {
            **FAST_HASHING,
            "SECRET_KEY": "tQ8vYb2nLr6XwZ4mHk9sPd3fGj7cVa5eUi1oRy0",
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/app.db",
            **(flaw.environment if flaw else {}),
        }
        with environment(values), seeded(package(), flaw.edits if flaw else ()) as module:
            where = Path(str(module.__file__)).parent
            text = _SERVE.format(parent=str(where.parent), name=where.name, port=port)
            server = subprocess.Popen([sys.executable, "-c", text])
            try:
                return _measured(f"http://127.0.0.1:{port}", Path(folder))
            finally:
                server.terminate()
                server.wait()


def _measured(url: str, folder: Path) -> tuple[set[str], int, float]:
    person = {"email": "bench@example.com", "password": "a-long-enough-Phrase-9"}
    for _ in range(100):
        try:
            httpx.get(f"{url}/health")
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    httpx.post(f"{url}/auth/register", json=person)
    token = httpx.post(f"{url}/auth/login", json=person).json()["access_token"]
    report = folder / "events.ndjson"
    began = time.monotonic()
    subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{url}/openapi.json",
            *("-H", f"Authorization: Bearer {token}"),
            *("--max-time", str(PEER_SECONDS), "--seed", "1", "--no-color"),
            *("--report", "ndjson", "--report-ndjson-path", str(report)),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    took = time.monotonic() - began
    failed: set[str] = set()
    cases = 0
    for line in report.read_text().splitlines():
        event = json.loads(line).get("ScenarioFinished", {})
        recorder = event.get("recorder", {})
        cases += len(recorder.get("interactions", {}))
        for checks in recorder.get("checks", {}).values():
            failed |= {
                f"{event.get('recorder', {}).get('label', '')} {item['name']}"
                for item in checks
                if item["status"] == "failure"
            }
    return failed, cases, took


def main() -> None:
    """Print the table."""
    names = sys.argv[1:] or CHOSEN
    chosen: list[Case] = [case for case in CASES if case.name in names]
    clean, cases, took = peer(None, 8731)
    print(f"schemathesis on the clean app: {len(clean)} failures, {cases} requests, {took:.0f} s\n")
    print(f"{'flaw':44} {'this search':28} plain schemathesis run")
    for number, case in enumerate(chosen):
        mine = found(case, 1)
        failures, cases, took = peer(case.flaw, 8732 + number)
        new = failures - clean
        told = ", ".join(sorted({item.rsplit(" ", 1)[-1] for item in new}))[:60]
        ours = f"{'found' if mine.hit else 'missed'} {mine.requests} req {mine.seconds:.0f} s"
        per = 1000 * mine.hit / max(mine.requests, 1)
        print(
            f"{case.name:44} {ours:22} {per:4.1f}/k {'new: ' + told if new else 'nothing new'} {cases} req {took:.0f} s"
        )


if __name__ == "__main__":
    main()
