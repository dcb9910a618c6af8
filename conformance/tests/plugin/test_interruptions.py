"""Whatever ends a run early, what is known by then is reported, and the report says that it is not all."""

import json
from typing import Any

import pytest

APP = "reference_app:create_app()"
FEW = ("--auth-only", "TOK101", "--auth-only", "TOK102", "--auth-only", "ERR101", "--auth-json", "run.json")
OTHERS = ("--auth-html", "run.html", "--auth-sarif", "run.sarif", "--auth-markdown", "run.md")


@pytest.fixture
def hard_to_please(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project in which something happens at the second check."""
    pytester.makeconftest(
        """
import os, pytest

seen = []

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    seen.append(item.name)
    if len(seen) == 2:
        match os.environ.get("AT_THE_SECOND"):
            case "interrupt":
                raise KeyboardInterrupt
            case "die":
                os._exit(7)
            case "fail":
                raise RuntimeError("a fixture of the user's breaks")
"""
    )
    return pytester


def report(pytester: pytest.Pytester) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pytester.path / "run.json").read_text("utf-8"))
    return found


def all_formats_say_incomplete(pytester: pytest.Pytester) -> None:
    """A report of a part never reads like one of the whole."""
    assert "<title>Incomplete: " in (pytester.path / "run.html").read_text("utf-8")
    sarif = json.loads((pytester.path / "run.sarif").read_text("utf-8"))
    assert sarif["runs"][0]["invocations"][0]["executionSuccessful"] is False
    assert "Incomplete" in (pytester.path / "run.md").read_text("utf-8").splitlines()[0]


def test_ctrl_c(hard_to_please: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AT_THE_SECOND", "interrupt")
    done = hard_to_please.runpytest_subprocess("--auth-app", APP, *FEW, *OTHERS)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    run = report(hard_to_please)
    assert run["interrupted"] is True
    assert run["decision"]["word"] == "Incomplete"
    all_formats_say_incomplete(hard_to_please)
    # The first was asked for; the others are told if they were decided by then.
    codes = [item["code"] for item in run["results"]]
    assert "TOK101" in codes
    assert set(codes) <= {"TOK101", "TOK102", "ERR101"}


def test_stop_at_the_first_failure(hard_to_please: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AT_THE_SECOND", "fail")
    done = hard_to_please.runpytest_subprocess("--auth-app", APP, *FEW, *OTHERS, "-x")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    run = report(hard_to_please)
    assert run["interrupted"] is True
    assert run["decision"]["word"] == "Incomplete"
    all_formats_say_incomplete(hard_to_please)


def test_a_worker_that_dies(hard_to_please: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AT_THE_SECOND", "die")
    done = hard_to_please.runpytest_subprocess("--auth-app", APP, *FEW, *OTHERS, "-n", "1")
    assert done.ret != 0
    run = report(hard_to_please)
    assert run["interrupted"] is True
    assert run["decision"]["word"] == "Incomplete"
    all_formats_say_incomplete(hard_to_please)
    assert run["results"]
