"""Two services in other hands: nothing graver than what plain Starlette and PyJWT do by default is found."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from quality import SECONDS

from auth_conformance.engine import opened
from auth_conformance.model import Result, Severity
from auth_conformance.settings import load
from auth_fuzz import Budget, fuzz

_TESTS = str(Path(__file__).parents[2] / "conformance" / "tests")
if _TESTS not in sys.path:
    sys.path.append(_TESTS)

from services import apikey_app, starlette_app  # noqa: E402 - found where the line above says
from services.people import PEOPLE  # noqa: E402 - as above


def searched(app: Any, accounts: dict[str, Any]) -> list[Result]:
    async def go() -> list[Result]:
        async with opened(load({"accounts": accounts}, start=Path(__file__).parent), app=app) as door:
            return await fuzz(door.scene, Budget(SECONDS, 500), 1)

    return asyncio.run(go())


def told(results: list[Result]) -> dict[str, str]:
    """What is graver than low, or went wrong."""
    grave = {
        result.rule.code: result.verdict.reason
        for result in results
        if result.name in {"errored", "inconclusive"}
        or any(finding.severity > Severity.LOW for finding in result.findings)
    }
    assert any(result.name == "passed" for result in results)
    return grave


def test_a_service_with_api_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = {}
    for label, name in zip("ab", ("alice", "bob"), strict=True):
        monkeypatch.setenv(f"KEY_{label}", apikey_app.KEYS[name])
        accounts[label] = {"username": name, "key": {"env": f"KEY_{label}"}}
    assert told(searched(apikey_app.create_app(), accounts)) == {}


def test_a_service_with_bearer_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = {}
    for label, name in zip("ab", ("alice", "bob"), strict=True):
        monkeypatch.setenv(f"PASSWORD_{label}", PEOPLE[name])
        accounts[label] = {"username": name, "password": {"env": f"PASSWORD_{label}"}}
    assert told(searched(starlette_app.create_app(), accounts)) == {}
