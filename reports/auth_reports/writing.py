"""Putting reports on disk: a reader sees the old file or the whole new one, never a half."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from auth_conformance.model import Run

# A run without reports needs no Jinja2: what renders is imported when it is asked for.
# Formats in the order in which they are written, and the module whose `render` makes each from a run.
FORMATS = {
    "json": "auth_reports.plain_json",
    "html": "auth_reports.html",
    "sarif": "auth_reports.sarif",
    "markdown": "auth_reports.markdown",
}


def write(run: Run, paths: Mapping[str, Path | None], *, anchor: str | None = None) -> list[Path]:
    """Write the reports that have a path, by format, JSON first, and return the paths written.

    `anchor` is the file of the repository on which findings without a source line hang in SARIF.

    Parent folders are created. Raises OSError, naming the path, when one cannot be written; what was written
    before it stays.
    """
    written: list[Path] = []
    for name, module in FORMATS.items():
        path = paths.get(name)
        if path is not None:
            options = {"anchor": anchor} if name == "sarif" else {}
            _replace(path, importlib.import_module(module).render(run, **options))
            written.append(path)
    return written


def write_tests(run: Run, folder: Path) -> list[str]:
    """Write a regression test for each finding that has one into `folder`; what to tell people of them, by lines.

    Raises OSError.
    """
    regression = importlib.import_module("auth_reports.regression")
    lines: list[str] = regression.summary(*regression.export(run, folder), folder, run)
    return lines


def _replace(path: Path, text: str) -> None:
    """Write `text` beside `path` and move it there: with the user's umask, which tempfile would not use.

    A link stays a link, and what is no file (`/dev/stdout`, a pipe) is written to: moved upon, it would be gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    path = path.resolve()
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
