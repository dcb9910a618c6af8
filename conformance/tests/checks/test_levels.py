"""Parts of a rule that belong to a higher level than its rest are not asked for at a lower one."""

import pytest
from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.testing import FAST_HASHING, find_flaw


@pytest.mark.parametrize(
    ("code", "flaw"), [("CRD106", "weak_password_taken.3"), ("CRD107", "composed_password_demanded.2")]
)
def test_a_matter_of_level_two_is_none_of_level_one(code: str, flaw: str) -> None:
    with bundled(flaw=find_flaw(flaw), extra=FAST_HASHING) as (app, settings):
        first = settings.model_copy(update={"level": 1})
        (result,) = run_to_end(conduct(first, [catalog.load()[code]], app=app)).results
    assert result.name == "passed", said(result)
