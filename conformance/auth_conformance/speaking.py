"""A verdict in the words of pytest: what counts, what is accepted, and whether an item passes, skips, or fails."""

from __future__ import annotations

import pytest

from auth_conformance.acceptance import accept
from auth_conformance.engine import acceptances
from auth_conformance.model import (
    Errored,
    Failed,
    Finding,
    Inconclusive,
    Masked,
    Passed,
    Result,
    Severity,
    Skipped,
)
from auth_conformance.settings import Settings


class BrokenRuleError(Exception):
    """A rule is broken; the text is the finding. Waivers name this type, so that nothing else is waived."""


class UndecidedError(Exception):
    """A check could not be decided."""


class OurBugError(Exception):
    """A check broke down on our side; the text is the traceback."""


def standing(result: Result, settings: Settings) -> tuple[list[Finding], str]:
    """The findings that count, and why the others do not. Raises BrokenRuleError for a waiver of nothing."""
    accepted = acceptances(settings)
    waivers = [waiver for waiver in accepted.waivers if waiver.code == result.rule.code]
    known = [item for item in accepted.baseline.findings if item.code == result.rule.code]
    found = accept([result], waivers, known)
    for item in found:
        if item.kind == "waiver" and item.state == "stale":
            raise BrokenRuleError(
                f"{item.code} {item.operation}: nothing is left of what this waiver accepts; remove it from the list."
            )
    covered = {
        mark: item.reason
        for item in found
        if item.state == "applied" and (item.kind == "waiver" or accepted.new_only)
        for mark in item.fingerprints
    }
    counted = [finding for finding in result.findings if finding.fingerprint not in covered]
    return counted, "; ".join(dict.fromkeys(covered.values()))


def properties(result: Result) -> list[tuple[str, str]]:
    """What a report of pytest says of a result besides its words."""
    weaknesses = [item.label for item in result.rule.references if item.kind == "CWE"]
    operations = dict.fromkeys(item.operation for item in result.findings if item.operation)
    return [
        ("rule", result.rule.code),
        ("verdict", result.name),
        ("severity", result.severity.value),
        *(("cwe", weakness) for weakness in weaknesses),
        *(("operation", operation) for operation in operations),
    ]


def speak(result: Result, settings: Settings, standing: tuple[list[Finding], str]) -> None:
    """The verdict as pytest knows it: return, skip, xfail or raise."""
    verdict = result.verdict
    code = result.rule.code
    match verdict:
        case Passed():
            return
        case Failed():
            _speak_of_findings(result, settings, standing)
        case Inconclusive():
            text = f"{code} inconclusive: {verdict.reason}" + (
                f"\n    try: {verdict.remedy}" if verdict.remedy else ""
            )
            if settings.allow_inconclusive:
                pytest.skip(text)
            raise UndecidedError(text)
        case Skipped():
            text = verdict.reason + (f" Set: {verdict.remedy}" if verdict.remedy else "")
            if settings.strict and verdict.applicable:
                raise UndecidedError(f"{code} {text}")
            pytest.skip(text)
        case Masked():
            pytest.skip(f"masked by {verdict.by}: {verdict.reason}")
        case Errored():
            raise OurBugError(f"{code} broke down on our side: {verdict.reason}\n{verdict.detail}")


def _speak_of_findings(result: Result, settings: Settings, standing: tuple[list[Finding], str]) -> None:
    counted, excuse = standing
    if not counted:
        pytest.xfail(f"accepted: {excuse}")
    lines = [f"{result.rule.code} {result.rule.title}: {item.message}" for item in counted]
    if max(item.severity for item in counted) < Severity(settings.fail_on):
        pytest.xfail(f"{result.severity.value} is below {settings.fail_on}: {lines[0]}")
    raise BrokenRuleError("\n".join(lines))
