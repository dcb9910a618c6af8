"""A summary in Markdown for pull requests and step summaries: the decision first, then what to do.

Everything from a target is shown as code or escaped: it can neither make links nor call people by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_conformance.causes import causes
from auth_conformance.model import Errored, Inconclusive, Masked, Severity, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auth_conformance.model import Finding, Result, Run

# A comment takes 65,536 characters, and a step summary one mebibyte; over that they are refused whole.
LARGEST = 65_000
_ROWS, _NAMED = 100, 3
_SIGNS = {"Passed": "✅", "Failed": "❌", "Incomplete": "⚠️"}


def render(run: Run) -> str:
    """The summary; what does not fit is counted and left to the other reports."""
    whole = [_head(run), _findings(run), _unclear(run), _untested(run), _accepted(run), _foot(run)]
    left = "The details are too long for a summary: see the HTML report.\n"
    table = [_head(run), _findings(run, fixes=False), left, _foot(run)]
    for parts in (whole, table):
        text = "\n".join(part for part in parts if part).encode("utf-8", "replace").decode("utf-8")
        if len(text.encode()) <= LARGEST:
            return text
    return "\n".join([_head(run), left, _foot(run)])


def _head(run: Run) -> str:
    counts = " · ".join(f"{number} {name}" for name, number in run.tally)
    notes = "".join(f"\n> {_escaped(note)}\n" for note in run.notes)
    return (
        f"## {_SIGNS.get(run.decision.word, '')} Authentication: {run.decision.word}\n\n"
        f"{_escaped(run.decision.sentence)}\n\n{counts or 'no results'} · target {_code(run.target.address)}\n{notes}"
    )


def _findings(run: Run, *, fixes: bool = True) -> str:
    findings = [finding for finding in run.findings if run.standing(finding) != "waived"]
    if not findings:
        return ""
    # What one rule says of several operations is one row: each has its own line in the other reports.
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.severity, run.standing(finding)), []).append(finding)
    rows = [_row(run, group) for group in list(alike.values())[:_ROWS]]
    rest = sum(len(group) for group in list(alike.values())[_ROWS:])
    left = f"\n{rest} more findings are in the other reports.\n" if rest else ""
    table = "| Severity | Rule | Operation | What happened |\n|---|---|---|---|\n" + "\n".join(rows)
    rules = {result.rule.code: result.rule for result in run.results}
    details = "\n".join(
        f"<details><summary>{code} {_html(rules[code].title)}: why and how to fix it</summary>\n\n"
        f"{_prose(rules[code].requirement)}\n\n{_prose(rules[code].why)}\n\n{_prose(rules[code].fix)}\n\n</details>"
        for code in (dict.fromkeys(finding.code for finding in findings) if fixes else ())
    )
    shared = "".join(
        f"\n{_code(f'{cause.source.path}:{cause.source.line}')} is the place to mend for {', '.join(cause.codes)}.\n"
        for cause in causes(run)
        if cause.source is not None and len(cause.codes) > 1
    )
    return f"### Findings\n\n{table}\n{shared}{left}\n{details}\n"


def _row(run: Run, group: Sequence[Finding]) -> str:
    finding = group[0]
    mark = " (known)" if run.standing(finding) == "known" else ""
    lines = list(dict.fromkeys(_line(item) for item in group))
    shared = len(lines) == 1
    places = [
        " ".join(filter(None, (_code(item.operation or ""), "" if shared else _line(item)))) for item in group
    ]
    places = list(dict.fromkeys(filter(None, places)))
    named = ", ".join(places[:_NAMED]) + (f" {lines[0]}" if shared and lines[0] else "")
    named += f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    others = f" ({len(group) - 1} more such)" if len(group) > 1 else ""
    return (
        f"| {finding.severity.value}{mark} | {finding.code} {_escaped(finding.title)} | "
        f"{named} | {_escaped(_short(finding.message))}{others} |"
    )


def _line(finding: Finding) -> str:
    source = finding.source
    return _code(f"{source.path}:{source.line}") if source is not None else ""


def _unclear(run: Run) -> str:
    found = [result for result in run.results if isinstance(result.verdict, (Inconclusive, Errored))]
    if not found:
        return ""
    return "### Could not be decided\n\n" + "\n".join(_item(result) for result in found[:_ROWS]) + "\n"


def _item(result: Result) -> str:
    remedy = getattr(result.verdict, "remedy", "")
    word = "our bug: " if isinstance(result.verdict, Errored) else ""
    line = f"* **{result.rule.code}** {word}{_escaped(_short(result.verdict.reason))}"
    return line + _remedy(remedy)


def _remedy(text: str) -> str:
    """The lines of configuration that would help, as they can be copied: a table's head has a line of its own."""
    lines = [_visible(line) for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return f" — try {_code(text)}" if lines else ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    language = "toml" if lines[0].startswith("[") or " = " in lines[0] else ""
    block = (f"{fence}{language}", *lines, fence)
    return "\n\n" + "\n".join(f"  {line}" for line in block)


def _untested(run: Run) -> str:
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in run.results:
        match result.verdict:
            case Skipped(applicable=True, remedy=remedy) as skipped:
                reasons.setdefault((skipped.why, remedy), []).append(result.rule.code)
            case Masked(by=root):
                reasons.setdefault((f"Masked by {root}: fix that one first.", ""), []).append(
                    result.rule.code
                )
            case _:
                pass
    if not reasons:
        return ""
    lines = (
        f"* {', '.join(codes)}: {_escaped(reason)}" + _remedy(remedy)
        for (reason, remedy), codes in reasons.items()
    )
    count = sum(len(codes) for codes in reasons.values())
    head = f"<details><summary>{count} not tested, and what would enable them</summary>"
    return f"{head}\n\n{_lines(lines)}\n\n</details>\n"


def _accepted(run: Run) -> str:
    if not run.acceptances:
        return ""
    lines = (
        f"* {item.kind} {item.code} {_code(item.operation)}: {item.state}"
        + (f", {_escaped(item.reason)}" if item.reason else "")
        + (f" (until {item.expires})" if item.expires else "")
        for item in run.acceptances[:_ROWS]
    )
    return f"<details><summary>Waivers and baseline</summary>\n\n{_lines(lines)}\n\n</details>\n"


def _foot(run: Run) -> str:
    seconds = (run.finished - run.started).total_seconds()
    name = f"auth-conformance {_escaped(run.version)}, run {_escaped(run.run_id)}"
    return f"{name}: {run.requests} requests in {seconds:.1f} s.\n"


def workflow_commands(run: Run, most: int = 10) -> list[str]:
    """Workflow commands that put the worst findings beside the code; `most` is what a step may show."""
    lines: list[str] = []
    for finding in sorted(run.findings, key=lambda item: -item.severity.rank):
        if run.standing(finding) == "waived" or len(lines) >= most:
            continue
        kind = "error" if finding.severity >= Severity.HIGH else "warning"
        place = f"file={_property(finding.source.path)},line={finding.source.line}," if finding.source else ""
        title = _property(f"{finding.code} {finding.title}")
        lines.append(f"::{kind} {place}title={title}::{_command(_short(finding.message))}")
    return lines


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _short(text: str, length: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _visible(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)


def _escaped(text: str) -> str:
    """Text in which nothing is markup: no links, no HTML, no mentions, no table cells."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|@~&-])", r"\\\1", _visible(" ".join(text.split())))


def _prose(text: str) -> str:
    """The text of a rule, which is Markdown of ours; a run read from a file may hold anything."""
    return "\n".join(_visible(line).replace("<", "&lt;") for line in text.splitlines())


def _html(text: str) -> str:
    return _visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    """A code span that its content cannot leave, also inside a table."""
    line = _visible(" ".join(text.split())).replace("|", "\\|")
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
