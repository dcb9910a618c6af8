"""What the page says, worked out from a run: the template only lays it out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.causes import causes, in_source
from auth_conformance.model import (
    Errored,
    Failed,
    Inconclusive,
    Masked,
    Severity,
    Skipped,
)
from auth_reports.again import commands
from auth_reports.html.evidence import Budget, Pair, Step, pairs, proof, steps
from auth_reports.html.matrices import Coverage, Entrances, coverage, entrances
from auth_reports.html.text import Block, cut, prose, short, slug
from auth_reports.regression import NotWritten, Regression, regression

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from auth_conformance.model import Finding, Result, Rule, Run

LEVELS = (1, 2, 3)
# The gravest findings have their test on the page; --export-tests writes all of them.
_TESTS = 60
_FAMILIES = {
    "TOK": "Bearer tokens and JWT",
    "KEY": "API keys",
    "SES": "Session cookies",
    "CRD": "Login, registration, reset",
    "AUZ": "Authorisation",
    "MIX": "Several schemes at once",
    "ERR": "Error contract",
    "WEB": "CORS, CSRF, cache, headers",
    "DOC": "OpenAPI and behaviour",
    "STO": "Storage at rest",
    "SRC": "Source tree",
    "LIF": "Lifecycle and concurrency",
    "FUZ": "Fuzzing",
}
_API_TOP_10 = (
    "Broken object level authorization",
    "Broken authentication",
    "Broken object property level authorization",
    "Unrestricted resource consumption",
    "Broken function level authorization",
    "Unrestricted access to sensitive business flows",
    "Server side request forgery",
    "Security misconfiguration",
    "Improper inventory management",
    "Unsafe consumption of APIs",
)
_API_URL = "https://owasp.org/API-Security/editions/2023/en/0x11-t10/"


@dataclass(frozen=True, slots=True)
class State:
    """How a result is shown: `key` for CSS, the word, a sign that repeats it, and what it means."""

    key: str
    word: str
    sign: str
    meaning: str
    fill: str
    short: str = ""


FAILED = State("failed", "Failed", "\u2715", "the rule is broken, seen twice", "#b3261e")
ERRORED = State("errored", "Errored", "!", "our own error: nothing is known", "#7a3e9d")
INCONCLUSIVE = State("inconclusive", "Inconclusive", "?", "a control or an answer was unclear", "#b26a00")
UNTESTED = State("untested", "Not tested", "\u25cb", "something that you can supply was missing", "#8a6d1d")
MASKED = State("masked", "Masked", "\u2261", "another failure makes the answer meaningless", "#5f6b7a")
ABSENT = State("absent", "Not applicable", "\u2013", "the target has no such feature", "#a9b1bb", "N/A")
PASSED = State("passed", "Passed", "\u2713", "every attack delivered and refused", "#2e7d4f")
STATES = (FAILED, ERRORED, INCONCLUSIVE, UNTESTED, MASKED, ABSENT, PASSED)


def state_of(result: Result) -> State:
    """Return how `result` is shown; Skipped is two things to a reader."""
    match result.verdict:
        case Failed():
            return FAILED
        case Errored():
            return ERRORED
        case Inconclusive():
            return INCONCLUSIVE
        case Masked():
            return MASKED
        case Skipped(applicable=True):
            return UNTESTED
        case Skipped():
            return ABSENT
        case _:
            return PASSED


@dataclass(frozen=True, slots=True)
class Row:
    """One result with everything that the page says about it outside the findings."""

    id: str
    result: Result
    state: State
    reason: str
    remedy: str
    remedy_blocks: tuple[Block, ...]
    detail: str
    notes: tuple[str, ...]
    proof: str
    steps: tuple[Step, ...]
    steps_left: int
    pairs: tuple[Pair, ...]
    masked_by: str

    @property
    def rule(self) -> Rule:
        """The rule that was judged."""
        return self.result.rule

    @property
    def finding(self) -> str:
        """The id of the group of findings that a failure belongs to."""
        return f"finding-{slug(self.rule.code)}"


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
    """Findings that one line of the source answers for: a dependency that several operations share.

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


