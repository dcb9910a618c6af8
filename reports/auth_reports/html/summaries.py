"""What all results say together: levels, families, standards, and what was missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_reports.html.states import (
    ABSENT,
    ERRORED,
    FAILED,
    INCONCLUSIVE,
    MASKED,
    PASSED,
    STATES,
    UNTESTED,
    State,
)
from auth_reports.html.text import Block, remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.model import Run
    from auth_reports.html.rows import Row


LEVELS = (1, 2, 3)
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


def levels_of(run: Run, rows: tuple[Row, ...]) -> tuple[Level, ...]:
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


def gaps_of(rows: tuple[Row, ...], state: State) -> tuple[Gap, ...]:
    """Group the rows in `state` by cause, the cause that costs most checks first."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.state is state:
            found.setdefault((row.remedy, row.reason), []).append(row)
    gaps = [Gap(reason, remedy(advice), tuple(members)) for (advice, reason), members in found.items()]
    return tuple(sorted(gaps, key=lambda gap: -len(gap.rows)))


def families_of(rows: tuple[Row, ...]) -> tuple[Family, ...]:
    """The families of the rules, counted by state."""
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


def standards_of(rows: tuple[Row, ...]) -> tuple[Standard, ...]:
    """The clauses of each standard that a rule cites; of the API Top 10 all entries."""
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
