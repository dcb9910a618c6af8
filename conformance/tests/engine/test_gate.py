"""The decision, and its one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance import catalog, gate
from auth_conformance.model import (
    Errored,
    Failed,
    Inconclusive,
    Masked,
    Passed,
    Result,
    Severity,
    Skipped,
    Verdict,
    Violation,
)

RULE = catalog.load()["TOK102"].rule
FAILED = Failed((Violation("GET /me", "let in"),))
KINDS: dict[str, Verdict] = {
    "passed": Passed("ok"),
    "failed": FAILED,
    "inconclusive": Inconclusive("unclear"),
    "not tested": Skipped("no key", "add it"),
    "not applicable": Skipped("no cookies", applicable=False),
    "errored": Errored("bug"),
    "masked": Masked("TOK101", "x"),
}


def results(*kinds: str, severity: Severity = Severity.HIGH) -> list[Result]:
    return [Result(RULE, KINDS[kind], severity) for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "options", "code"),
    [
        (["passed"], {}, 0),
        (["passed", "not tested", "not applicable", "masked"], {}, 0),
        (["passed", "failed"], {}, 1),
        (["failed", "inconclusive", "errored"], {}, 1),
        (["passed", "inconclusive"], {}, 3),
        (["passed", "inconclusive"], {"allow_inconclusive": True}, 0),
        (["inconclusive"], {"allow_inconclusive": True}, 3),
        (["passed", "errored"], {"allow_inconclusive": True}, 3),
        (["passed", "not tested"], {"strict": True}, 3),
        (["passed", "not applicable"], {"strict": True}, 0),
        (["passed"], {"interrupted": True}, 130),
        ([], {}, 2),
        (["not tested", "not applicable"], {}, 2),
    ],
)
def test_each_mix_has_its_exit_code(kinds: list[str], options: dict[str, bool], code: int) -> None:
    assert gate.decide(results(*kinds), **options).exit_code == code


def test_findings_of_an_interrupted_run_fail_and_are_not_said_to_be_all() -> None:
    decision = gate.decide(results("passed", "failed"), interrupted=True)
    assert decision.exit_code == 1
    assert "interrupted" in decision.sentence


def test_findings_below_the_threshold_do_not_fail_but_are_told() -> None:
    decision = gate.decide(
        results("passed") + results("failed", severity=Severity.LOW),
        fail_on=Severity.HIGH,
    )
    assert decision.exit_code == 0
    assert "1 failed below high" in decision.sentence


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=8), st.booleans(), st.booleans())
def test_green_means_that_something_passed_and_nothing_failed(
    kinds: list[str],
    strict: bool,
    allow: bool,
) -> None:
    decision = gate.decide(results(*kinds), strict=strict, allow_inconclusive=allow)
    if decision.exit_code == 0:
        assert "passed" in kinds
        assert "failed" not in kinds
        assert "errored" not in kinds
    assert decision.sentence.endswith(".")


def test_every_verdict_has_a_word() -> None:
    assert {result.name for result in results(*KINDS)} == {
        "passed",
        "failed",
        "inconclusive",
        "skipped",
        "errored",
        "masked",
    }
    assert Severity.LOW < Severity.HIGH
