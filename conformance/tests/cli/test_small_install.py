"""The suite beside a service of its own kind: without any extra installed, nothing breaks down for want of one."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cli.person import ACCOUNTS, PASSWORDS, command

EXTRAS = ("aiosqlite", "bandit", "hypothesis", "limits", "schemathesis", "sqlalchemy", "uvicorn")
TESTS = Path(__file__).parents[1]
MISSING = f"""
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] in {EXTRAS!r} else find(name, *rest)
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "sitecustomize.py").write_text(MISSING, "utf-8")
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    return tmp_path


def typed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(
        *arguments,
        cwd=folder,
        env={"PYTHONPATH": os.pathsep.join((str(folder), str(TESTS))), **PASSWORDS},
        within=500,
    )


def test_the_whole_catalogue_runs_without_any_extra(small: Path) -> None:
    done = typed(
        small,
        "run",
        "services.tutorial_app:create_app()",
        "--fuzz",
        "--json",
        "run.json",
        "--html",
        "run.html",
    )
    assert "Traceback" not in done.stdout + done.stderr
    results = json.loads((small / "run.json").read_text("utf-8"))["results"]
    assert [item["reason"] for item in results if item["verdict"] == "errored"] == []
    # What an extra would change is not passed, and comes with the line that brings it.
    remedies = {item["code"]: item["remedy"] for item in results}
    for code, extra in {"SRC101": "static", "AUZ108": "serve", "TOK302": "serve", "FUZ101": "fuzz"}.items():
        assert remedies[code] == f"pip install 'fastapi-auth-conformance[{extra}]'", code


def test_the_demo_without_its_extra_names_it(small: Path) -> None:
    done = typed(small, "demo")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip install 'fastapi-auth-conformance[demo]'" in done.stderr
    assert "Traceback" not in done.stderr
