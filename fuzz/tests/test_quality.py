"""The search finds each seeded flaw within its budget, and nothing on the clean app.

A plain run takes one seed per flaw, its own and always the same. `FUZZ_MATRIX=whole` takes ten of each and
demands nine (`tox -e fuzz`, about an hour).
"""

import hashlib
import os

import pytest
from quality import BUDGET, CASES, Case, found

WHOLE = os.environ.get("FUZZ_MATRIX") == "whole"
SEEDS = 10
ENOUGH = 9
# The clean app is searched for so long, in seconds: the whole of it, everything that a run does.
CLEAN = 60.0 if WHOLE else 20.0


def seeds(case: Case) -> list[int]:
    if WHOLE:
        return list(range(SEEDS))
    return [int(hashlib.sha256(case.name.encode()).hexdigest(), 16) % SEEDS]


def test_there_are_at_least_thirty_flaws() -> None:
    assert len({case.name for case in CASES}) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_search_finds_the_seeded_flaw(case: Case) -> None:
    tried = seeds(case)
    outcomes = [found(case, seed) for seed in tried]
    hits = sum(outcome.hit for outcome in outcomes)
    missed = [
        f"seed {seed}: {[(item.rule.code, item.name) for item in outcome.results]}"
        for seed, outcome in zip(tried, outcomes, strict=True)
        if not outcome.hit
    ]
    needed = ENOUGH if WHOLE else 1
    assert hits >= needed, f"found in {hits} of {len(tried)} within {BUDGET:g} s: {missed}"


@pytest.mark.parametrize("seed", range(SEEDS if WHOLE else 1))
def test_on_the_clean_app_nothing_is_found(seed: int) -> None:
    outcome = found(None, seed, budget=CLEAN)
    told = {
        result.rule.code: result.verdict.reason
        for result in outcome.results
        if result.name in {"failed", "errored", "inconclusive"}
    }
    assert not told
    passed = {result.rule.code for result in outcome.results if result.name == "passed"}
    assert {"FUZ101", "FUZ102", "FUZ201", "FUZ202", "FUZ203", "FUZ204", "FUZ301", "FUZ401"} <= passed
