"""The HTML report: one file, no outside request, readable without JavaScript, safe to open.

Everything that came from a target passes `text.visible` and Jinja's escaping; the only markup that is not
escaped is our own style sheet and script, whose hashes the page's Content-Security-Policy names.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from auth_reports.html.evidence import Budget
from auth_reports.html.text import finalize, spans
from auth_reports.html.view import page

if TYPE_CHECKING:
    from auth_conformance.model import Run

LARGEST = 5_000_000
_BUDGETS = (2_000_000, 500_000, 0)


def render(run: Run) -> str:
    """Return the page for `run`. Evidence is shortened until the page stays under `LARGEST` bytes.

    What is left out here is in the JSON report; a run whose findings alone do not fit is not cut.
    """
    style, script = _ours("style.css"), _ours("script.js")
    template = _environment().get_template("template.html.jinja")
    text = ""
    for budget in _BUDGETS:
        text = template.render(
            page=page(run, findings=Budget(budget), others=Budget(budget // 2)),
            style=Markup(style),  # noqa: S704 - a file of this package, nothing of a target
            script=Markup(script),  # noqa: S704 - as above
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
        if len(text.encode()) < LARGEST:
            break
    return text


@cache
def _ours(name: str) -> str:
    """Read a file of this package, with the line ends that a browser hashes."""
    return resources.files(__name__).joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    """Return `text` as a source expression of a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_ours),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["spans"] = spans
    return environment