@dataclass(frozen=True, slots=True)
class Level:
    """Whether a level is reached, and which results stand in its way."""

    number: int
    word: str
    because: str
    obstacles: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """How many results of a family are in each state, in the order of STATES."""

    code: str
    name: str
    counts: tuple[tuple[State, int], ...]

    @property
    def total(self) -> int:
        """All results of the family."""
        return sum(count for _, count in self.counts)

    @property
    def sentence(self) -> str:
        """The bar in words."""
        return ", ".join(f"{count} {state.word.lower()}" for state, count in self.counts if count)

    @property
    def bars(self) -> tuple[tuple[State, float, float], ...]:
        """State, left edge and width of each part of the bar, in hundredths."""
        found: list[tuple[State, float, float]] = []
        left = 0.0
        for state, count in self.counts:
            if count:
                width = 100 * count / self.total
                found.append((state, round(left, 2), round(width, 2)))
                left += width
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a standard, the checks that cite it and what they say together."""

    label: str
    url: str
    state: State | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Standard:
    """All cited clauses of one standard."""

    kind: str
    title: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Results that the same missing thing kept from being tested."""

    reason: str
    remedy: tuple[Block, ...]
    rows: tuple[Row, ...]


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
    found = _occurrences(run, findings)
    rows = _rows(run, others)
    groups = {code: _group(run, code, items, rows) for code, items in found.items()}
    together = tuple(tuple(groups[code] for code in cause.codes) for cause in causes(run))
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
        levels=_levels(run, rows),
        groups=tuple(group for members in together for group in members),
        causes=together,
        unclear=tuple(row for row in rows if row.state in {INCONCLUSIVE, ERRORED}),
        untested=_gaps(rows, UNTESTED),
        absent=_gaps(rows, ABSENT),
        masked=tuple(row for row in rows if row.state is MASKED),
        families=_families(rows),
        rows=rows,
        standards=_standards(rows),
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


def _occurrences(run: Run, budget: Budget) -> dict[str, list[Occurrence]]:
    """Gather findings by code, gravest code first, and choose their evidence."""
    found: dict[str, list[Occurrence]] = {}
    base = "BASE_URL" if run.target.kind == "app" else run.target.address
    findings = run.findings
    for number, finding in enumerate(findings):
        share = budget.share(len(findings) - number)
        test = regression(finding, run) if number < _TESTS else None
        chosen = pairs(finding.evidence, share, base=base)
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
                left=sum(item.number not in shown for item in finding.evidence),
                standing=run.standing(finding),
                test=_download(test) if isinstance(test, Regression) else None,
                untestable=test.reason if isinstance(test, NotWritten) else "",
            )
        )
    return found


def _download(made: Regression) -> Download:
    return Download(made.name, base64.b64encode(made.text.encode()).decode())


def _group(run: Run, code: str, items: list[Occurrence], rows: tuple[Row, ...]) -> Group:
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
            other for cause in causes(run) if code in cause.codes for other in cause.codes if other != code
        ),
        in_source=in_source(rule, run),
        again=commands(code, run),
    )


def _places(items: list[Occurrence]) -> tuple[Place, ...]:
    """One place per line of the source; findings without a line stand for themselves."""
    found: dict[object, list[Occurrence]] = {}
    for item in items:
        found.setdefault(item.where or id(item), []).append(item)
    return tuple(Place(members[0].where, members[0], tuple(members[1:])) for members in found.values())


def _rows(run: Run, budget: Budget) -> tuple[Row, ...]:
    used: set[str] = set()
    found: list[Row] = []
    for number, result in enumerate(
        sorted(run.results, key=lambda item: (item.rule.code, item.operation or ""))
    ):
        share = budget.share(len(run.results) - number)
        found.append(_row(result, _unused(f"result-{slug(result.rule.code)}", used), run, share))
        budget.give_back(share)
    return tuple(found)


def _unused(wanted: str, used: set[str]) -> str:
    """Return an element id that is not taken: the wanted one, or it with a number."""
    number, found = 1, wanted
    while found in used:
        number += 1
        found = f"{wanted}-{number}"
    used.add(found)
    return found


