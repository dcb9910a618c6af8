"""What the page says, worked out from a run: the template only lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.causes import causes
from auth_conformance.model import Severity
from auth_reports.html.findings import Group, group_of, occurrences
from auth_reports.html.matrices import Coverage, Entrances, coverage, entrances
from auth_reports.html.rows import Row, rows_of
from auth_reports.html.states import ABSENT, ERRORED, INCONCLUSIVE, MASKED, STATES, UNTESTED, State
from auth_reports.html.summaries import (
    Family,
    Gap,
    Level,
    Standard,
    families_of,
    gaps_of,
    levels_of,
    standards_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from auth_conformance.model import Run
    from auth_reports.html.evidence import Budget


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page."""

    run: Run
    title: str
    started: str
    finished: str
    duration: str
    counts: tuple[tuple[State, int], ...]
    severities: tuple[tuple[Severity, int], ...]
    levels: tuple[Level, ...]
    groups: tuple[Group, ...]
    causes: tuple[tuple[Group, ...], ...]
    unclear: tuple[Row, ...]
    untested: tuple[Gap, ...]
    absent: tuple[Gap, ...]
    masked: tuple[Row, ...]
    families: tuple[Family, ...]
    rows: tuple[Row, ...]
    standards: tuple[Standard, ...]
    tested: Coverage
    entrances: Entrances
    standing: tuple[tuple[str, int], ...]

    @property
    def reached(self) -> int:
        """The highest level reached, 0 for none."""
        return max((level.number for level in self.levels if level.word == "Reached"), default=0)


def page(run: Run, *, findings: Budget, others: Budget) -> Page:
    """Work out the whole page, with a budget for the evidence of findings and one for all other evidence."""
    found = occurrences(run, findings)
    rows = rows_of(run, others)
    known = causes(run)
    groups = {code: group_of(run, code, items, rows, known) for code, items in found.items()}
    together = tuple(tuple(groups[code] for code in cause.codes) for cause in known)
    return Page(
        run=run,
        title=run.target.title or run.target.address,
        started=_moment(run.started),
        finished=_moment(run.finished),
        duration=_duration((run.finished - run.started).total_seconds()),
        counts=tuple((state, sum(row.state is state for row in rows)) for state in STATES),
        severities=tuple(
            (severity, sum(finding.severity is severity for finding in run.findings))
            for severity in reversed(Severity)
        ),
        levels=levels_of(run, rows),
        groups=tuple(group for members in together for group in members),
        causes=together,
        unclear=tuple(row for row in rows if row.state in {INCONCLUSIVE, ERRORED}),
        untested=gaps_of(rows, UNTESTED),
        absent=gaps_of(rows, ABSENT),
        masked=tuple(row for row in rows if row.state is MASKED),
        families=families_of(rows),
        rows=rows,
        standards=standards_of(rows),
        tested=coverage(run),
        entrances=entrances(run),
        standing=_standing(run),
    )


def _standing(run: Run) -> tuple[tuple[str, int], ...]:
    """How many findings are new, known and waived, and how much of what was accepted has gone."""
    counts = [
        (name, sum(run.standing(item) == name for item in run.findings))
        for name in ("new", "known", "waived")
    ]
    fixed = sum(item.kind == "baseline" and item.state == "stale" for item in run.acceptances)
    return (*counts, ("fixed", fixed))


def _moment(when: datetime) -> str:
    zone = when.strftime("%Z") if when.tzinfo else ""
    return f"{when:%Y-%m-%d %H:%M:%S} {zone}".strip()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0), 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
