"""Every result as a row of the page: what it came to, why, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Errored, Failed, Masked, Skipped
from auth_reports.html.evidence import Budget, Pair, Step, pairs, proof, steps
from auth_reports.html.states import ERRORED, INCONCLUSIVE, State, state_of
from auth_reports.html.text import Block, cut, remedy, short, slug

if TYPE_CHECKING:
    from auth_conformance.model import Result, Rule, Run


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


def rows_of(run: Run, budget: Budget) -> tuple[Row, ...]:
    """All results by code and operation; `budget` is what their evidence may cost."""
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
    advice = short(getattr(verdict, "remedy", ""), 2000)
    return Row(
        id=name,
        result=result,
        state=state,
        reason=short(verdict.why if isinstance(verdict, Skipped) else verdict.reason),
        remedy=advice,
        remedy_blocks=remedy(advice),
        detail=budget.spend(cut(verdict.detail, 8000)) if isinstance(verdict, Errored) else "",
        notes=tuple(short(note) for note in getattr(verdict, "notes", ())),
        proof=proof(evidence),
        steps=listed,
        steps_left=len(evidence) - len(listed),
        pairs=pairs(evidence, budget, base=base, most=1) if unclear else (),
        masked_by=verdict.by if isinstance(verdict, Masked) else "",
    )
