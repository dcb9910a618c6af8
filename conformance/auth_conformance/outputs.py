"""Options that name the reports to write, and the writing: shared by all commands that have a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auth_conformance.gate import UNUSABLE
from auth_reports.writing import write, write_tests

if TYPE_CHECKING:
    from auth_conformance.model import Run

F = TypeVar("F", bound=Callable[..., Any])
# The options that name a file or a folder to write.
_OPTIONS = {
    "json_file": "--json",
    "html_file": "--html",
    "sarif_file": "--sarif",
    "markdown_file": "--markdown",
    "test_folder": "--export-tests",
}
_FILE = click.Path(path_type=Path, dir_okay=False)


class Refused(click.ClickException):
    """Something that the user can mend: one clear text, exit code 2."""

    exit_code = UNUSABLE

    def show(self, file: Any = None) -> None:
        """Print the text, without a traceback."""
        click.echo(f"auth-conformance: {self.format_message()}", err=True, file=file)


def outputs(command: F) -> F:
    """Options for each report."""
    options = [
        click.option("--json", "json_file", type=_FILE, help="Write the run as JSON."),
        click.option("--html", "html_file", type=_FILE, help="Write the HTML report."),
        click.option("--sarif", "sarif_file", type=_FILE, help="Write the findings as SARIF 2.1.0."),
        click.option("--markdown", "markdown_file", type=_FILE, help="Write a summary in Markdown."),
        click.option(
            "--sarif-anchor",
            "sarif_anchor",
            metavar="PATH",
            help="File of the repository on which findings without a source line hang in SARIF.",
        ),
        click.option(
            "--export-tests",
            "test_folder",
            type=click.Path(path_type=Path, file_okay=False),
            help="Write one stand-alone pytest file per finding into this folder.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def split(flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The flags of `outputs`, and the others. Raises Refused for what `checked` refuses."""
    names = {*_OPTIONS, "sarif_anchor"}
    files = {name: value for name, value in flags.items() if name in names}
    return checked(files), {name: value for name, value in flags.items() if name not in names}


def checked(files: Mapping[str, Any], source: Path | None = None) -> dict[str, Any]:
    """The flags, if each report can be written and none overwrites another; a run may have taken long by then.

    `source` is the run that they are made from: only its own JSON may take its place. Raises Refused.
    """
    taken: dict[Path, str] = {} if source is None else {source.resolve(): "the run that is read"}
    for name, option in _OPTIONS.items():
        path: Path | None = files.get(name)
        if path is None:
            continue
        if not path.name:
            raise Refused(f"{option} names no file.")
        place = path.resolve()
        if place in taken and not (name == "json_file" and place == (source and source.resolve())):
            raise Refused(f"{option} {path} would overwrite {taken[place]}: give each a name of its own.")
        if not path.exists() or path.is_file():
            taken[place] = option
        folder = next(each for each in (place, *place.parents) if each.exists())
        if folder != place and not folder.is_dir():
            raise Refused(f"{option} {path} cannot be written: {folder} is no folder.")
        if not os.access(folder, os.W_OK):
            raise Refused(f"{option} {path} cannot be written: {folder} may not be written to.")
    return dict(files)


def write_all(run: Run, files: Mapping[str, Any]) -> list[str]:
    """Write what was asked for; returns a line for people about each. Raises Refused."""
    formats = {name: files.get(f"{name}_file") for name in ("json", "html", "sarif", "markdown")}
    try:
        lines = [f"Report   {path}" for path in write(run, formats, anchor=files.get("sarif_anchor"))]
        folder = files.get("test_folder")
        if folder is not None:
            first, *rest = write_tests(run, folder)
            lines += [f"Tests    {first}", *(f"         {line}" for line in rest)]
    except OSError as error:
        raise Refused(f"The report cannot be written: {error}.") from None
    return lines
