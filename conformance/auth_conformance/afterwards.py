"""Commands about runs that are over: `report`, `baseline`, `diff`. They read run.json and send nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from auth_conformance.acceptance import BASELINE, Baseline, baseline_of, baseline_text, load_baseline
from auth_conformance.console import printable
from auth_conformance.document import FORMAT, from_document
from auth_conformance.misfit import misfit
from auth_conformance.model import Run
from auth_conformance.outputs import Refused, checked, outputs, write_all
from auth_conformance.settings import ConfigurationError

_FILE = click.Path(path_type=Path, dir_okay=False)


def read_run(path: Path) -> Run:
    """The run in a JSON report. Raises Refused."""
    try:
        run = from_document(_document(path))
    except KeyError as error:
        raise _unread(path, f"something is missing: {error}") from None
    except ValueError as error:
        raise _unread(path, str(error)) from None
    except (TypeError, AttributeError):
        raise _unread(path, "a part of it has another form") from None
    wrong = misfit(run, Run)
    if wrong:
        raise _unread(path, wrong)
    return run


def _document(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises Refused."""
    try:
        # Some editors and shells put a byte order mark before UTF-8.
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _unread(path, "it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise _unread(path, f"it is no JSON, or was cut off: {error}") from None
    except RecursionError:
        raise _unread(path, "it is nested too deeply") from None
    if not isinstance(document, dict):
        raise _unread(path, "it holds no JSON object")
    found = document.get("format")
    if found != FORMAT:
        said = f"its format is {found!r}" if found else "it does not say its format"
        raise _unread(path, f"{said}, and this version reads {FORMAT!r}")
    return document


def _unread(path: Path, why: str) -> Refused:
    return Refused(
        printable(
            f"{path} is not the JSON report of a run: {why[:300]}.\n"
            "Write one: auth-conformance run TARGET --json run.json"
        )
    )


@click.command()
@click.argument("run_file", metavar="RUN.JSON", type=_FILE)
@outputs
def report(run_file: Path, **files: Any) -> None:
    """Write other reports from the JSON report of a run."""
    if not any(files.values()):
        raise Refused("Say what to write: --html FILE, --sarif FILE, --markdown FILE or --export-tests DIR.")
    run = read_run(run_file)
    for line in write_all(run, checked(files, run_file)):
        click.echo(line)


@click.command()
@click.argument("run_file", metavar="RUN.JSON", type=_FILE)
@click.option("--output", type=_FILE, default=Path(BASELINE), help=f"Where to write (default: {BASELINE}).")
@click.option("--include-critical", is_flag=True, help="Accept critical findings, too.")
def baseline(run_file: Path, output: Path, *, include_critical: bool) -> None:
    """Accept the findings of a run as known, so that --new-only fails on later ones only.

    An existing baseline is brought up to date: what is no longer found leaves it.
    """
    run = read_run(run_file)
    try:
        before = load_baseline(output) if output.is_file() else Baseline()
    except ConfigurationError as error:
        raise Refused(str(error)) from None
    stranger = before.stranger(run.target)
    if stranger:
        raise Refused(
            printable(
                f"{output} was written for another service, {stranger}, and its findings would be lost. "
                "Name another file with --output, or remove this one."
            )
        )
    known, critical = baseline_of(run, before.findings, include_critical=include_critical)
    try:
        output.write_text(baseline_text(known, run.target), "utf-8")
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {output}: {len(known)} known finding{'s' * (len(known) != 1)}.")
    for finding in critical:
        click.echo(
            printable(
                f"Left out: {finding.code} {finding.operation or ''} is critical; --include-critical takes it."
            )
        )


@click.command()
@click.argument("before", metavar="BEFORE.JSON", type=_FILE)
@click.argument("now", metavar="NOW.JSON", type=_FILE)
def diff(before: Path, now: Path) -> None:
    """Say what changed between two runs: findings, verdicts, operations, and who gets in where.

    Exit code 1 when there is a finding that was not there before.
    """
    from auth_reports.difference import compare, render  # noqa: PLC0415 - the other commands need no reports

    old, new = read_run(before), read_run(now)
    difference = compare(old, new)
    other = Baseline(title=old.target.title, address=old.target.address).stranger(new.target)
    if other:
        click.echo(
            printable(
                f"note: two services are compared, {other} and {new.target.title} ({new.target.address})"
            ),
            err=True,
        )
    click.echo(printable(render(difference)), nl=False)
    sys.exit(1 if difference.worse else 0)


@click.command()
@click.argument("run_file", metavar="RUN.JSON", type=_FILE)
@click.option(
    "--most", type=click.IntRange(1), default=10, help="How many lines (a step shows ten of a kind)."
)
def annotate(run_file: Path, most: int) -> None:
    """Print the gravest findings as workflow commands, which a forge shows beside the code."""
    from auth_reports.markdown import workflow_commands  # noqa: PLC0415 - the other commands need no reports

    for line in workflow_commands(read_run(run_file), most):
        click.echo(printable(line))
