"""A seed decides what is sent, and in which order."""

import asyncio
import re

import pytest
from quality import SECONDS

from auth_conformance.demo import bundled
from auth_conformance.engine import opened
from auth_conformance.model import Result
from auth_conformance.testing import FAST_HASHING
from auth_conformance.transports.recorder import Recorder, Sent
from auth_fuzz import Budget, fuzz


def sent_by(seed: int, search: str, requests: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a search sends, without what is new in every run: the numbers of accounts and requests."""
    told: list[str] = []
    original = Recorder.send

    async def send(self: Recorder, *given: object, **how: object) -> Sent:
        sent = await original(self, *given, **how)  # type: ignore[arg-type] # passed on
        told.append(f"{sent.exchange.operation} {re.sub(r'[0-9]+', '#', sent.exchange.label)}")
        return sent

    async def search_it(app: object, settings: object) -> list[Result]:
        async with opened(settings, app=app) as door:  # type: ignore[arg-type] # as `bundled` gives it
            told.clear()
            return await fuzz(door.scene, Budget(SECONDS, requests), seed, only=[search])

    with monkeypatch.context() as patch, bundled(extra=FAST_HASHING) as (app, settings):
        patch.setattr(Recorder, "send", send)
        asyncio.run(search_it(app, settings))
    return told


def test_one_seed_sends_the_same_requests_in_the_same_order_and_another_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, again, other = (sent_by(seed, "lifecycle", 150, monkeypatch) for seed in (3, 3, 4))
    assert len(first) > 150
    assert first == again
    assert first != other
