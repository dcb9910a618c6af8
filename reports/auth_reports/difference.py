"""Two runs side by side: what is new, what has gone, which verdicts changed, and who gets in where now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.model import Finding, Run


@dataclass(frozen=True, slots=True)
class Change:
    """Something that had one value before and has another now; "" where there was or is none."""

    subject: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two runs. `gone` holds findings whose check still came to a verdict."""

    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    unchanged: tuple[Finding, ...]
    verdicts: tuple[Change, ...]
    operations: tuple[Change, ...]
    access: tuple[Change, ...]

    @property
    def worse(self) -> bool:
        """Whether something is broken now that was not before."""
        return bool(self.new)


def compare(before: Run, now: Run) -> Difference:
    """What changed from one run to the other."""
    old, new = ({finding.fingerprint: finding for finding in run.findings} for run in (before, now))
    decided = {result.rule.code for result in now.results if result.name in {"passed", "failed"}}
    missing = [finding for mark, finding in old.items() if mark not in new]
    return Difference(
        new=tuple(finding for mark, finding in new.items() if mark not in old),
        gone=tuple(finding for finding in missing if finding.code in decided),
        lost=tuple(finding for finding in missing if finding.code not in decided),
        unchanged=tuple(finding for mark, finding in new.items() if mark in old),
        verdicts=_changes(
            {result.rule.code: result.name for result in before.results},
            {result.rule.code: result.name for result in now.results},
        ),
        operations=_changes(
            dict.fromkeys(before.target.operations, "there"), dict.fromkeys(now.target.operations, "there")
        ),
        access=_changes(_cells(before), _cells(now), only_common=True),
    )


def _cells(run: Run) -> dict[str, str]:
    return {
        f"{cell.operation}, {cell.caller}": cell.answer
        + (f" (declared: {cell.declared})" if cell.declared else "")
        for cell in run.target.access
    }


def _changes(before: dict[str, str], now: dict[str, str], *, only_common: bool = False) -> tuple[Change, ...]:
    subjects = before.keys() & now.keys() if only_common else before.keys() | now.keys()
    return tuple(
        Change(subject, before.get(subject, ""), now.get(subject, ""))
        for subject in sorted(subjects)
        if before.get(subject) != now.get(subject)
    )


def render(difference: Difference) -> str:
    """The difference in words, worst first, one line each."""
    lines: list[str] = []
    lines += _findings("New", difference.new)
    lines += _findings("Gone", difference.gone)
    lines += _findings("No longer decided (the check came to no verdict this time)", difference.lost)
    for title, changes in (
        ("Verdicts", difference.verdicts),
        ("Operations", difference.operations),
        ("Who gets in", difference.access),
    ):
        if changes:
            lines += [f"{title}:"]
            lines += [
                f"  {item.subject}: {item.before or 'none'} -> {item.now or 'none'}" for item in changes
            ]
    same = len(difference.unchanged)
    lines.append(
        f"{len(difference.new)} new, {len(difference.gone)} gone, {len(difference.lost)} undecided, {same} unchanged."
    )
    return "\n".join(lines) + "\n"


def _findings(title: str, findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    return [f"{title}:"] + [
        f"  {finding.code} {finding.severity.value} {finding.operation or ''}: {finding.title}{_apart(finding)}"
        for finding in findings
    ]


def _apart(finding: Finding) -> str:
    """What tells it from the others of its rule at that operation."""
    said = finding.subject.removeprefix(finding.code).strip()
    return f" ({said})" if said else ""
