"""The pytest plugin: `--auth-html` and the other formats, written when the conformance plugin ends its run.

The conformance plugin brings it in when a run asks for checks; it imports only pytest and the standard
library until there is a report to write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from auth_conformance.model import Run

_written = pytest.StashKey[list[Path]]()
_tests = pytest.StashKey[list[str]]()
_trouble = pytest.StashKey[list[str]]()

_OPTIONS = (
    ("--auth-json", "auth_json", "write the JSON report of the authentication checks to FILE"),
    ("--auth-html", "auth_html", "write the HTML report of the authentication checks to FILE"),
    ("--auth-sarif", "auth_sarif", "write the findings as SARIF 2.1.0 to FILE"),
    ("--auth-markdown", "auth_markdown", "write a summary in Markdown to FILE"),
)
_EXPORT = (
    "--auth-export-tests",
    "auth_export_tests",
    "write one stand-alone pytest file per finding into DIR",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, unless the conformance plugin, which loads us late, has declared them already."""
    group = parser.getgroup("auth-conformance")
    declared = {name for option in group.options for name in option.names()}
    for flag, dest, text in (*_OPTIONS, _EXPORT):
        if flag not in declared:
            metavar = "DIR" if flag == _EXPORT[0] else "FILE"
            group.addoption(flag, dest=dest, metavar=metavar, default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a path that can never work before the checks have run, not after."""
    config.stash[_written] = []
    config.stash[_tests] = []
    config.stash[_trouble] = []
    for flag, dest, _ in _OPTIONS:
        path = _path(config, dest)
        if path is not None and path.is_dir():
            raise pytest.UsageError(f"{flag} {path}: this is a folder; name a file in it")
    folder = _path(config, _EXPORT[1])
    if folder is not None and folder.is_file():
        raise pytest.UsageError(f"{_EXPORT[0]} {folder}: this is a file; name a folder")


@pytest.hookimpl(optionalhook=True)
def pytest_auth_report_write(config: pytest.Config, run: Run) -> None:
    """Write the reports that were asked for. An OSError is kept for the summary and the exit code."""
    asked = {flag.removeprefix("--auth-"): _path(config, dest) for flag, dest, _ in _OPTIONS}
    folder = _path(config, _EXPORT[1])
    if folder is None and not any(asked.values()):
        return
    from auth_reports.writing import write, write_tests  # noqa: PLC0415 - an unrelated pytest run imports no more

    for name, path in asked.items():
        try:
            config.stash[_written] += write(run, {name: path})
        except OSError as error:
            config.stash[_trouble].append(str(error))
    if folder is not None:
        try:
            config.stash[_tests] += write_tests(run, folder)
        except OSError as error:
            config.stash[_trouble].append(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Fail a run that would be green although a report that was asked for could not be written."""
    yield
    if session.config.stash[_trouble] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the reports are, or why there are none."""
    for path in config.stash[_written]:
        terminalreporter.write_line(f"auth report: {path}")
    for line in config.stash[_tests]:
        terminalreporter.write_line(f"auth tests: {line}")
    for message in config.stash[_trouble]:
        terminalreporter.write_line(f"auth report not written: {message}", red=True)
    asked = any(_path(config, dest) for _, dest, _ in _OPTIONS)
    if asked and not config.stash[_written] and not config.stash[_trouble]:
        terminalreporter.write_line("auth report not written: no authentication check ran", yellow=True)


def _path(config: pytest.Config, dest: str) -> Path | None:
    """Return the path given for an option; a relative one counts from where pytest was started."""
    given = config.getoption(dest)
    return config.invocation_params.dir / Path(given).expanduser() if given else None
