from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from auth_conformance.model import Acceptance, Inconclusive
from auth_reports import markdown

if TYPE_CHECKING:
    from types import ModuleType


def test_decision_findings_and_gaps_are_told(sample: ModuleType) -> None:
    run = sample.run()
    text = markdown.render(run)
    assert run.decision.word in text.splitlines()[0]
    for finding in run.findings:
        assert finding.code in text
    assert "not tested, and what would enable them" in text


def test_hostile_texts_are_no_markup(sample: ModuleType) -> None:
    run = sample.run(sample.hostile(), note=" ".join(sample.HOSTILE))
    failed = next(item for item in run.results if item.name == "failed")
    message = "<img src=x onerror=alert(1)> [a](https://evil.example) @everyone | cell\n\n# head `code"
    violation = replace(failed.verdict.violations[0], message=message, operation="GET /a|b`c``d")
    failed = replace(failed, verdict=replace(failed.verdict, violations=(violation,)))
    text = markdown.render(replace(run, results=(failed,)))
    assert "\x1b" not in text
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    assert 'https://evil.example"' not in html
    assert "<h1" not in html
    row = next(line for line in text.splitlines() if line.startswith(f"| {failed.severity.value}"))
    cells = MarkdownIt("commonmark").enable("table").render("| a | b | c | d |\n|---|---|---|---|\n" + row)
    assert cells.count("<td>") == 4
    assert "<img" not in cells


def test_what_one_rule_says_of_many_operations_is_one_row(sample: ModuleType) -> None:
    run = sample.run()
    failed = next(item for item in run.results if item.name == "failed")
    violations = tuple(
        replace(failed.verdict.violations[0], operation=f"GET /{number}", message="It is open.")
        for number in range(5)
    )
    failed = replace(failed, source=None, verdict=replace(failed.verdict, violations=violations))
    text = markdown.render(replace(run, results=(failed,)))
    assert text.count(f"| {failed.rule.code} ") == 1
    assert "`GET /0`, `GET /1`, `GET /2` and 2 more | It is open. (4 more such) |" in text


def test_a_long_run_fits_into_a_comment(sample: ModuleType) -> None:
    long = sample.run(sample.flood(150, 10))
    text = markdown.render(long)
    assert len(text) <= 65_536
    assert "50 more findings" in text
    assert "too long for a summary" in text
    assert "FLD000" in text
    assert "how to fix" not in text
    huge = replace(long, notes=("x" * 300,) * 100)
    assert len(markdown.render(huge)) <= 65_536


def test_annotations_escape_and_stop_at_ten(sample: ModuleType) -> None:
    run = sample.run()
    failed = next(item for item in run.results if item.name == "failed")
    violations = tuple(
        replace(failed.verdict.violations[0], operation=f"GET /{number}", message="50% of\r\n::error::it")
        for number in range(20)
    )
    run = replace(run, results=(replace(failed, verdict=replace(failed.verdict, violations=violations)),))
    lines = markdown.workflow_commands(run)
    assert len(lines) == 10
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert "50%25 of" in lines[0]


def test_waived_findings_are_listed_as_waived(sample: ModuleType) -> None:
    run = sample.run()
    finding = run.findings[0]
    waiver = Acceptance(
        "waiver", finding.code, "*", "applied", "legacy client", "ann", None, (finding.fingerprint,)
    )
    text = markdown.render(replace(run, acceptances=(waiver,)))
    assert "legacy client" in text
    assert f"| {finding.severity.value} | {finding.code}" not in text or len(run.findings) > 1


def test_a_remedy_of_several_lines_can_be_copied(sample: ModuleType) -> None:
    remedy = '[policy]\norigins = ["https://app.example.com"]  # `````'
    unclear = sample._result(sample.rule("WEB101"), Inconclusive("Which origins?", remedy))
    text = markdown.render(sample.run((unclear,)))
    assert (
        f"* **WEB101** Which origins?\n\n  ``````toml\n  {remedy.replace(chr(10), chr(10) + '  ')}\n  ``````\n"
        in text
    )
    one = sample._result(sample.rule("WEB101"), Inconclusive("Slow.", "rate = 1"))
    assert "Slow. — try `rate = 1`" in markdown.render(sample.run((one,))).replace("\\", "")
