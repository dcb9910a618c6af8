"""What a gateway says while a worker starts or requests are too many is asked once more, and is no verdict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from one_login import ALICE, JSON, scene_of

from auth_conformance import catalog
from auth_conformance.discovery.asking import Scout
from auth_conformance.model import Outcome, Role
from auth_conformance.probe import Probe
from auth_conformance.settings import load
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor


class Gateway:
    """Says these statuses first, then lets everything through."""

    def __init__(self, *statuses: int) -> None:
        self.says, self.asked = list(statuses), 0

    async def send(self, request: HttpRequest) -> RawReply:
        self.asked += 1
        status = self.says.pop(0) if self.says else 200
        return RawReply(status, JSON, b'{"token": "t0ken-of-alice"}' if status == 200 else b"{}")

    async def close(self) -> None:
        pass


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited: nobody waits here."""
    naps: list[float] = []
    honest = asyncio.sleep

    async def nap(seconds: float, *_: Any) -> None:
        naps.append(seconds)
        await honest(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return naps


def probe(gateway: Gateway, patience: float = 5.0) -> Probe:
    scene = scene_of(gateway, patience=patience)
    return Probe(scene, catalog.load()["TOK102"].rule)


@pytest.mark.parametrize(("status", "pause"), [(502, 0.1), (504, 0.1), (503, 1.0)])
def test_a_login_that_a_gateway_refused_is_tried_once_more(
    slept: list[float], status: int, pause: float
) -> None:
    gateway = Gateway(status)
    session = asyncio.run(probe(gateway).log_in(ALICE))
    assert session.credential.value.reveal() == "t0ken-of-alice"
    assert (slept, gateway.asked) == ([pause], 2)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_login_behind_a_gateway_that_stays_away_is_asked_twice_and_no_more(
    slept: list[float], status: int
) -> None:
    gateway = Gateway(*[status] * 9)
    answer, _ = asyncio.run(probe(gateway).try_login(ALICE, ALICE.password))
    assert answer.outcome is Outcome.CRASHED
    assert gateway.asked == 2
    assert len(slept) == 1


def test_an_attack_is_tried_again_only_where_an_honest_request_got_through_then(slept: list[float]) -> None:
    """A 502 may be what the attack has broken."""
    gateway = Gateway(502, 502, 200, 502)
    attacker = probe(gateway)

    async def asked(role: Role) -> int | None:
        return (await attacker.send(HttpRequest("GET", "/me"), label="ask", role=role)).status

    async def story() -> list[int | None]:
        return [await asked(role) for role in (Role.ATTACK, Role.CONTROL, Role.ATTACK)]

    assert asyncio.run(story()) == [502, 200, 200]
    assert gateway.asked == 5
    assert attacker.scene.crashes[0].exchange.reply.status == 502
    assert len(attacker.scene.crashes) == 1


@pytest.mark.parametrize(
    ("statuses", "pauses"),
    [
        ((502,), [0.1]),
        ((504,), [0.1]),
        ((503,), [1.0]),
        ((503, 503), [1.0, 4.0]),
        ((503, 503, 503), [1.0, 4.0]),
        ((500,), []),
    ],
)
def test_discovery_asks_a_login_again_that_a_gateway_refused(
    slept: list[float], statuses: tuple[int, ...], pauses: list[float]
) -> None:
    """A bare 503 is how nginx limits requests by the second: it is waited for as long as such limits last."""
    gateway = Gateway(*statuses)
    scout = Scout(Recorder(gateway, Redactor()), load({}), "run")
    sent = asyncio.run(scout.insist(HttpRequest("POST", "/login"), "log in"))
    assert slept == pauses
    assert gateway.asked == 1 + len(pauses)
    assert sent.reply.ok is (len(statuses) == len(pauses))
