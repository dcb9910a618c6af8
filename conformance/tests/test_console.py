"""What the terminal says at the end of a run."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from auth_conformance import catalog
from auth_conformance.console import Console
from auth_conformance.model import Decision, Inconclusive, Result, Run, Skipped, TargetSummary


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines break where the terminal ends, and workers of xdist have another one."""
    monkeypatch.setenv("COLUMNS", "110")


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


def test_what_was_not_tested_is_grouped_alike_and_keeps_the_first_code_short(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = undecided(STO101="x", STO102="x", STO105="x")
    skipped = Skipped("Not tested: needs db, which is not known.", "database = 1")
    results = tuple(Result(item.rule, skipped, item.severity) for item in run.results)
    Console().summary(Run(run.run_id, "1", run.started, run.finished, run.target, 3, results, run.decision))
    assert capsys.readouterr().out.splitlines()[:2] == [
        "STO101 and 2 more not tested  needs db, which is not known. (STO101, STO102, STO105)",
        "      database = 1",
    ]


def test_one_line_to_add_is_told_once_below_all_the_reasons_that_ask_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = undecided(TOK112="no key", CRD117="no mail", TOK201="no clock and no key")
    lines = {"TOK112": "[signing]", "CRD117": "[mailbox]", "TOK201": "[signing]"}
    results = tuple(
        replace(item, verdict=Skipped(item.verdict.reason, lines[item.rule.code])) for item in run.results
    )
    Console().summary(replace(run, results=results))
    assert capsys.readouterr().out.splitlines()[:5] == [
        "TOK112 not tested  no key",
        "TOK201 not tested  no clock and no key",
        "      [signing]",
        "CRD117 not tested  no mail",
        "      [mailbox]",
    ]


def test_a_long_search_says_in_a_pipe_every_ten_seconds_where_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    monkeypatch.setattr("auth_conformance.console.time.monotonic", lambda: seconds)
    console, quiet = Console(), Console(quiet=True)
    for number in range(31):
        seconds = float(number)
        console.search(f"fuzzing {number}")
        quiet.search("never")
    told = capsys.readouterr()
    assert told.err.splitlines() == ["fuzzing 11", "fuzzing 22"]
    assert told.out == ""
