"""From results to yes or no: one sentence that a pipeline can defend a year later."""

from __future__ import annotations

from collections.abc import Sequence

from auth_conformance.model import (
    Acceptance,
    Decision,
    Failed,
    Finding,
    Inconclusive,
    Result,
    Severity,
    Skipped,
)

PASSED, FINDINGS, UNUSABLE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130


def decide(
    results: Sequence[Result],
    *,
    fail_on: Severity = Severity.LOW,
    strict: bool = False,
    allow_inconclusive: bool = False,
    interrupted: bool = False,
    acceptances: Sequence[Acceptance] = (),
    new_only: bool = False,
) -> Decision:
    """The exit code and why. Findings count from `fail_on` up; `strict` also counts what was not tested.

    Waived findings do not count, nor with `new_only` those of the baseline. A waiver without a finding fails.
    """
    grave = [finding for result in results for finding in result.findings if finding.severity >= fail_on]
    findings = [finding for finding in grave if not _excused(finding, acceptances, new_only=new_only)]
    if findings:
        worst = max(finding.severity for finding in findings)
        new = "new " if new_only else ""
        sentence = f"{_counted(len(findings), f'{new}finding')} of severity {fail_on.value} or above"
        also = _also(grave, findings, acceptances)
        rest = " The run was interrupted: what was not tested is unknown." if interrupted else ""
        return Decision(FINDINGS, f"{sentence}; the worst is {worst.value}{also}.{rest}")
    stale = [item for item in acceptances if item.kind == "waiver" and item.state == "stale"]
    if stale:
        names = ", ".join(f"{item.code} {item.operation}" for item in stale[:5]) + (
            ", …" if len(stale) > 5 else ""
        )
        it = "it" if len(stale) == 1 else "them"
        return Decision(
            FINDINGS,
            f"Nothing is left of what {_counted(len(stale), 'waiver')} accepted ({names}): remove {it} from the list.",
        )
    if interrupted:
        return Decision(INTERRUPTED, "The run was interrupted: what was not tested is unknown.")
    return _without_findings(
        results, fail_on=fail_on, strict=strict, allow_inconclusive=allow_inconclusive, excused=len(grave)
    )


def _excused(finding: Finding, acceptances: Sequence[Acceptance], *, new_only: bool) -> bool:
    return any(
        item.state == "applied"
        and finding.fingerprint in item.fingerprints
        and (item.kind == "waiver" or new_only)
        for item in acceptances
    )


def _also(grave: Sequence[Finding], counted: Sequence[Finding], acceptances: Sequence[Acceptance]) -> str:
    expired = [item for item in acceptances if item.state == "expired"]
    parts = [f"{len(grave) - len(counted)} more accepted"] if len(grave) > len(counted) else []
    parts += [f"the waiver of {item.code} expired on {item.expires}" for item in expired[:3]]
    stale = [item for item in acceptances if item.kind == "waiver" and item.state == "stale"]
    parts += [f"the waiver of {item.code} {item.operation} has nothing to accept" for item in stale[:3]]
    return f" ({', '.join(parts)})" if parts else ""


def _without_findings(
    results: Sequence[Result],
    *,
    fail_on: Severity,
    strict: bool,
    allow_inconclusive: bool,
    excused: int,
) -> Decision:
    decided = [result for result in results if result.name in ("passed", "failed")]
    unclear = [result for result in results if isinstance(result.verdict, Inconclusive)]
    errored = [result for result in results if result.name == "errored"]
    untested = [
        result for result in results if isinstance(result.verdict, Skipped) and result.verdict.applicable
    ]
    if errored:
        broken = f"{_counted(len(errored), 'check')} broke down on our side ({errored[0].rule.code})"
        return Decision(INCOMPLETE, f"{broken}: please report it.")
    if not decided and not unclear:
        first = f" {untested[0].rule.code}: {untested[0].verdict.reason.rstrip('.')}." if untested else ""
        return Decision(UNUSABLE, f"None of {_counted(len(results), 'check')} could be executed.{first}")
    if unclear and not allow_inconclusive:
        codes = ", ".join(sorted(result.rule.code for result in unclear)[:5]) + (
            ", …" if len(unclear) > 5 else ""
        )
        return Decision(INCOMPLETE, f"{_counted(len(unclear), 'check')} could not be decided ({codes}).")
    if not decided:
        return Decision(INCOMPLETE, "No check could be decided.")
    if strict and untested:
        return Decision(
            INCOMPLETE,
            f"{_counted(len(untested), 'check')} not tested, and strict demands all that apply.",
        )
    below = [
        result
        for result in results
        if isinstance(result.verdict, Failed) and all(item.severity < fail_on for item in result.findings)
    ]
    parts = [f"{_counted(sum(result.name == 'passed' for result in results), 'check')} passed"]
    if below:
        parts.append(f"{len(below)} failed below {fail_on.value}")
    if excused:
        parts.append(f"{_counted(excused, 'finding')} accepted before")
    if unclear:
        parts.append(f"{len(unclear)} inconclusive, which was allowed")
    if untested:
        parts.append(f"{len(untested)} not tested")
    return Decision(PASSED, ", ".join(parts) + ".")


def _counted(count: int, what: str) -> str:
    """A number and what it counts, as people say it."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
