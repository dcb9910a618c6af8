"""What masks a check is seen twice: one answer may be somebody else's."""

from __future__ import annotations

import asyncio

import pytest

from auth_conformance import catalog
from auth_conformance.credentials import Carrier, Kind
from auth_conformance.model import Masked
from auth_conformance.probe import Probe, Scene, Unclear
from auth_conformance.probe.refusal import Attempt
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Login, Operation, Target, Witness
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

BEARER = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
JSON = (("Content-Type", "application/json"),)
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
    login = Login(Operation("POST", "/login"), "json", "user", "password", BEARER, token="/token")
    target = Target(
        "url",
        "http://x",
        carriers=(BEARER,),
        accounts={"a": Account("a", "alice", Secret("right"))},
        logins=(login,),
        witness=Witness(Operation("GET", "/me"), "/name"),
    )
    probe = Probe(
        Scene(target, Recorder(Service(mistaken), Redactor()), "run"), catalog.load()["TOK102"].rule
    )
    asked = probe.must_refuse([Attempt("nothing")])
    if masked:
        assert isinstance(asyncio.run(asked), Masked)
    else:
        with pytest.raises(Unclear, match="accepted once, then not"):
            asyncio.run(asked)