def _row(result: Result, name: str, run: Run, budget: Budget) -> Row:
    verdict, state = result.verdict, state_of(result)
    unclear = state in {INCONCLUSIVE, ERRORED}
    base = "BASE_URL" if run.target.kind == "app" else run.target.address
    seen = {item.number: item for item in verdict.evidence}
    if isinstance(verdict, Failed):
        seen |= {item.number: item for violation in verdict.violations for item in violation.evidence}
    evidence = tuple(seen[number] for number in sorted(seen))
    listed = steps(evidence, budget)
    remedy = short(getattr(verdict, "remedy", ""), 2000)
    return Row(
        id=name,
        result=result,
        state=state,
        reason=short(verdict.reason),
        remedy=remedy,
        remedy_blocks=prose(remedy),
        detail=budget.spend(cut(verdict.detail, 8000)) if isinstance(verdict, Errored) else "",
        notes=tuple(short(note) for note in getattr(verdict, "notes", ())),
        proof=proof(evidence),
        steps=listed,
        steps_left=len(evidence) - len(listed),
        pairs=pairs(evidence, budget, base=base, most=1) if unclear else (),
        masked_by=verdict.by if isinstance(verdict, Masked) else "",
    )


def _levels(run: Run, rows: tuple[Row, ...]) -> tuple[Level, ...]:
    """Judge the levels from the lowest up: a level holds only on top of the one below."""
    found: list[Level] = []
    for number in LEVELS:
        own = [row for row in rows if row.rule.level == number]
        obstacles = tuple(row for row in own if row.state not in {PASSED, ABSENT})
        below = not found or found[-1].word == "Reached"
        if number > run.level:
            level = Level(number, "Not asked for", "this run did not ask for it", obstacles)
        elif run.interrupted:
            level = Level(number, "Not reached", "the run was interrupted", obstacles)
        elif obstacles:
            what = "1 result stands" if len(obstacles) == 1 else f"{len(obstacles)} results stand"
            level = Level(number, "Not reached", f"{what} in the way", obstacles)
        elif not below:
            level = Level(number, "Not reached", f"level {number - 1} is not reached")
        elif not any(row.state is PASSED for row in own):
            level = Level(number, "Not reached", "no rule of this level was tested")
        else:
            passed = sum(row.state is PASSED for row in own)
            level = Level(
                number, "Reached", f"all rules of this level that apply were tested and passed ({passed})"
            )
        found.append(level)
    return tuple(found)


def _gaps(rows: tuple[Row, ...], state: State) -> tuple[Gap, ...]:
    """Group the rows in `state` by cause, the cause that costs most checks first."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.state is state:
            found.setdefault((row.remedy, row.reason), []).append(row)
    gaps = [Gap(reason, prose(remedy), tuple(members)) for (remedy, reason), members in found.items()]
    return tuple(sorted(gaps, key=lambda gap: -len(gap.rows)))


def _families(rows: tuple[Row, ...]) -> tuple[Family, ...]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.rule.family, []).append(row)
    return tuple(
        Family(
            code=code,
            name=_FAMILIES.get(code, ""),
            counts=tuple((state, sum(row.state is state for row in members)) for state in STATES),
        )
        for code, members in found.items()
    )


def _natural(label: str) -> list[tuple[int, str]]:
    """Sort key under which V9 comes before V10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", label)]


def _standards(rows: tuple[Row, ...]) -> tuple[Standard, ...]:
    cited: dict[str, dict[str, tuple[str, list[Row]]]] = {"ASVS": {}, "RFC": {}, "API": {}}
    for number in range(1, len(_API_TOP_10) + 1):
        cited["API"][f"API{number}:2023"] = (_API_URL, [])
    for row in rows:
        for reference in row.rule.references:
            if reference.kind in cited:
                _, members = cited[reference.kind].setdefault(reference.label, (reference.url, []))
                if row not in members:
                    members.append(row)
    titles = {"ASVS": "OWASP ASVS 5.0", "RFC": "IETF RFCs", "API": "OWASP API Security Top 10 (2023)"}
    return tuple(
        Standard(
            kind,
            titles[kind],
            tuple(
                Clause(_named(label), url, _together(members), tuple(members))
                for label, (url, members) in sorted(clauses.items(), key=lambda item: _natural(item[0]))
            ),
        )
        for kind, clauses in cited.items()
        if kind == "API" or clauses
    )


def _named(label: str) -> str:
    """Add its title to an entry of the API Top 10."""
    match = re.fullmatch(r"API(\d+):2023", label)
    return f"{label} {_API_TOP_10[int(match[1]) - 1]}" if match else label


def _together(rows: Iterable[Row]) -> State | None:
    """Return the gravest state of the checks that cite a clause, None if there are none."""
    states = {row.state for row in rows}
    for state in (FAILED, ERRORED, INCONCLUSIVE, UNTESTED, MASKED, PASSED, ABSENT):
        if state in states:
            return state
    return None
