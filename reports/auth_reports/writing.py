"""Putting reports on disk: a reader sees the old file or the whole new one, never a half."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from auth_reports import html as html_report
from auth_reports import plain_json

if TYPE_CHECKING:
    from pathlib import Path

    from auth_conformance.model import Run


def write(run: Run, *, json: Path | None = None, html: Path | None = None) -> list[Path]:
    """Write the reports that have a path, JSON first, and return the paths written.

    Parent folders are created. Raises OSError, naming the path, when one cannot be written; a JSON report
    written before the HTML one failed stays.
    """
    written: list[Path] = []
    for path, render in ((json, plain_json.render), (html, html_report.render)):
        if path is not None:
            _replace(path, render(run))
            written.append(path)
    return written


def _replace(path: Path, text: str) -> None:
    """Write `text` beside `path` and move it there: with the user's umask, which tempfile would not use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
