"""Findings as the page shows them: one text for all of a code, a place for each line of the source."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.causes import in_source
from auth_conformance.model import Failed, Role
from auth_reports.again import commands
from auth_reports.html.evidence import Budget, Pair, pairs, proof
from auth_reports.html.text import Block, prose, short, slug
from auth_reports.regression import NotWritten, Regression, regression

if TYPE_CHECKING:
    from auth_conformance.causes import Cause
    from auth_conformance.model import Finding, Rule, Run, Severity
    from auth_reports.html.rows import Row


# The gravest findings have their test on the page; --export-tests writes all of them.
_TESTS = 60


@dataclass(frozen=True, slots=True)
class Download:
    """A regression test that the page offers: the name of the file, and its text in Base64."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One finding of a group."""

    finding: Finding
    message: str
    where: str
    pairs: tuple[Pair, ...]
    proof: str
    left: int
    standing: str = "new"
    test: Download | None = None
    untestable: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Findings that one line of the source answers for, or where none is known one operation.

    The first stands for all; `rest` are the others. `where` is "" where no line is known.
    """

    where: str
    first: Occurrence
    rest: tuple[Occurrence, ...] = ()

    @property
    def members(self) -> tuple[Occurrence, ...]:
        """All findings of the place."""
        return (self.first, *self.rest)

    @property
    def operations(self) -> tuple[str, ...]:
        """The operations that share the line."""
        return tuple(dict.fromkeys(item.finding.operation or "" for item in self.members))


@dataclass(frozen=True, slots=True)
class Group:
    """All findings of one code: one cause until proved otherwise, so one text with several places."""

    id: str
    rule: Rule
    severity: Severity
    occurrences: tuple[Occurrence, ...]
    places: tuple[Place, ...]
    requirement: tuple[Block, ...]
    why: tuple[Block, ...]
    how: tuple[Block, ...]
    fix: tuple[Block, ...]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    masks: tuple[Row, ...]
    beside: tuple[str, ...]
    in_source: tuple[str, ...]
    again: tuple[str, ...]

    @property
    def place(self) -> str:
        """The line that answers for all of it, without its folders; "" where several do or none is known."""
        return self.places[0].where.rpartition("/")[2] if len(self.places) == 1 else ""

    @property
    def operations(self) -> int:
        """At how many operations it was found; 0 where no finding names one."""
        return len({item.finding.operation for item in self.occurrences} - {None, ""})


def occurrences(run: Run, budget: Budget) -> dict[str, list[Occurrence]]:
    """Gather findings by code, gravest code first, and choose their evidence."""
    found: dict[str, list[Occurrence]] = {}
    base = "BASE_URL" if run.target.kind == "app" else run.target.address
    findings = run.findings
    for number, finding in enumerate(findings):
        share = budget.share(len(findings) - number)
        test = regression(finding, run) if number < _TESTS else None
        evidence = finding.evidence if _tells(finding) else ()
        chosen = pairs(evidence, share, base=base)
        budget.give_back(share)
        shown = {side.number for pair in chosen for side in pair.sides}
        source = finding.source
        where = (
            f"{source.path}:{source.line}" + (f" \u00b7 {source.function}" if source.function else "")
            if source
            else ""
        )
        found.setdefault(finding.code, []).append(
            Occurrence(
                finding=finding,
                message=short(finding.message),
                where=where,
                pairs=chosen,
                proof=proof(finding.evidence),
                left=sum(item.number not in shown for item in evidence),
                standing=run.standing(finding),
                test=_download(test) if isinstance(test, Regression) else None,
                untestable=test.reason if isinstance(test, NotWritten) else "",
            )
        )
    return found


def _tells(finding: Finding) -> bool:
    """Whether the evidence is about the finding: no reply of another operation shows a poor description."""
    return any(item.role is Role.ATTACK or item.operation == finding.operation for item in finding.evidence)


def _download(made: Regression) -> Download:
    return Download(made.name, base64.b64encode(made.text.encode()).decode())


def group_of(
    run: Run, code: str, items: list[Occurrence], rows: tuple[Row, ...], known: tuple[Cause, ...]
) -> Group:
    """All findings of a code, with the results among `rows` that they mask, and what else its cause breaks."""
    results = [
        result for result in run.results if result.rule.code == code and isinstance(result.verdict, Failed)
    ]
    rule = results[0].rule
    return Group(
        id=f"finding-{slug(code)}",
        rule=rule,
        severity=max(item.finding.severity for item in items),
        occurrences=tuple(items),
        places=_places(items),
        requirement=prose(short(rule.requirement, 4000)),
        why=prose(short(rule.why, 4000)),
        how=prose(short(rule.how, 4000)),
        fix=prose(short(rule.fix, 8000)),
        guesses=tuple(dict.fromkeys(guess for result in results for guess in result.guesses)),
        notes=tuple(
            dict.fromkeys(short(note) for result in results for note in getattr(result.verdict, "notes", ()))
        ),
        masks=tuple(row for row in rows if row.masked_by == code),
        beside=tuple(
            other for cause in known if code in cause.codes for other in cause.codes if other != code
        ),
        in_source=in_source(rule, run),
        again=commands(code, run),
    )


def _places(items: list[Occurrence]) -> tuple[Place, ...]:
    """One place per line of the source; where no line is known, per operation."""
    found: dict[tuple[str, str], list[Occurrence]] = {}
    for item in items:
        found.setdefault((item.where, "" if item.where else item.finding.operation or ""), []).append(item)
    return tuple(Place(where, members[0], tuple(members[1:])) for (where, _), members in found.items())
