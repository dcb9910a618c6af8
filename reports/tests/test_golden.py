"""Every format of one fixed run, letter for letter: a change of a report is seen in review.

After a change that was meant: `UPDATE_GOLDEN=1 pytest reports/tests/test_golden.py`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from auth_reports.regression import NotWritten, regression
from auth_reports.writing import FORMATS

if TYPE_CHECKING:
    from types import ModuleType

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"json": "json", "html": "html", "sarif": "sarif", "markdown": "md"}


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text("utf-8"), f"{name} has changed; look at it, then UPDATE_GOLDEN=1"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_format(sample: ModuleType, name: str) -> None:
    compare(f"run.{SUFFIX[name]}", importlib.import_module(FORMATS[name]).render(sample.run()))


def test_the_regression_tests(sample: ModuleType) -> None:
    run = sample.run()
    texts = []
    for finding in run.findings:
        made = regression(finding, run)
        texts.append(made.reason if isinstance(made, NotWritten) else made.text)
    compare("regression.txt", "\n----\n".join(texts))
