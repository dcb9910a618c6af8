"""Waivers and baselines: what is accepted, until when, and what is not."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from auth_conformance import catalog, gate
from auth_conformance.acceptance import (
    Waiver,
    accept,
    baseline_of,
    baseline_text,
    given,
    load_baseline,
    load_waivers,
)
from auth_conformance.model import (
    Decision,
    Failed,
    Inconclusive,
    Passed,
    Result,
    Run,
    Severity,
    TargetSummary,
    Verdict,
    Violation,
)
from auth_conformance.settings import ConfigurationError

RULE = catalog.load()["TOK102"].rule
TODAY = date(2026, 3, 1)
GOOD = """
[[waiver]]
code = "TOK102"
operation = "GET /admin/*"
reason = "legacy client, ticket 123"
owner = "ann@example.com"
expires = 2026-12-01
"""


def failing(*operations: str, severity: Severity = Severity.HIGH) -> Result:
    violations = tuple(Violation(operation, "let in", severity) for operation in operations)
    return Result(RULE, Failed(violations), severity)


def decided(verdict: Verdict) -> Result:
    return Result(RULE, verdict, RULE.severity)


def waiver(operation: str = "GET /admin/*", expires: date = date(2026, 12, 1)) -> Waiver:
    return Waiver("TOK102", operation, "legacy client", "ann", expires)


def run_of(*results: Result) -> Run:
    when = datetime(2026, 3, 1, tzinfo=UTC)
    return Run("abc", "1", when, when, TargetSummary("url", "x"), 3, results, Decision(0, "ok"))


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(GOOD)
    found = load_waivers(path, today=TODAY, codes=["TOK102"])
    assert found == [
        Waiver("TOK102", "GET /admin/*", "legacy client, ticket 123", "ann@example.com", date(2026, 12, 1))
    ]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('reason = "legacy client, ticket 123"', "", "has no reason"),
        ('owner = "ann@example.com"', 'owner = " "', "has no owner"),
        ("expires = 2026-12-01", "", "has no expires"),
        ("expires = 2026-12-01", 'expires = "2026-12-01"', "without quotation marks"),
        ("expires = 2026-12-01", "expires = 2027-06-01", "within a year"),
        ('code = "TOK102"', 'code = "TOK999"', "no check TOK999"),
        ('owner = "ann@example.com"', 'owner = "ann"\nuntil = 3', "unknown key until"),
        ("[[waiver]]", "[waivers]", "nothing else"),
        ("[[waiver]]", "[[waiver", "not valid TOML"),
        # It would match nothing, and its finding would fail without a word about the waiver.
        ('"GET /admin/*"', '["GET /admin/*"]', "operation is one text"),
        ('"GET /admin/*"', '""', "operation is one text"),
    ],
)
def test_a_bad_entry_is_told_with_what_it_lacks(tmp_path: Path, was: str, now: str, told: str) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(GOOD.replace(was, now))
    with pytest.raises(ConfigurationError, match=told):
        load_waivers(path, today=TODAY, codes=["TOK102"])


@pytest.mark.parametrize(
    ("result", "item", "state"),
    [
        (failing("GET /admin/users"), waiver(), "applied"),
        (failing("GET /admin/users"), waiver(expires=TODAY), "expired"),
        (failing("GET /me"), waiver(), "stale"),
        (decided(Passed("ok")), waiver(), "stale"),
        (decided(Inconclusive("throttled")), waiver(), "undecided"),
    ],
)
def test_how_a_waiver_stands(result: Result, item: Waiver, state: str) -> None:
    assert [found.state for found in accept([result], [item], [], today=TODAY)] == [state]


@pytest.mark.parametrize(
    ("result", "waivers", "code", "word"),
    [
        (failing("GET /admin/users"), [waiver()], 0, "accepted before"),
        (failing("GET /admin/users", "GET /me"), [waiver()], 1, "1 more accepted"),
        (failing("GET /admin/users"), [waiver(expires=TODAY)], 1, "expired"),
        (failing("GET /admin/users"), [waiver("GET /admni/*")], 1, "GET /admni/* has nothing to accept"),
        (decided(Passed("ok")), [waiver()], 1, "remove it"),
        # A network error under a waiver still fails: nobody knows what it hides.
        (decided(Inconclusive("timed out")), [waiver()], 3, "could not be decided"),
    ],
)
def test_what_the_gate_says(result: Result, waivers: list[Waiver], code: int, word: str) -> None:
    passed = Result(catalog.load()["TOK101"].rule, Passed("ok"), Severity.HIGH)
    decision = gate.decide([result, passed], acceptances=accept([result, passed], waivers, [], today=TODAY))
    assert decision.exit_code == code, decision
    assert word in decision.sentence


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        (["a rotated key"], ["a rotated key", "an ended refresh token"], ["an ended refresh token"]),
        (["an ended refresh token"], ["a rotated key", "an ended refresh token"], ["a rotated key"]),
        # What nothing tells apart is counted at least.
        ([""], ["", ""], [" #2"]),
        (["", ""], [""], []),
    ],
)
def test_what_a_baseline_knows_hides_nothing_else_at_the_operation(
    before: list[str], now: list[str], new: list[str]
) -> None:
    def run(subjects: list[str]) -> Run:
        violations = tuple(
            Violation("GET /me", f"{number} is alive", subject=subject)
            for number, subject in enumerate(subjects)
        )
        return run_of(Result(RULE, Failed(violations), Severity.HIGH))

    known, _ = baseline_of(run(before))
    after = run(now)
    after = replace(after, acceptances=accept(after.results, [], known, today=TODAY))
    assert [finding.subject for finding in after.findings if after.standing(finding) == "new"] == new


def test_a_baseline_goes_to_disk_and_back_and_keeps_first_sightings(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    known, left = baseline_of(run_of(failing("GET /a", "GET /b")))
    assert not left
    path.write_text(baseline_text(known, run_of().target))
    assert load_baseline(path).findings == tuple(known)
    later = replace(run_of(failing("GET /b", "GET /c")), finished=datetime(2026, 4, 1, tzinfo=UTC))
    again, _ = baseline_of(later, load_baseline(path).findings)
    assert {item.operation: str(item.first_seen) for item in again} == {
        "GET /b": "2026-03-01",
        "GET /c": "2026-04-01",
    }


@pytest.mark.parametrize(
    ("title", "tested", "another"),
    [
        ("Shop", "Hotel", True),
        ("Shop", "Shop", False),  # staging and production
        ("FastAPI", "Hotel", False),  # nobody gave it a name
        ("", "Hotel", False),
    ],
)
def test_a_baseline_of_another_service_is_noticed(
    title: str, tested: str, another: bool, tmp_path: Path
) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(baseline_text([], TargetSummary("url", "https://a", title)))
    told = load_baseline(path).stranger(TargetSummary("url", "https://b", tested))
    assert told == ("Shop (https://a)" if another else "")


def test_critical_findings_are_left_out_unless_asked_for() -> None:
    run = run_of(failing("GET /a", severity=Severity.CRITICAL))
    assert [len(part) for part in baseline_of(run)] == [0, 1]
    assert [len(part) for part in baseline_of(run, include_critical=True)] == [1, 0]


@pytest.mark.parametrize(("new_only", "code"), [(True, 0), (False, 1)])
def test_known_findings_fail_unless_only_new_ones_count(new_only: bool, code: int) -> None:
    result = failing("GET /a")
    known, _ = baseline_of(run_of(result))
    standing = accept([result], [], known, today=TODAY)
    assert gate.decide([result], acceptances=standing, new_only=new_only).exit_code == code
    fresh = failing("GET /a", "GET /new")
    standing = accept([fresh], [], known, today=TODAY)
    decision = gate.decide([fresh], acceptances=standing, new_only=True)
    assert decision.exit_code == 1
    assert decision.sentence.startswith("1 new finding")


def test_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    assert given(None, None, new_only=False, folder=tmp_path).waivers == ()
    (tmp_path / "auth-conformance-waivers.toml").write_text(GOOD)
    assert len(given(None, None, new_only=False, folder=tmp_path).waivers) == 1
    with pytest.raises(ConfigurationError, match="needs a baseline"):
        given(None, None, new_only=True, folder=tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": "auth-conformance/run-1"}))
    with pytest.raises(ConfigurationError, match="not a baseline"):
        given(None, "run.json", new_only=True, folder=tmp_path)
    for text, told in (
        ("{", "it is no JSON"),
        ("[]", "does not say its format"),
        ('{"format": "auth-conformance/baseline-1"}', "'findings' is missing"),
        ('{"format": "auth-conformance/baseline-1", "findings": [1]}', "no whole baseline"),
    ):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ConfigurationError, match=told):
            given(None, "run.json", new_only=True, folder=tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        given("nowhere.toml", None, new_only=False, folder=tmp_path)
