"""What the terminal says at the end of a run."""

from datetime import UTC, datetime

import pytest

from auth_conformance import catalog
from auth_conformance.console import Console
from auth_conformance.model import Decision, Inconclusive, Result, Run, TargetSummary


def undecided(**reasons: str) -> Run:
    when = datetime(2026, 11, 26, tzinfo=UTC)
    rules = {code: catalog.load()[code].rule for code in reasons}
    results = tuple(
        Result(rules[code], Inconclusive(reason, f"{reason} = 1"), rules[code].severity)
        for code, reason in reasons.items()
    )
    return Run("abc", "1", when, when, TargetSummary("url", "x"), 3, results, Decision(3, "Undecided."))


def test_one_reason_is_told_once_with_the_checks_that_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    Console().summary(undecided(SRC101="nothing there", TOK102="slow", SRC102="nothing there"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "SRC101 and 1 more inconclusive  nothing there (SRC101, SRC102)",
        "      nothing there = 1",
        "TOK102 inconclusive  slow",
        "      slow = 1",
    ]
