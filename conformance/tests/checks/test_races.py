"""LIF108 where the service limits how often a reset token may be presented."""

import asyncio
import re

from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.testing import FAST_HASHING, Flaw, find_flaw

LIMITED = {**FAST_HASHING, "RATE_LIMIT_RECOVERY": "8/minute"}


def raced(flaw: Flaw | None = None) -> Result:
    with bundled(flaw=flaw, extra=LIMITED) as (app, settings):
        return asyncio.run(conduct(settings, [catalog.load()["LIF108"]], app=app)).results[0]


def test_what_a_limit_let_through_is_a_race_and_the_rest_is_told() -> None:
    result = raced()
    assert result.name == "passed", said(result)
    assert "round 1: one reset token: a limit of the service refused 12 of 20" in result.verdict.notes
    assert "in 5 of 5 rounds up to 8 requests" in result.verdict.reason, said(result)


def test_what_a_limit_let_through_is_judged() -> None:
    result = raced(find_flaw("double_spent_token.2"))
    assert result.name == "failed", said(result)
    # How many of the eight that the limit let through read before the first had written is for the scheduler to say;
    # that it was more than one is the flaw, and that it was no more than the limit is the point here.
    told = re.search(r"said (\d+) times that a password is set", result.verdict.reason)
    assert told is not None, said(result)
    assert 2 <= int(told[1]) <= 8, said(result)
