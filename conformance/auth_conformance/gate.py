"""From results to yes or no: one sentence that a pipeline can defend a year later."""

from __future__ import annotations

from collections.abc import Sequence

from auth_conformance.model import Decision, Failed, Inconclusive, Result, Severity, Skipped

PASSED, FINDINGS, UNUSABLE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130


def decide(
    results: Sequence[Result],
    *,
    fail_on: Severity = Severity.LOW,
    strict: bool = False,
    allow_inconclusive: bool = False,
    interrupted: bool = False,
) -> Decision:
    """The exit code and why. Findings count from `fail_on` up; `strict` also counts what was not tested."""
    findings = [finding for result in results for finding in result.findings if finding.severity >= fail_on]
    if findings:
        worst = max(finding.severity for finding in findings)
        plural = "s" if len(findings) > 1 else ""
        return Decision(
            FINDINGS,
            f"{len(findings)} finding{plural} of severity {fail_on.value} or above; the worst is {worst.value}.",
        )
    if interrupted:
        return Decision(INTERRUPTED, "The run was interrupted: what was not tested is unknown.")
    return _without_findings(results, fail_on=fail_on, strict=strict, allow_inconclusive=allow_inconclusive)


def _without_findings(
    results: Sequence[Result],
    *,
    fail_on: Severity,
    strict: bool,
    allow_inconclusive: bool,
) -> Decision:
    decided = [result for result in results if result.name in ("passed", "failed")]
    unclear = [result for result in results if isinstance(result.verdict, Inconclusive)]
    errored = [result for result in results if result.name == "errored"]
    untested = [
        result for result in results if isinstance(result.verdict, Skipped) and result.verdict.applicable
    ]
    if errored:
        sentence = f"{len(errored)} checks broke down on our side ({errored[0].rule.code}): please report it."
        return Decision(INCOMPLETE, sentence)
    if not decided and not unclear:
        return Decision(UNUSABLE, "No check could be executed: nothing is known about this service.")
    if unclear and not allow_inconclusive:
        codes = ", ".join(result.rule.code for result in unclear[:5])
        return Decision(INCOMPLETE, f"{len(unclear)} checks could not be decided ({codes}).")
    if not decided:
        return Decision(INCOMPLETE, "No check could be decided.")
    if strict and untested:
        return Decision(
            INCOMPLETE,
            f"{len(untested)} checks were not tested, and strict demands all that apply.",
        )
    below = [result for result in results if isinstance(result.verdict, Failed)]
    parts = [f"{sum(result.name == 'passed' for result in results)} checks passed"]
    if below:
        parts.append(f"{len(below)} failed below {fail_on.value}")
    if unclear:
        parts.append(f"{len(unclear)} inconclusive, which was allowed")
    if untested:
        parts.append(f"{len(untested)} were not tested")
    return Decision(PASSED, ", ".join(parts) + ".")
