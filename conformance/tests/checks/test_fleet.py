"""Keys that make keys: what is known and decided where nobody has a name, a password or a login."""

import asyncio

import pytest
from checks.fleet_app import FIRST, create_app

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result, Run
from auth_conformance.settings import Settings


@pytest.fixture(autouse=True)
def keys_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in FIRST.items():
        monkeypatch.setenv(f"FLEET_KEY_OF_{name}".upper(), key)


def run(code: str, *, anybody_revokes: bool = False) -> Run:
    settings = Settings.model_validate(
        {"accounts": {name: {"key": {"env": f"FLEET_KEY_OF_{name}".upper()}} for name in FIRST}}
    )
    return asyncio.run(
        conduct(settings, [catalog.load()[code]], app=create_app(anybody_revokes=anybody_revokes))
    )


def judged(code: str, *, anybody_revokes: bool = False) -> Result:
    return run(code, anybody_revokes=anybody_revokes).results[0]


def test_the_witness_names_the_organisation_and_is_no_list_that_new_keys_may_not_read() -> None:
    done = run("KEY107")
    assert done.results[0].name == "passed", done.results[0].verdict.reason
    (witness,) = [fact.value for fact in done.target.facts if fact.name == "witness"]
    assert witness == "GET /identity, names the caller at /organisation"


@pytest.mark.parametrize(
    ("anybody_revokes", "verdict", "said"),
    [(False, "passed", "refused at once"), (True, "failed", "revoked the API key of another user")],
)
def test_revocation_is_judged_without_a_login(anybody_revokes: bool, verdict: str, said: str) -> None:
    result = judged("LIF103", anybody_revokes=anybody_revokes)
    assert result.name == verdict, result.verdict.reason
    assert said in result.verdict.reason
