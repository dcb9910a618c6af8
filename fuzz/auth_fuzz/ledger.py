"""What a search has found so far, rule by rule, and how that becomes verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Passed,
    Result,
    Rule,
    Severity,
    Skipped,
    Verdict,
    Violation,
)
from auth_fuzz import rules

# How the reason begins when operations were not reached.
UNREACHED = "Not tested: no generated request got past validation at "
# A passed rule keeps so many exchanges as a sample of what was sent.
SAMPLE = 6


@dataclass(slots=True)
class Entry:
    """What is known about one rule. `tried` counts attacks that reached a clear outcome."""

    tried: int = 0
    violations: list[Violation] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    absent: str = ""
    remedy: str = ""
    # Whether what is absent could be there: a service that has no such thing is not asked for a line.
    applicable: bool = True
    sample: list[Exchange] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    unit: str = "attack"
    end: str = "refused"
    # With fewer than this nothing is proved.
    least: int = 0


class Ledger:
    """The entries of one part of a fuzzing run."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.entries = {rule.code: (rule, Entry()) for rule in rules}

    def of(self, rule: Rule) -> Entry:
        """The entry of a rule."""
        return self.entries[rule.code][1]

    def tried(self, rule: Rule, exchange: Exchange | None = None) -> None:
        """Count an attack that was refused as it should be."""
        entry = self.of(rule)
        entry.tried += 1
        if exchange is not None and len(entry.sample) < SAMPLE:
            entry.sample.append(exchange)

    def broken(self, rule: Rule, violation: Violation, *, several: bool = False) -> None:
        """Keep a violation; of one operation and rule the first one is told, or with `several` all that differ."""
        entry = self.of(rule)
        entry.tried += 1
        if several or all(known.operation != violation.operation for known in entry.violations):
            entry.violations.append(violation)

    def found(self, rule: Rule, operation: str | None = None) -> bool:
        """Whether a violation of the rule is known, at that operation if one is given."""
        return any(operation is None or known.operation == operation for known in self.of(rule).violations)

    def unreached(self, operation: str, how: str, remedy: str = "") -> None:
        """Say that no generated request got past the validation of an operation: nothing about it is proved."""
        entry = self.of(rules.REACH)
        entry.unreached.append(how)
        entry.remedy = entry.remedy or remedy
        entry.absent = f"no generated request of {operation} got past validation"

    def absent(self, reason: str, remedy: str = "", *, applicable: bool = True) -> None:
        """Say why rules that decided nothing could not be tested."""
        for _, entry in self.entries.values():
            entry.applicable = entry.applicable if entry.absent else applicable
            entry.absent = entry.absent or reason
            entry.remedy = entry.remedy or remedy

    def results(self, *, requests: int = 0, took: float = 0.0) -> list[Result]:
        """One result per rule; requests and seconds are shared out evenly."""
        shares = max(len(self.entries), 1)
        found = []
        for number, (rule, entry) in enumerate(self.entries.values()):
            verdict = _verdict(entry)
            severity = rule.severity
            if isinstance(verdict, Failed):
                severity = max(item.severity or rule.severity for item in verdict.violations)
            mine = requests // shares + (1 if number < requests % shares else 0)
            operation = entry.violations[0].operation if entry.violations else None
            found.append(Result(rule, verdict, severity, operation, None, took / shares, mine))
        return found


def _verdict(entry: Entry) -> Verdict:
    notes, evidence = tuple(dict.fromkeys(entry.notes)), tuple(entry.sample)
    if entry.violations:
        return Failed(tuple(entry.violations), (), notes)
    if entry.doubts:
        more = f" (and {len(entry.doubts) - 1} more)" if len(entry.doubts) > 1 else ""
        return Inconclusive(entry.doubts[0] + more, entry.remedy, evidence, notes)
    if entry.tried < entry.least and (entry.tried or not entry.absent):
        counted = _counted(entry.tried, entry.unit, entry.end).rstrip(".")
        reason = f"Only {counted} before the budget was used up; a pass takes {entry.least}."
        return Inconclusive(reason, entry.remedy, evidence, notes)
    if entry.unreached:
        return Skipped(f"{UNREACHED}{'; '.join(entry.unreached)}", entry.remedy)
    if entry.tried:
        return Passed(_counted(entry.tried, entry.unit, entry.end), evidence, notes)
    if not entry.applicable:
        return Skipped(entry.absent, applicable=False)
    why = entry.absent.removeprefix("Not tested: ").rstrip(".") or "nothing of this kind was met"
    return Skipped(f"Not tested: {why}.", entry.remedy)


