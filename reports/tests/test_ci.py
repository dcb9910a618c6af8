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
    # Of an earlier run that found nothing: it may not be taken for this one's.
    (project / "auth-conformance").mkdir()
    (project / "auth-conformance" / "results.sarif").write_text("old")
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
    assert (project / "auth-conformance" / "results.sarif").read_text("utf-8") != "old"
    # What the service says is printed where no line is a command to the runner.
    first, *_, last = done.stdout.splitlines()
    assert (token := re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first))
    assert last == f"::{token[1]}::"
    assert "exit-code=0\nsarif=auth-conformance/results.sarif" in (project / "output").read_text("utf-8")


@pytest.mark.parametrize("target", ["$(touch pwned)`touch pwned`; touch pwned", "--help"])
def test_a_hostile_target_is_a_target_and_no_command(project: Path, target: str) -> None:
    done = run(["bash", str(CI / "run.sh")], project, TARGET=target)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (project / "pwned").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"STRICT": "True"}, "strict is neither true nor false: True"),
        ({"NEW_ONLY": "yes"}, "new-only is neither"),
        ({"ALLOW_DISRUPTIVE": "$(touch pwned)"}, "allow-disruptive is neither"),
        ({"OUTPUT": "x\nexit-code=0"}, "output holds a control character"),
        ({"CONFIG": "no 'such' \"file\" $(touch pwned)"}, "touch pwned"),
        ({"LEVEL": "3 --quiet"}, "--level"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_no_result(
    project: Path, variables: dict[str, str], told: str
) -> None:
    reports = project / "auth-conformance"
    reports.mkdir()
    (reports / "summary.md").write_text("old")
    done = run(
        ["bash", str(CI / "run.sh")],
        project,
        TARGET=APP,
        GITHUB_OUTPUT=str(project / "output"),
        GITHUB_STEP_SUMMARY=str(project / "step.md"),
        **variables,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert not (project / "pwned").exists()
    written = (project / "output").read_text("utf-8") if (project / "output").exists() else "exit-code=2\n"
    assert written == "exit-code=2\n"
    if (project / "step.md").exists():
        assert "no result" in (project / "step.md").read_text("utf-8")


def test_the_gitlab_job_refuses_a_switch_that_is_none(project: Path) -> None:
    job = document("gitlab.yml")[".auth-conformance"]
    done = run(["sh", "-c", "\n".join(["set -eu", *job["script"][1:]])], project, AUTH_STRICT="1")
    assert done.returncode == 2
    assert "neither true nor false: 1" in done.stderr


def test_the_action_installs_the_commit_that_it_is_pinned_to(tmp_path: Path) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    command = ["bash", "-euo", "pipefail", "-c", document("action.yml")["runs"]["steps"][0]["run"]]
    for package, wanted in (("", "/a b/reports/ci/../..[all]"), ("x; touch pwned", "x; touch pwned")):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "PACKAGE": package,
                "GITHUB_ACTION_PATH": "/a b/reports/ci",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"-m|pip|install|--quiet|--|{wanted}|"


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
