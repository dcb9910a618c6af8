from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from auth_conformance.model import (
    Errored,
    Failed,
    Inconclusive,
    Masked,
    Passed,
    Role,
    Skipped,
    SourceLine,
    Violation,
)
from auth_reports.html import render
from auth_reports.html.evidence import Budget
from auth_reports.html.matrices import coverage
from auth_reports.html.view import Page, page

if TYPE_CHECKING:
    from types import ModuleType

    from auth_conformance.model import Run, Verdict

BROKEN = Failed((Violation("GET /me", "open"),))


def view(run: Run) -> Page:
    return page(run, findings=Budget(1_000_000), others=Budget(1_000_000))


def run_of(sample: ModuleType, *levels: tuple[int, Verdict], level: int = 3) -> Run:
    results = tuple(
        sample._result(sample.rule(f"TOK{index}", level=number), verdict)
        for index, (number, verdict) in enumerate(levels, 101)
    )
    run: Run = sample.run(results, level=level)
    return run


def test_a_level_is_reached_when_all_its_rules_passed(sample: ModuleType) -> None:
    shown = view(run_of(sample, (1, Passed("ok")), (2, Passed("ok")), (3, Passed("ok"))))
    assert shown.reached == 3


def test_a_rule_that_does_not_apply_is_not_in_the_way(sample: ModuleType) -> None:
    assert view(run_of(sample, (1, Passed("ok")), (1, Skipped("none", applicable=False)))).reached == 1


@pytest.mark.parametrize(
    "verdict",
    [BROKEN, Inconclusive("?"), Errored("!"), Masked("TOK1", "m"), Skipped("no user", applicable=True)],
)
def test_anything_else_is_in_the_way_of_its_level_and_of_all_above(
    sample: ModuleType, verdict: Verdict
) -> None:
    shown = view(run_of(sample, (1, Passed("ok")), (2, verdict), (3, Passed("ok"))))
    assert shown.reached == 1
    assert [row.rule.code for row in shown.levels[1].obstacles] == ["TOK102"]
    assert shown.levels[2].because == "level 2 is not reached"


def test_a_level_without_a_tested_rule_is_not_reached(sample: ModuleType) -> None:
    assert view(run_of(sample, (1, Skipped("none", applicable=False)))).reached == 0
    assert view(run_of(sample)).reached == 0


def test_a_level_above_the_one_asked_for_is_not_claimed(sample: ModuleType) -> None:
    shown = view(run_of(sample, (1, Passed("ok")), (2, Passed("ok")), level=1))
    assert shown.reached == 1
    assert shown.levels[1].word == "Not asked for"


def test_an_interrupted_run_reaches_nothing(sample: ModuleType) -> None:
    assert view(dataclasses.replace(run_of(sample, (1, Passed("ok"))), interrupted=True)).reached == 0


def test_families_count_every_result_once(sample: ModuleType) -> None:
    shown = view(sample.run())
    assert sum(family.total for family in shown.families) == len(shown.rows) == len(sample.verdicts())
    for family in shown.families:
        assert sum(width for _, _, width in family.bars) == pytest.approx(100, abs=0.1)


def test_clauses_are_in_natural_order_and_take_the_gravest_state(sample: ModuleType) -> None:
    asvs, rfc, api = view(sample.run()).standards
    labels = [clause.label for clause in asvs.clauses]
    assert labels.index("ASVS 5.0 V9.1.2") < labels.index("ASVS 5.0 V14.2.2")
    states = {
        clause.label: clause.state.word if clause.state else "" for clause in (*asvs.clauses, *api.clauses)
    }
    assert states["ASVS 5.0 V9.1.2"] == "Failed"
    assert states["ASVS 5.0 V9.2.1"] == "Passed"
    assert states["ASVS 5.0 V6.3.4"] == "Passed"
    assert len(api.clauses) == 10
    assert states["API10:2023 Unsafe consumption of APIs"] == ""
    assert any(clause.label == "RFC 8725 §3.2" for clause in rfc.clauses)


def test_findings_at_one_line_are_one_place_with_many_operations(sample: ModuleType) -> None:
    shared, own = SourceLine("app/deps.py", 60, "current_user"), SourceLine("app/routes.py", 9, "odd")
    names = [f"GET /things/{number}" for number in range(14)]
    verdict = Failed(
        (
            *(Violation(name, f"{name} let in a forgery.", source=shared) for name in names),
            Violation("GET /odd", "GET /odd let in a forgery.", source=own),
            Violation(None, "The whole did, too."),
        )
    )
    result = dataclasses.replace(sample._result(sample.rule(), verdict), source=None)
    (group,) = view(sample.run((result,))).groups
    by_line = {place.where: place.operations for place in group.places}
    assert set(by_line) == {"app/deps.py:60 \u00b7 current_user", "app/routes.py:9 \u00b7 odd", ""}
    assert set(by_line["app/deps.py:60 \u00b7 current_user"]) == set(names)
    text = render(sample.run((result,)))
    assert "Shared by 14 operations" in text
    assert all(f"<code>{name}</code>" in text for name in names)


def test_no_more_than_three_pairs_prove_a_finding(sample: ModuleType) -> None:
    for group in view(sample.run()).groups:
        for item in group.occurrences:
            assert 1 <= len(item.pairs) <= 3
            assert item.left == len(item.finding.evidence) - len(
                {side.number for pair in item.pairs for side in pair.sides}
            )


def test_without_a_budget_only_the_evidence_goes(sample: ModuleType) -> None:
    shown = page(sample.run(), findings=Budget(0), others=Budget(0))
    assert [group.rule.code for group in shown.groups] == ["TOK110", "AUZ101", "WEB104"]
    assert all(not item.pairs and item.left for group in shown.groups for item in group.occurrences)


def test_paths_that_were_only_tried_are_one_row(sample: ModuleType) -> None:
    run = sample.run()
    tried = tuple(
        dataclasses.replace(
            run.findings[0].evidence[0],
            number=900 + number,
            operation=f"GET /.env.{number}",
            role=Role.ATTACK,
        )
        for number in range(5)
    )
    passed = sample._result(sample.rule("TOK101"), Passed("nothing there", tried))
    rows = coverage(sample.run((passed, *run.results))).rows
    assert "(5 other paths)" in [row.operation for row in rows]
    assert not any(".env" in row.operation for row in rows)
