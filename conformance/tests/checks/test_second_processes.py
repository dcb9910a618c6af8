"""LIF116 where the second process turns bad on the way: what it refuses then says nothing of what is kept where."""

import asyncio

import pytest
from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.probe.restart import Elsewhere, Restart
from auth_conformance.testing import FAST_HASHING
from auth_conformance.transports.message import HttpRequest, RawReply, Transport


class Turning:
    """The service itself until the first key arrives; from then on it refuses everybody."""

    def __init__(self, inner: Transport) -> None:
        self.inner, self.bad = inner, False

    async def send(self, request: HttpRequest) -> RawReply:
        self.bad = self.bad or request.header("x-api-key") is not None
        if self.bad:
            return RawReply(
                401, (("content-type", "application/json"),), b'{"error": "gone", "message": "Gone."}'
            )
        return await self.inner.send(request)

    async def close(self) -> None:
        """Nothing of its own."""


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch) -> Result:
    async def opened(self: Restart, _: object = None) -> Elsewhere:
        return Elsewhere(Turning(self.scene.recorder.transport), "a new process")

    monkeypatch.setattr(Restart, "_in_another_process", opened)
    with bundled(extra=FAST_HASHING) as (app, settings):
        return asyncio.run(conduct(settings, [catalog.load()["LIF116"]], app=app)).results[0]


def test_keys_are_not_said_to_be_kept_in_memory_by_who_knows_nobody_any_more(result: Result) -> None:
    assert result.name == "inconclusive", said(result)
    assert "knows neither the credential nor the account" in result.verdict.reason
