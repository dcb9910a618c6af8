"""MIX101 and MIX104: each way in alone, and two people at once."""

import pytest
from checks.mixed_app import judged

from auth_conformance.model import Severity


def test_each_way_in_works() -> None:
    result = judged("MIX101")
    assert result.name == "passed", result.verdict.reason
    assert "Each of 3 ways" in result.verdict.reason


def test_a_way_in_that_is_shut_is_found() -> None:
    result = judged("MIX101", forgets_cookie=True)
    assert result.name in {"failed", "inconclusive"}
    assert "sid" in result.verdict.reason or "cookie" in result.verdict.reason


def test_two_people_at_once_are_refused() -> None:
    result = judged("MIX104")
    assert result.name == "passed", result.verdict.reason
    assert "6 refused" in result.verdict.reason


def test_layers_that_follow_different_people_are_the_worst() -> None:
    result = judged("MIX104", split=True)
    assert result.name == "failed", result.verdict.reason
    assert result.severity is Severity.CRITICAL
    assert "acts for" in result.verdict.reason


@pytest.mark.parametrize(("knob", "layer"), [("logs", "the log"), ("counts", "the rate limit")])
def test_a_log_and_a_limit_follow_whom_the_request_is_for(knob: str, layer: str) -> None:
    sound = judged("MIX104", level=2, **{knob: 0})
    assert sound.name == "passed", sound.verdict.reason
    assert any("at level 3 these would have to be refused" in note for note in sound.verdict.notes)
    # Whoever decides: that two identities are let in at all is too little for level 3.
    strict = judged("MIX104", **{knob: 0})
    assert (strict.name, strict.severity) == ("failed", Severity.LOW), strict.verdict.reason
    (violation,) = strict.verdict.violations
    assert len(violation.evidence) == 2
    result = judged("MIX104", **{knob: -1})
    assert (result.name, result.severity) == ("failed", Severity.HIGH), result.verdict.reason
    assert f"and {layer} names" in result.verdict.reason
