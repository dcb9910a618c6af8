"""KEY106 where a key is compared in part: other letters get in as well as a wildcard, and no query is to blame."""

import asyncio

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Masked
from auth_conformance.testing import FAST_HASHING, find_flaw


def test_a_key_that_is_half_checked_is_no_part_of_a_query() -> None:
    with bundled(flaw=find_flaw("half_checked_key"), extra=FAST_HASHING) as (app, settings):
        verdict = asyncio.run(conduct(settings, [catalog.load()["KEY106"]], app=app)).results[0].verdict
    assert isinstance(verdict, Masked), verdict
    assert verdict.by == "KEY101"
