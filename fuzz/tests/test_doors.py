"""The doors: the command and the pytest plugin, what they leave behind, and that a seed decides what is sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auth_conformance.testing import FAST_HASHING
from auth_fuzz.session import names

APP = """
from reference_app import create_app

app = create_app()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def environment(project: Path) -> dict[str, str]:
    return {
        **os.environ,
        **FAST_HASHING,
        "SECRET_KEY": "tQ8vYb2nLr6XwZ4mHk9sPd3fGj7cVa5eUi1oRy0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{project}/shop.db",
        "NO_COLOR": "1",
    }


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def left_behind(project: Path) -> set[str]:
    return {path.name for path in project.iterdir()} - {"shop.py", "shop.db", "__pycache__", "run.json"}


def test_the_command_searches_after_the_checks_and_leaves_nothing_behind(project: Path) -> None:
    arguments = ["run", "shop:app", "--fuzz", "--fuzz-budget", "8s", "--only", "FUZ", "--json", "run.json"]
    done = run(project, "auth_conformance.cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((project / "run.json").read_text())["results"]
    assert {item["code"] for item in results} >= {"FUZ100", "FUZ101", "FUZ201", "FUZ301", "FUZ401"}
    assert left_behind(project) == set()


def test_a_budget_that_cannot_be_read_is_refused(project: Path) -> None:
    done = run(project, "auth_conformance.cli", "run", "shop:app", "--fuzz", "--fuzz-budget", "soon")
    assert done.returncode == 2
    assert "no length of time" in done.stderr


def test_pytest_has_one_item_per_operation_and_machine(project: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--auth-app", "shop:app", "--auth-fuzz", "--auth-only", "FUZ"]
    listed = run(project, "pytest", "--collect-only", *options).stdout
    assert "FUZZ GET /notes/{note_id}" in listed
    assert all(f"FUZZ {name}" in listed for name in names([]))
    done = run(project, "pytest", *options, "--auth-fuzz-budget", "6s", "-k", "notes or grammar or lifecycle")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert left_behind(project) == set()


def test_every_part_has_a_name_that_pytest_can_select() -> None:
    assert not any(character in name for name in names([]) for character in "[]")
