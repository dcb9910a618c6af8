"""From what a search saw to verdicts, and from the verdicts of many searches to one."""

from collections import Counter

import pytest

from auth_conformance.model import Failed, Inconclusive, Passed, Severity, Skipped, Violation
from auth_fuzz import rules, seconds
from auth_fuzz.ledger import Ledger, combined
from auth_fuzz.operations.reach import Reach
from auth_fuzz.stories.ground import BrokenError
from auth_fuzz.stories.search import what_broke


def test_a_rule_without_attacks_is_not_tested_and_says_why() -> None:
    ledger = Ledger((rules.JWS,))
    ledger.absent("the tokens are opaque", "a remedy")
    (result,) = ledger.results()
    assert result.verdict == Skipped("Not tested: the tokens are opaque.", "a remedy")


def test_refused_attacks_pass_and_one_violation_fails() -> None:
    ledger = Ledger((rules.KEYS, rules.FORGED))
    ledger.tried(rules.KEYS)
    ledger.tried(rules.FORGED)
    ledger.broken(rules.FORGED, Violation("GET /a", "first"))
    ledger.broken(rules.FORGED, Violation("GET /a", "told already"))
    keys, forged = ledger.results(requests=7)
    assert isinstance(keys.verdict, Passed)
    assert isinstance(forged.verdict, Failed)
    assert [item.message for item in forged.verdict.violations] == ["first"]
    assert keys.requests + forged.requests == 7


def test_the_end_of_a_story_is_known_again_whoever_it_happened_to() -> None:
    """Names and numbers differ from seed to seed; the fingerprint of what was found must not."""
    told = [
        what_broke(BrokenError(rules.KILLED, line, "GET /me"))
        for line in (
            "ann's key 3 is alive, although it was rotated",
            "bob's key 12 is alive, although it was rotated",
            "bob's refresh token 2 is alive, although it was used",
        )
    ]
    assert told[0] == told[1] != told[2]


def test_results_of_many_searches_become_one() -> None:
    found = []
    for operation, breaks in (("GET /a", True), ("GET /b", False), ("GET /c", True)):
        ledger = Ledger((rules.STRANGER,))
        ledger.tried(rules.STRANGER)
        if breaks:
            ledger.broken(rules.STRANGER, Violation(operation, "open", Severity.LOW))
        found += ledger.results(requests=10)
    result = combined(found)
    assert isinstance(result.verdict, Failed)
    assert {item.operation for item in result.verdict.violations} == {"GET /a", "GET /c"}
    assert (result.severity, result.requests) == (Severity.LOW, 30)


def test_doubt_outweighs_a_pass() -> None:
    clear, unclear = Ledger((rules.KEYS,)), Ledger((rules.KEYS,))
    clear.tried(rules.KEYS)
    unclear.of(rules.KEYS).doubts.append("the control failed")
    result = combined([*clear.results(), *unclear.results()])
    assert isinstance(result.verdict, Inconclusive)


def test_a_pass_takes_a_least_number_of_attacks_where_one_is_asked_for() -> None:
    ledger = Ledger((rules.KEYS,))
    ledger.of(rules.KEYS).least, ledger.of(rules.KEYS).remedy = 2, "a longer budget"
    ledger.tried(rules.KEYS)
    (few,) = ledger.results()
    assert few.verdict == Inconclusive(
        "Only 1 attack refused before the budget was used up; a pass takes 2.", "a longer budget"
    )
    ledger.tried(rules.KEYS)
    (enough,) = ledger.results()
    assert isinstance(enough.verdict, Passed)


def test_what_was_not_reached_names_the_line_that_would_get_further() -> None:
    reach = Reach("POST /b", sent=8, statuses=Counter({422: 8}))
    assert "POST /b" in reach.remedy("")
    assert "example" in reach.remedy("")
    refused = Reach("GET /admin", sent=8, statuses=Counter({403: 8}))
    assert refused.remedy("[accounts.admin]") == "[accounts.admin]"
    assert "security" in refused.remedy("")
    assert "fuzz_budget" in Reach("GET /c", sent=1, statuses=Counter({422: 1})).remedy("")
    found = []
    for name in ("POST /b", "POST /c"):
        ledger = Ledger((rules.REACH,))
        ledger.unreached(name, f"{name}: none of 8", f"a line for {name}")
        found += ledger.results()
    verdict = combined(found).verdict
    assert isinstance(verdict, Skipped)
    assert verdict.remedy == "a line for POST /b\na line for POST /c"


def test_an_operation_that_was_never_reached_keeps_the_reach_from_passing() -> None:
    found = []
    for operation, reached in (("GET /a", True), ("POST /b", False)):
        ledger = Ledger((rules.REACH,))
        if reached:
            ledger.tried(rules.REACH)
        else:
            ledger.unreached(operation, f"{operation}: none of 8 past validation (8 × 422)")
        found += ledger.results()
    result = combined(found)
    assert isinstance(result.verdict, Skipped)
    assert "POST /b: none of 8 past validation" in result.verdict.reason


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("2m", 120), ("1.5m", 90), ("1h", 3600)]
)
def test_lengths_of_time(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "0s", "5 days", "-3s"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        seconds(text)
