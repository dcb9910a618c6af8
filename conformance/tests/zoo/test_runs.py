"""The catalogue, run on services of the zoo as a person would run it: an address and two accounts.

A service fails what stands in its table `[confirmed]`, and nothing else. A plain run asks cheap checks of five
services that are unlike each other; ZOO_RUNS=whole asks every check of every service that has the table.
The findings that one request shows are shown again here, without the suite.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from zoo.facts import Animal, animals, settings_for
from zoo.serving import running

from auth_conformance.catalog import load, select
from auth_conformance.engine import conduct
from auth_conformance.model import Errored, Failed, Inconclusive, Passed

if TYPE_CHECKING:
    from auth_conformance.model import Run

WHOLE = os.environ.get("ZOO_RUNS") == "whole"
BY_NAME = {animal.name: animal for animal in animals()}
LISTED = [animal for animal in BY_NAME.values() if animal.confirmed]
# Nothing may become unclear here either: each of these could be decided.
CHEAP = {
    "conduit": ["TOK101", "TOK102", "TOK301", "ERR101", "WEB101"],
    "cookie": ["SES101", "SES102", "AUZ108", "AUZ109", "SES113"],
    # A telephone number that is taken may be told: whether the address has an account is not.
    "joiners": ["TOK101", "CRD111", "CRD106", "ERR104"],
    "jwtcookie": ["DOC102", "SES106", "MIX101", "SES105", "TOK110"],
    "partner": ["KEY101", "MIX101", "AUZ108", "DOC101", "ERR101", "ERR104"],
    "prefixed": ["MIX101", "SES105", "ERR101"],
}


def run_on(animal: Animal, url: str, start: Path, codes: list[str] | None) -> Run:
    settings = settings_for(animal, start, url=url, allow_disruptive=True)
    return asyncio.run(conduct(settings, select(load(), only=codes or ())))


@pytest.mark.parametrize("name", sorted(CHEAP))
def test_what_fails_is_what_was_confirmed(name: str, tmp_path: Path) -> None:
    animal = BY_NAME[name]
    with running(animal.service) as url:
        run = run_on(animal, url, tmp_path, CHEAP[name])
        shown_by_hand(animal, url)
    verdicts = {result.rule.code: result.verdict for result in run.results}
    failed = {code for code, verdict in verdicts.items() if isinstance(verdict, Failed)}
    assert failed == set(CHEAP[name]) & set(animal.confirmed)
    unclear = {
        code: verdict.reason
        for code, verdict in verdicts.items()
        if isinstance(verdict, Inconclusive | Errored)
    }
    assert not unclear
    assert sum(isinstance(verdict, Passed) for verdict in verdicts.values()) >= 2


def shown_by_hand(animal: Animal, url: str) -> None:
    """See by one request what is said of headers."""
    with httpx.Client(base_url=url) as client:
        lost = client.get("/nobody/knows/this")
    confirmed = set(animal.confirmed)
    inert = {"x-content-type-options", "content-security-policy", "referrer-policy"}
    assert (inert <= set(lost.headers)) == ("WEB110" not in confirmed)


def test_each_confirmed_failure_says_how() -> None:
    assert len(LISTED) >= 20
    known = set(load())
    for animal in LISTED:
        assert set(animal.confirmed) <= known
        assert all(len(sentence) > 20 for sentence in animal.confirmed.values())


if WHOLE:

    @pytest.mark.parametrize("animal", LISTED, ids=lambda animal: animal.name)
    def test_the_whole_catalogue_fails_only_what_was_confirmed(animal: Animal, tmp_path: Path) -> None:
        with running(animal.service) as url:
            run = run_on(animal, url, tmp_path, None)
        failed = {result.rule.code for result in run.results if isinstance(result.verdict, Failed)}
        assert not [result for result in run.results if isinstance(result.verdict, Errored)]
        assert failed == set(animal.confirmed)