def combined(results: Sequence[Result]) -> Result:
    """The results of one rule from several parts of a run as one. `results` must not be empty."""
    first = results[0]
    verdicts = [result.verdict for result in results]
    severity = max((result.severity for result in results if result.name == "failed"), default=first.severity)
    return replace(
        first,
        verdict=_merged(verdicts),
        severity=_restated(severity, first.rule, verdicts),
        operation=next((result.operation for result in results if result.operation), None),
        source=next((result.source for result in results if result.source), None),
        origins=tuple({item.number: item for result in results for item in result.origins}.values()),
        took=sum(result.took for result in results),
        requests=sum(result.requests for result in results),
    )


def _restated(severity: Severity, rule: Rule, verdicts: Sequence[Verdict]) -> Severity:
    return severity if any(isinstance(verdict, Failed) for verdict in verdicts) else rule.severity


def _merged(verdicts: Sequence[Verdict]) -> Verdict:
    notes = tuple(
        dict.fromkeys(
            note
            for verdict in verdicts
            if isinstance(verdict, (Passed, Failed, Inconclusive))
            for note in verdict.notes
        )
    )
    failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
    if failed:
        return Failed(tuple(_told_once(failed)), (), notes)
    unclear = [verdict for verdict in verdicts if isinstance(verdict, Inconclusive)]
    if unclear:
        return replace(unclear[0], notes=notes)
    unreached = [
        verdict.reason.removeprefix(UNREACHED)
        for verdict in verdicts
        if isinstance(verdict, Skipped) and verdict.reason.startswith(UNREACHED)
    ]
    if unreached:
        remedies = dict.fromkeys(
            line
            for verdict in verdicts
            if isinstance(verdict, Skipped) and verdict.reason.startswith(UNREACHED)
            for line in [verdict.remedy]
            if line
        )
        return Skipped(UNREACHED + "; ".join(unreached), "\n".join(remedies))
    passed = [verdict for verdict in verdicts if isinstance(verdict, Passed)]
    if passed:
        evidence = tuple(item for verdict in passed for item in verdict.evidence)[:SAMPLE]
        return Passed(_summed([verdict.reason for verdict in passed]), evidence, notes)
    # The line that would change it is worth more than the first of the reasons, and a doubt more than an absence.
    skipped = [verdict for verdict in verdicts if isinstance(verdict, Skipped)]
    return max(skipped, key=lambda one: (bool(one.remedy), one.applicable), default=verdicts[0])


def _told_once(failed: Sequence[Failed]) -> Iterator[Violation]:
    """What several parts of a run found: of one operation the first part's alone, who may have found several."""
    told: set[str | None] = set()
    for verdict in failed:
        yield from (item for item in verdict.violations if item.operation not in told)
        told |= {item.operation for item in verdict.violations}


def _counted(number: int, unit: str, end: str) -> str:
    if number != 1:
        unit = unit[:-1] + "ies" if unit.endswith("y") else unit + "s"
    return f"{number} {unit} {end}."


def _summed(reasons: Sequence[str]) -> str:
    """Reasons such as `3 attacks refused.` as one; the plural is theirs."""
    counts = [int(reason.split(" ", 1)[0]) for reason in reasons]
    total, words = sum(counts), max(reasons, key=len).split(" ", 1)[1]
    singular = all(count == 1 for count in counts) and total > 1
    unit, _, end = words.partition(" ")
    return _counted(total, unit, end.rstrip(".")) if singular else f"{total} {words}"
