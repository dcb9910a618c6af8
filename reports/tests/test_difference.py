"""What two runs differ in, in words: what is new beside what was known at the same operation is told apart."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from auth_conformance.model import Failed, Run, Violation
from auth_reports.difference import compare, render


def test_what_is_new_at_a_known_operation_says_what_it_is(sample: ModuleType) -> None:
    run = sample.run()
    broken = next(item for item in run.results if isinstance(item.verdict, Failed))

    def of(*subjects: str) -> Run:
        violations = tuple(Violation("GET /me", "it lives", subject=subject) for subject in subjects)
        return replace(run, results=(replace(broken, verdict=Failed(violations)),))

    code, severity, title = broken.rule.code, broken.severity.value, broken.rule.title
    told = render(compare(of("a rotated key"), of("a rotated key", "an ended token")))
    assert f"  {code} {severity} GET /me: {title} (an ended token)\n" in told
    assert told.endswith("1 new, 0 gone, 0 undecided, 1 unchanged.\n")
    assert render(compare(of("", ""), of(""))).endswith("0 new, 1 gone, 0 undecided, 1 unchanged.\n")
