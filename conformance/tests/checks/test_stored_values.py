"""KEY109 where nobody gave the database: digests that most services would store are tried all the same."""

import pytest
from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.testing import FAST_HASHING, find_flaw


@pytest.mark.parametrize(
    ("flaw", "name", "word"),
    [
        ("", "skipped", "the database of the service is not known. Digests that most services would store"),
        ("usable_stored_value", "failed", "the SHA256 of the live cookie credential"),
        ("usable_stored_value.2", "failed", "the SHA256 of the live key credential, behind its public part"),
    ],
)
def test_a_digest_that_gets_in_is_found_without_the_database(flaw: str, name: str, word: str) -> None:
    with bundled(flaw=find_flaw(flaw) if flaw else None, extra=FAST_HASHING) as (app, settings):
        blind = settings.model_copy(update={"database": None})
        (result,) = run_to_end(conduct(blind, [catalog.load()["KEY109"]], app=app)).results
    assert result.name == name, said(result)
    assert word in result.verdict.reason, said(result)
