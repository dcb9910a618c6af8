"""Two tables over the operations: which families of checks attacked each, and whom each lets in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.model import Exchange, Result, Run

# A service may have thousands of operations; the page shows so many, and says how many it leaves out.
MOST = 200


@dataclass(frozen=True, slots=True)
class Tested:
    """One operation and, per family, how many attacks were sent there and whether a check failed on it."""

    operation: str
    cells: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Operations by families. `untouched` counts the operations that no check attacked."""

    families: tuple[str, ...]
    rows: tuple[Tested, ...]
    untouched: int
    left: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation, what the document demands there, and how each caller was answered ("" if not asked)."""

    operation: str
    declared: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entrances:
    """Operations by callers."""

    callers: tuple[str, ...]
    rows: tuple[Entry, ...]
    left: int


def coverage(run: Run) -> Coverage:
    """Which operations the attacks of which families reached."""
    counts: dict[str, dict[str, int]] = {}
    broken: set[tuple[str, str]] = set()
    for result in run.results:
        family = result.rule.family
        for number, operation in {(item.number, item.operation) for item in _evidence(result)}:
            del number
            row = counts.setdefault(operation, {})
            row[family] = row.get(family, 0) + 1
        broken |= {(finding.operation or "", family) for finding in result.findings}
    families = tuple(dict.fromkeys(result.rule.family for result in run.results))
    _fold(counts, {*run.target.operations, *(operation for operation, _ in broken)})
    operations = list(
        dict.fromkeys([*run.target.operations, *sorted(counts, key=lambda name: (name[0] == "(", name))])
    )
    touched = [operation for operation in operations if operation in counts]
    untouched = [operation for operation in run.target.operations if operation not in counts]
    listed = [*touched, *untouched]
    return Coverage(
        families,
        tuple(
            Tested(
                operation,
                tuple(
                    (counts.get(operation, {}).get(family, 0), (operation, family) in broken)
                    for family in families
                ),
            )
            for operation in listed[:MOST]
        ),
        len(untouched),
        max(0, len(listed) - MOST),
    )


def _fold(counts: dict[str, dict[str, int]], own: set[str]) -> None:
    """Count what was tried at paths that are no operations of the target in one row, unless it is a single one."""
    others = [operation for operation in counts if operation not in own]
    if len(others) < 2:
        return
    together: dict[str, int] = {}
    for operation in others:
        for family, number in counts.pop(operation).items():
            together[family] = together.get(family, 0) + number
    counts[f"({len(others)} other paths)"] = together


def _evidence(result: Result) -> Iterator[Exchange]:
    yield from (item for item in result.verdict.evidence if item.role is Role.ATTACK)
    if isinstance(result.verdict, Failed):
        for violation in result.verdict.violations:
            yield from (item for item in violation.evidence if item.role is Role.ATTACK)


def entrances(run: Run) -> Entrances:
    """Who was let in where."""
    cells = {(cell.operation, cell.caller): cell.answer for cell in run.target.access}
    callers = tuple(sorted({caller for _, caller in cells}, key=lambda name: (name != "nobody", name)))
    declared = {cell.operation: cell.declared for cell in run.target.access}
    rows = tuple(
        Entry(operation, declared[operation], tuple(cells.get((operation, caller), "") for caller in callers))
        for operation in sorted(declared)[:MOST]
    )
    return Entrances(callers, rows, max(0, len(declared) - MOST))
