"""MIX101 and MIX104: each way in alone, and two people at once."""

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
