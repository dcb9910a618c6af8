"""The doors: the command and the pytest plugin, what they leave behind, and that a seed decides what is sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from auth_conformance.cli import main
from auth_conformance.testing import FAST_HASHING
from auth_fuzz.session import names

APP = """
from reference_app import create_app

app = create_app()
"""


# Writes down what was collected, before `-k` deselects: a second process for that would cost seconds.
LISTING = """
import pytest
from pathlib import Path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    Path("run.json").write_text("\\n".join(item.nodeid for item in items))
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
    arguments = ["run", "shop:app", "--fuzz", "--fuzz-budget", "1s", "--only", "FUZ", "--json", "run.json"]
    # So short a search passes nothing that takes 25 attacks, and says so.
    arguments.append("--allow-inconclusive")
    done = run(project, "auth_conformance.cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((project / "run.json").read_text())["results"]
    assert {item["code"] for item in results} >= {"FUZ100", "FUZ101", "FUZ201", "FUZ301", "FUZ401"}
    assert left_behind(project) == set()


def test_a_budget_that_cannot_be_read_is_refused() -> None:
    done = CliRunner().invoke(main, ["run", "reference_app:create_app", "--fuzz", "--fuzz-budget", "soon"])
    assert done.exit_code == 2
    assert "no length of time" in done.output


def test_pytest_has_one_item_per_operation_and_machine_also_with_several_workers(project: Path) -> None:
    (project / "conftest.py").write_text(LISTING)
    options = ["-q", "-p", "no:cacheprovider", "--auth-app", "shop:app", "--auth-fuzz", "--auth-only", "FUZ"]
    chosen = ["--auth-fuzz-budget", "3s", "-k", "notes or cookie or lifecycle", "-n", "2"]
    done = run(project, "pytest", *options, *chosen, "--auth-allow-inconclusive")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    listed = (project / "run.json").read_text()
    assert "FUZZ GET /notes/{note_id}" in listed
    assert all(f"FUZZ {name}" in listed for name in names([]))
    assert left_behind(project) == {"conftest.py"}


def test_every_part_has_a_name_that_pytest_can_select() -> None:
    assert not any(character in name for name in names([]) for character in "[]")
