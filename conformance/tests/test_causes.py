"""One line of the source that breaks several rules is told as one cause."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from auth_conformance import catalog
from auth_conformance.causes import Cause, causes, in_source
from auth_conformance.console import Console
from auth_conformance.model import Decision, Failed, Result, Run, SourceLine, TargetSummary, Violation

GUARD = SourceLine("app/deps.py", 60, "current_user")
ROUTE = SourceLine("app/routes.py", 12, "read_me")


def run(**broken: tuple[SourceLine | None, ...]) -> Run:
    when = datetime(2026, 11, 26, tzinfo=UTC)
    results = tuple(
        Result(
            catalog.load()[code].rule,
            Failed(tuple(Violation("GET /me", "let in", source=line) for line in lines)),
            catalog.load()[code].rule.severity,
        )
        for code, lines in broken.items()
    )
    return Run("abc", "1", when, when, TargetSummary("url", "x"), 3, results, Decision(1, "Findings."))


def test_codes_at_one_and_the_same_line_are_together() -> None:
    found = causes(run(TOK102=(GUARD,), TOK110=(GUARD, GUARD), MIX103=(ROUTE,)))
    assert found == (Cause(("TOK102", "TOK110"), GUARD), Cause(("MIX103",), ROUTE))


@pytest.mark.parametrize("lines", [(GUARD, ROUTE), (None,), (GUARD, None)])
def test_a_code_at_several_lines_or_none_is_alone(lines: tuple[SourceLine | None, ...]) -> None:
    assert [cause.codes for cause in causes(run(TOK102=(GUARD,), TOK110=lines))] == [("TOK102",), ("TOK110",)]


def test_codes_without_a_line_are_not_one_cause() -> None:
    assert [cause.codes for cause in causes(run(TOK102=(None,), TOK110=(None,)))] == [
        ("TOK102",),
        ("TOK110",),
    ]


def test_the_source_check_of_the_same_weakness_is_named() -> None:
    found = run(TOK102=(GUARD,), SRC103=(ROUTE,), WEB108=(ROUTE,))
    assert in_source(catalog.load()["TOK102"].rule, found) == ("SRC103",)
    assert in_source(catalog.load()["WEB108"].rule, found) == ()
    assert in_source(catalog.load()["SRC103"].rule, found) == ()


def test_a_whole_class_of_weaknesses_names_nothing() -> None:
    found = run(TOK112=(GUARD,), SRC104=(ROUTE,), MIX103=(GUARD,), SRC102=(ROUTE,))
    assert in_source(catalog.load()["TOK112"].rule, found) == ()
    assert in_source(catalog.load()["MIX103"].rule, found) == ()


def test_the_terminal_names_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console().summary(run(TOK102=(GUARD,), TOK110=(GUARD,)))
    assert "app/deps.py:60 current_user answers for TOK102, TOK110." in capsys.readouterr().out
