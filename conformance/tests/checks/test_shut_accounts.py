"""LIF104 where a WebSocket is open while its account is shut: a minute is not waited for here."""

import asyncio

import pytest

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.probe import sockets
from auth_conformance.testing import FAST_HASHING, Edit, Flaw

SETTINGS = {**FAST_HASHING, "WEBSOCKET_CHECK_SECONDS": "0.2"}
# What is asked again is whether the login lives, which shutting an account does not end.
LASTING = Flaw(
    name="lasting_socket",
    chapter="lifecycle",
    title="An open WebSocket does not ask whether its account is active",
    caught_by=frozenset({"LIF104"}),
    edits=(
        Edit(
            "dependencies.py",
            "        if await tx.users.get_active(principal.user.id) is None:\n            return False\n        if",
            "        if",
        ),
    ),
    environment={},
    configuration={},
)


def test_an_open_socket_that_outlives_its_account_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PAUSES", (0.0, 0.5))
    monkeypatch.setattr(sockets, "LONGEST_AFTER_LOGOUT", 0.3)
    with bundled(flaw=LASTING, extra=SETTINGS) as (app, settings):
        run = asyncio.run(conduct(settings, [catalog.load()["LIF104"]], app=app))
    (result,) = run.results
    assert result.name == "failed", result.verdict.reason
    assert "still served an account" in result.verdict.reason
