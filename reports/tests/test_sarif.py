from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Log

from auth_conformance.model import Acceptance, SourceLine
from auth_reports import sarif

if TYPE_CHECKING:
    from types import ModuleType


def only_run(text: str) -> dict[str, Any]:
    Log.model_validate_json(text)
    document: dict[str, Any] = json.loads(text)
    assert len(document["runs"]) == 1
    found: dict[str, Any] = document["runs"][0]
    return found


def test_the_log_is_valid_and_places_findings(sample: ModuleType) -> None:
    run = sample.run()
    log = only_run(sarif.render(run))
    ids = [rule["id"] for rule in log["tool"]["driver"]["rules"]]
    assert ids == sorted({result.rule.code for result in run.results})
    assert log["results"]
    for result in log["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert "://" not in uri
        assert not uri.startswith("/")
        assert len(result["message"]["text"]) <= 1000
        assert result["partialFingerprints"]["authConformance/v1"]


def test_a_clean_run_is_a_run_without_results(sample: ModuleType) -> None:
    run = sample.run()
    clean = replace(run, results=tuple(item for item in run.results if item.name == "passed"))
    assert only_run(sarif.render(clean))["results"] == []


def test_hostile_texts_make_a_valid_log(sample: ModuleType) -> None:
    only_run(sarif.render(sample.run(sample.hostile(), note=" ".join(sample.HOSTILE))))


def test_rules_say_how_bad_they_are_and_tag_no_secret_detection(sample: ModuleType) -> None:
    for rule in only_run(sarif.render(sample.run()))["tool"]["driver"]["rules"]:
        tags = rule["properties"]["tags"]
        assert "security" in tags
        assert len(tags) <= 10
        assert not {"external/cwe/cwe-798", "external/cwe/cwe-522"} & set(tags)
        assert 0 <= float(rule["properties"]["security-severity"]) <= 10


def test_one_dependency_with_many_operations_is_one_result(sample: ModuleType) -> None:
    run = sample.run()
    failed = next(item for item in run.results if item.name == "failed")
    violation = failed.verdict.violations[0]
    violations = tuple(replace(violation, operation=f"GET /things/{number}") for number in range(5))
    shared = replace(
        failed,
        source=SourceLine("app/deps.py", 60, "current_user"),
        verdict=replace(failed.verdict, violations=violations),
    )
    results = only_run(sarif.render(replace(run, results=(shared,))))["results"]
    assert len(results) == 1
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "app/deps.py"
    assert results[0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 60
    assert len(results[0]["properties"]["operations"]) == 5
    assert "primaryLocationLineHash" not in results[0]["partialFingerprints"]


@pytest.mark.parametrize("path", ["/usr/lib/python3/site-packages/authx/deps.py", "../other/deps.py"])
def test_places_outside_the_repository_hang_on_the_anchor(sample: ModuleType, path: str) -> None:
    run = sample.run()
    failed = next(item for item in run.results if item.name == "failed")
    run = replace(run, results=(replace(failed, source=SourceLine(path, 3)),))
    for result in only_run(sarif.render(run, anchor="openapi.json"))["results"]:
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "openapi.json"
        assert "primaryLocationLineHash" in result["partialFingerprints"]


def test_what_could_not_be_decided_is_a_notification(sample: ModuleType) -> None:
    run = sample.run()
    told = only_run(sarif.render(run))["invocations"][0]["toolExecutionNotifications"]
    unclear = {result.rule.code for result in run.results if result.name in {"inconclusive", "errored"}}
    assert unclear <= {item["associatedRule"]["id"] for item in told}


def test_waived_findings_are_left_out_unless_asked_for(sample: ModuleType) -> None:
    run = sample.run()
    finding = run.findings[0]
    waiver = Acceptance("waiver", finding.code, "*", "applied", "legacy", "ann", None, (finding.fingerprint,))
    waived = replace(run, acceptances=(waiver,))
    before = len(only_run(sarif.render(run))["results"])
    assert len(only_run(sarif.render(waived))["results"]) == before - 1
    kept = only_run(sarif.render(waived, accepted=True))["results"]
    assert [item["suppressions"][0]["justification"] for item in kept if "suppressions" in item] == ["legacy"]


def test_fingerprints_do_not_change_with_host_or_wording(sample: ModuleType) -> None:
    run = sample.run()
    moved = replace(run, run_id="ffffff", target=replace(run.target, address="https://other.example"))
    prints = [
        [
            item["partialFingerprints"]["authConformance/v1"]
            for item in only_run(sarif.render(each))["results"]
        ]
        for each in (run, moved)
    ]
    assert prints[0] == prints[1]
