"""The search finds each seeded flaw within its budget, and nothing on the clean app.

Budgets are requests, and seeds are given: what is found does not depend on how busy the machine is. A plain run takes
some flaws of each kind, with one seed each; `FUZZ_MATRIX=whole` (`tox -e fuzz`) takes all of them with ten and demands
nine, and searches the clean app with ten seeds.
"""

import hashlib

import pytest
from quality import CASES, SECONDS, WHOLE, Case, found, searched

from auth_conformance.model import Result, Severity
from auth_fuzz import Budget

SEEDS = 10
ENOUGH = 9
# What a plain run takes: something for every rule that flaws are seeded for, and the two that were found last. FUZ302
# has its turn in `test_lifecycle`.
SAMPLE = frozenset(
    {
        "token/unsigned_token",  # FUZ201
        "grammars/key_folded",  # FUZ202
        "operations/foreign_ticket_by_number",  # FUZ103
        "grammars/cookie_prefix_dropped",  # FUZ203
        "grammars/list_of_tokens",  # FUZ204
        "operations/forgotten_dependency",  # FUZ101
        "operations/own_token_parser",  # FUZ102
        "operations/foreign_key_readable",  # FUZ103
        "operations/foreign_login_endable",  # FUZ104
        "operations/unchallenged_corner",  # FUZ106
        "operations/hash_in_reply",  # FUZ107
        "operations/combined_leg_ignored",  # FUZ108
        "operations/tokens_without_scopes",  # FUZ109
        "operations/open_to_a_preview",  # FUZ101, by how a request is dressed
        "operations/foreign_notes_in_bulk",  # FUZ104, by an id in a body
        "operations/foreign_page_below_own_book",  # FUZ103, by the way to it
        "operations/notes_of_whom_the_query_names",  # FUZ103, by who is named
        "operations/revoked_key_served",  # FUZ102, by what was ended
        "lifecycle/former_password_revives",  # FUZ301, among what had ended
        "lifecycle/stale_role",  # FUZ303
        "lifecycle/reusable_refresh_token",  # FUZ301 or FUZ304
        "differential/denylist_in_memory",  # FUZ403
    }
)
# Stories differ much in length: a plain run takes a seed under which one is short.
SHORT = {
    "lifecycle/former_password_revives": 1,
    "lifecycle/stale_role": 1,
    "lifecycle/reusable_refresh_token": 2,
}
# The whole of a run on the clean app: everything that a user's does.
CLEAN = Budget(SECONDS, 6_000 if WHOLE else 600)


def seeds(case: Case) -> range:
    first = SHORT.get(case.name, int(hashlib.sha256(case.name.encode()).hexdigest(), 16) % SEEDS)
    return range(SEEDS) if WHOLE else range(first, first + 1)


def test_there_are_at_least_thirty_flaws_and_the_sample_is_of_them() -> None:
    assert len({case.name for case in CASES}) >= 30
    assert {case.name for case in CASES} >= SAMPLE


@pytest.mark.parametrize(
    "case", [case for case in CASES if WHOLE or case.name in SAMPLE], ids=lambda case: case.name
)
def test_the_search_finds_the_seeded_flaw(case: Case) -> None:
    outcomes = {seed: found(case, seed) for seed in seeds(case)}
    missed = {
        seed: [(item.rule.code, item.name) for item in outcome.results]
        for seed, outcome in outcomes.items()
        if not outcome.hit
    }
    needed = ENOUGH if WHOLE else 1
    assert len(outcomes) - len(missed) >= needed, f"missed within {case.requests} requests: {missed}"


def trouble(results: tuple[Result, ...], above: Severity | None = None) -> dict[str, str]:
    """What failed or was left in doubt, by code; with `above` of the failures only what is graver."""
    return {
        result.rule.code: result.verdict.reason
        for result in results
        if result.name in {"errored", "inconclusive"}
        or any(above is None or finding.severity > above for finding in result.findings)
    }


@pytest.mark.parametrize("seed", range(SEEDS if WHOLE else 1))
def test_on_the_clean_app_nothing_is_found(seed: int) -> None:
    outcome = searched(seed, CLEAN)
    assert trouble(outcome.results) == {}
    passed = {result.rule.code for result in outcome.results if result.name == "passed"}
    assert {
        "FUZ101",
        "FUZ102",
        "FUZ109",
        "FUZ201",
        "FUZ202",
        "FUZ203",
        "FUZ204",
        "FUZ301",
        "FUZ401",
    } <= passed
