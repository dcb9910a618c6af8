from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("sample.py")

# Stands in for the conformance plugin: the same hook, called once when the session ends.
RUNNER = f'''
import importlib.util
import pytest

class Specs:
    @pytest.hookspec
    def pytest_auth_report_write(self, config, run):
        """Write reports."""

def pytest_addhooks(pluginmanager):
    if not hasattr(pluginmanager.hook, "pytest_auth_report_write"):
        pluginmanager.add_hookspecs(Specs)

def pytest_sessionfinish(session):
    spec = importlib.util.spec_from_file_location("sample", {str(SAMPLE)!r})
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    session.config.hook.pytest_auth_report_write(config=session.config, run=sample.run())
'''
ARGS = ("-p", "auth_reports.plugin", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project in which only our plugin is loaded, whether or not it is installed here."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_it="def test_it(): pass")
    return pytester


def test_reports_are_written_and_announced(project: pytest.Pytester) -> None:
    project.makeconftest(RUNNER)
    result = project.runpytest_subprocess(*ARGS, "--auth-json", "out/run.json", "--auth-html", "out/run.html")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["auth report: *run.json", "auth report: *run.html"])
    assert (project.path / "out" / "run.json").is_file()
    assert (project.path / "out" / "run.html").is_file()


def test_without_options_nothing_is_written(project: pytest.Pytester) -> None:
    project.makeconftest(RUNNER)
    result = project.runpytest_subprocess(*ARGS)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*auth report*")


def test_harmless_without_the_conformance_plugin(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*ARGS, "--strict-markers")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*auth report*")


def test_asked_for_a_report_but_nothing_ran(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*ARGS, "--auth-html", "run.html")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["auth report not written: no authentication check ran"])


def test_a_folder_is_refused_before_anything_runs(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*ARGS, "--auth-html", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--auth-html*this is a folder*"])


def test_a_report_that_cannot_be_written_fails_the_run(project: pytest.Pytester) -> None:
    project.makeconftest(RUNNER)
    (project.path / "file").write_text("in the way")
    result = project.runpytest_subprocess(*ARGS, "--auth-html", "file/run.html", "--auth-json", "run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["auth report: *run.json", "auth report not written: *file*"])


def test_importing_the_plugin_costs_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import auth_reports.plugin; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["auth_reports"]
