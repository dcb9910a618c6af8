"""What checks cite exists, and what they may send is bounded: by data, not by trust."""

import asyncio
from dataclasses import replace
from importlib import resources

import pytest

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import opened
from auth_conformance.model import Result
from auth_conformance.references import API, ASVS, CWE, WSTG
from auth_conformance.runner import run_check
from auth_conformance.sdk import Check
from auth_conformance.testing import FAST_HASHING

CATALOGUE = catalog.load()


def listed(name: str) -> set[str]:
    text = resources.files("auth_conformance").joinpath("data", f"{name}.txt").read_text("utf-8")
    return {line.split("#")[0].strip() for line in text.splitlines()} - {""}


@pytest.mark.parametrize("check", CATALOGUE.values(), ids=CATALOGUE)
def test_every_reference_is_in_its_list(check: Check) -> None:
    for reference in check.rule.references:
        if reference.kind == "ASVS":
            assert reference.label.removeprefix("ASVS 5.0 V") in listed("asvs5")
        if reference.kind == "CWE":
            assert reference.label.removeprefix("CWE-") in listed("cwe")
        assert reference.url.startswith("https://")
    labels = [reference.label for reference in check.rule.references]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("make", "wrong"),
    [(ASVS, "9.9.9"), (ASVS, "1"), (CWE, 200), (CWE, 693), (CWE, 999_999), (API, 11), (WSTG, "SESSION-1")],
)
def test_a_reference_that_does_not_exist_is_an_error_at_import(make: object, wrong: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=str(wrong).split(".", maxsplit=1)[0]):
        make(wrong)


def test_no_list_holds_what_mitre_does_not_allow_for_mapping() -> None:
    # Categories, views and pillars, and classes that MITRE discourages.
    assert not listed("cwe") & {"16", "200", "254", "255", "264", "284", "287", "310", "399", "693", "1000"}


def test_a_check_that_would_send_more_than_its_budget_is_stopped() -> None:
    greedy = CATALOGUE["ERR108"]
    small = replace(greedy, rule=replace(greedy.rule, budget=5))

    async def judged() -> Result:
        with bundled(extra=FAST_HASHING) as (app, settings):
            async with opened(settings, app=app) as door:
                return await run_check(small, door.scene)

    result = asyncio.run(judged())
    assert result.requests == 5
    assert result.name == "inconclusive"
    assert "budget of 5" in result.verdict.reason
