"""What masks a check is seen twice: one answer may be somebody else's."""

from __future__ import annotations

import asyncio

import pytest
from one_login import JSON, scene_of

from auth_conformance import catalog
from auth_conformance.model import Masked
from auth_conformance.probe import Probe, Unclear
from auth_conformance.probe.refusal import Attempt
from auth_conformance.transports.message import HttpRequest, RawReply

LIVE = "t0ken-of-alice-9c41"


class Service:
    """Lets in the live token, and after the first wrong one so many others."""

    def __init__(self, mistaken: int) -> None:
        self.mistaken, self.wrong = mistaken, 0

    async def send(self, request: HttpRequest) -> RawReply:
        if request.path == "/login":
            return RawReply(200, JSON, b'{"token": "%s"}' % LIVE.encode())
        token = str(request.header("Authorization") or "").removeprefix("Bearer ")
        if token not in ("", LIVE):
            self.wrong += 1
        # The first wrong one is for learning what a refusal looks like.
        if token == LIVE or (token and 1 < self.wrong <= 1 + self.mistaken):
            return RawReply(200, JSON, b'{"name": "alice"}')
        return RawReply(401, JSON, b'{"detail": "no"}')

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("mistaken", "masked"), [(1, False), (2, True)])
def test_a_meaningless_credential_that_got_in_once_masks_nothing(mistaken: int, *, masked: bool) -> None:
    probe = Probe(scene_of(Service(mistaken)), catalog.load()["TOK102"].rule)
    asked = probe.must_refuse([Attempt("nothing")])
    if masked:
        assert isinstance(asyncio.run(asked), Masked)
    else:
        with pytest.raises(Unclear, match="accepted once, then not"):
            asyncio.run(asked)
