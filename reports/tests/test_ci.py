"""The pipeline files: valid, and their shell parts really run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from auth_conformance.testing import FAST_HASHING

CI = Path(__file__).parents[1] / "ci"
ROOT = Path(__file__).parents[2]
APP = "reference_app:create_app()"
SECRETS = {
    "SECRET_KEY": "8f1d0c6a5b7e4f2390acde17b64f50d29e8c3b71a6f4d5e0",
    **FAST_HASHING,
}


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    database = f"sqlite+aiosqlite:///{folder}/ci.db"
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "DATABASE_URL": database, **SECRETS, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "auth-conformance.toml").write_text('only = ["TOK101"]\n', "utf-8")
    return tmp_path


def document(name: str) -> Any:
    return yaml.safe_load((CI / name).read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "schema"), [("action.yml", "vendor.github-actions"), ("gitlab.yml", "vendor.gitlab-ci")]
)
def test_the_file_is_valid(name: str, schema: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(CI / name)]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_is_interpolated_into_a_shell() -> None:
    for step in document("action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert all(re.fullmatch(r"\$\{\{ inputs\.[\w-]+ \}\}", value) for value in step["env"].values())


def test_every_input_of_the_action_reaches_the_script() -> None:
    action = document("action.yml")
    used = {
        match[1]
        for step in action["runs"]["steps"]
        for value in step["env"].values()
        if (match := re.search(r"inputs\.([\w-]+)", value))
    }
    assert used == set(action["inputs"])
    script = (CI / "run.sh").read_text("utf-8")
    for variable in action["runs"]["steps"][1]["env"]:
        assert f"${{{variable}:-" in script


def test_a_clean_service_passes_and_every_report_is_there(project: Path) -> None:
    done = run(
        ["bash", str(CI / "run.sh")],
        project,
        TARGET=APP,
        GITHUB_STEP_SUMMARY=str(project / "step.md"),
        GITHUB_OUTPUT=str(project / "output"),
        GITHUB_ACTIONS="true",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (project / "auth-conformance").iterdir()) == [
        "report.html",
        "results.sarif",
        "run.json",
        "summary.md",
    ]
    assert "Authentication: Passed" in (project / "step.md").read_text("utf-8")
    assert "exit-code=0\nsarif=auth-conformance/results.sarif" in (project / "output").read_text("utf-8")


@pytest.mark.parametrize("target", ["$(touch pwned)`touch pwned`; touch pwned", "--help"])
def test_a_hostile_target_is_a_target_and_no_command(project: Path, target: str) -> None:
    done = run(["bash", str(CI / "run.sh")], project, TARGET=target)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (project / "pwned").exists()
    assert "Traceback" not in done.stderr


def test_the_gitlab_job_runs(project: Path) -> None:
    job = document("gitlab.yml")[".auth-conformance"]
    script = "\n".join(["set -eu", *job["script"][1:]])
    done = run(["sh", "-c", script], project, **job["variables"], AUTH_TARGET=APP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / job["artifacts"]["reports"]["sarif"]).is_file()
    assert all((project / path).is_file() for path in job["artifacts"]["paths"])


def test_the_pre_commit_hook_names_a_command_that_is_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert [hook["entry"].split()[0] for hook in hooks] == ["bandit"]
