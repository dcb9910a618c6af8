"""Whether something in front of the service answered: the same bytes get the same answer where nothing is.

A filter reads a request before it knows where it goes, and a handler only what is sent to it. So what a path without
a handler refuses in the same words, while it says something else to ordinary bytes, was never seen by the handler.
"""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Outcome, Role
from auth_conformance.oracles.entry import Baseline, Fingerprint, Judgement
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Container

    from auth_conformance.model import Reply
    from auth_conformance.probe.sending import Sending
    from auth_conformance.transports.message import HttpRequest

# What filters say when they block (403 nearly all, 406 some): services have other words for most of what is odd.
BLOCKS = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE})
WHY = "something in front of the service answers these bytes, wherever they are sent"
_JUDGEMENT = Judgement(Outcome.INTERCEPTED, WHY)
REMOVED = "answered as if no credential had been sent: something in front may have taken this one out"
_STRIPPED = Judgement(Outcome.INTERCEPTED, REMOVED)
# A JWT in its compact form (RFC 7515 §7.1), as its header has it: nothing in it is odd to whoever reads headers.
_TOKEN = re.compile(r"^Bearer [\w-]+\.[\w-]+\.[\w-]*$")
# The checks that alter tokens or sign them with other keys. What is signed well may be refused like nobody, where
# nobody is found whom it names; so may a login that has ended.
_FORGING = re.compile(r"^TOK1(02|[12]\d)$")
_SCHEME = re.compile(r"^\s*([A-Za-z]+)\s+\S")


async def intercepted(probe: Sending, request: HttpRequest, exchange: Exchange) -> Judgement | None:
    """INTERCEPTED where a filter in front gave this answer; None where none did, or it is trusted.

    Asked once for each wording of a refusal: two requests, that take no request of the check.
    """
    plain = _harmless(request, probe.scene.live)
    if exchange.reply.status not in BLOCKS or plain == request or probe.target.policy.trust_waf:
        return None
    wording = (Fingerprint.of(exchange.reply), exchange.reply.digest)

    async def ask() -> bool:
        nowhere = _nowhere(probe, request.path.split("?")[0])
        said = []
        for label, item in (("these bytes", request), ("ordinary bytes", plain)):
            twin = replace(item, path=nowhere, target=None, before=(), then=())
            said.append(await probe.send(twin, label=f"learn: {label} where nothing is", role=Role.CONTROL))
        hostile, ordinary = (Fingerprint.of(answer.exchange.reply) for answer in said)
        return hostile == wording[0] and ordinary != hostile

    return _JUDGEMENT if await probe.scene.once(("in front", wording), ask) else None


def _nowhere(probe: Sending, path: str) -> str:
    """A path beside this one that no operation takes: `/notes/nothing` is an id to whoever takes `/notes/{id}`."""
    word = f"nothing-{probe.scene.run_id}"
    beside = path.rsplit("/", 1)[0]
    paths = (f"{beside}/{word}", f"{path}/{word}", f"{beside}/{word}/{word}", f"{path}/{word}/{word}")
    operations = probe.target.operations
    free = (item for item in paths if all(other.values_in(item) is None for other in operations))
    return next(free, f"/{word}/{word}")


def stripped(probe: Sending, request: HttpRequest, reply: Reply, baseline: Baseline) -> Judgement | None:
    """INTERCEPTED where a forged token is refused as if there were none, and a wrong one of the same form otherwise.

    Gateways that take out what they do not like, and let the rest through, leave the service nothing to refuse. A
    service that reads a token and finds it wrong has no reason to say that there was none.
    """
    wrong = baseline.canonical
    if not _FORGING.match(probe.rule.code) or probe.target.policy.trust_waf or wrong is None:
        return None
    values = [str(value) for name, value in request.headers if name.lower() == "authorization"]
    if len(values) != 1 or not _TOKEN.match(values[0]):
        return None
    said, usual, nobody = (_words(item) for item in (reply, wrong, baseline.anonymous))
    return _STRIPPED if said == nobody != usual else None


def _words(reply: Reply) -> tuple[object, ...]:
    return reply.status, reply.media_type, reply.digest, reply.header("www-authenticate")


def _harmless(request: HttpRequest, live: Container[Secret]) -> HttpRequest:
    """The same request with nothing in it that could be an attack: body, query, credential and Host are ordinary.

    A credential that the service issued is ordinary: who is let in may well be told 403 wherever nothing is theirs.
    """
    kind = str(request.header("content-type") or "")
    body = None if request.body is None else b"{}" if "json" in kind else b"a=b"
    headers = tuple(_ordinary(pair, live) for pair in request.headers if pair[0].lower() != "host")
    return replace(request, query=(), body=body, headers=headers)


def _ordinary(pair: tuple[str, str | bytes], live: Container[Secret]) -> tuple[str, str | bytes]:
    name, value = pair
    text = value if isinstance(value, str) else value.decode("latin-1")
    if name.lower() != "authorization" or Secret(text.rpartition(" ")[2]) in live:
        return pair
    scheme = _SCHEME.match(text)
    return name, f"{scheme[1]} ordinary" if scheme else "ordinary"
