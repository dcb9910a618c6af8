"""CRD119: the account in the example of the source is one that a service comes with."""

from pathlib import Path

import pytest
from checks.judging import said
from checks.test_spares import PINS, keeping_app

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.settings import load


@pytest.mark.parametrize(("password", "name"), [("Orchard-first-77", "failed"), ("another-one-9", "passed")])
def test_an_account_of_the_example(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, password: str, name: str
) -> None:
    (tmp_path / ".env.example").write_text("FIRST_OWNER=owner\nFIRST_OWNER_PASSWORD=Orchard-first-77\n")
    (tmp_path / ".env").write_text(f"SECOND_OWNER=second\nSECOND_OWNER_PASSWORD={PINS['dave']}\n")
    pins = {"alice": PINS["alice"], "bob": PINS["bob"], "owner": password, "second": PINS["dave"]}
    accounts = {}
    for who in ("alice", "bob"):
        monkeypatch.setenv(f"PIN_OF_{who.upper()}", PINS[who])
        accounts[who] = {"username": who, "password": {"env": f"PIN_OF_{who.upper()}"}}
    given = {"accounts": accounts, "allow_disruptive": True, "source": str(tmp_path)}
    run = conduct(load(given, start=Path("/")), [catalog.load()["CRD119"]], app=keeping_app(pins))
    (result,) = run_to_end(run).results
    assert result.name == name, said(result)
    if name == "failed":
        assert "let the account owner with the password" in result.verdict.reason, said(result)
