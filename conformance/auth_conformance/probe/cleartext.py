"""`must_insist_on_tls`: what is answered in clear, and what TLS agrees to."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.model import Failed, Inconclusive, Passed, Role, Severity, Verdict, Violation
from auth_conformance.probe.core import Answer, Missing
from auth_conformance.probe.refusal import Refusal
from auth_conformance.transports.loopback import is_loopback
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.tls import VERSIONS, handshake, listens, offering, offering_weak, trusting
from auth_conformance.transports.websocket import Talk, WireSockets
from auth_conformance.transports.wire import WireTransport

if TYPE_CHECKING:
    from auth_conformance.transports.websocket import Opener

_PLAIN = 80
# The handshake has succeeded (RFC 6455 §4.2.2); for so long it is listened, in seconds: what is said is not judged.
_SWITCHED = 101
_LISTEN = 0.2


class Cleartext(Refusal):
    """Sentences about the way to the service."""

    async def must_insist_on_tls(self) -> Verdict:
        """In clear nothing is answered but a refusal, and TLS is of today, with a valid certificate."""
        if self.target.in_process or is_loopback(self.target.address):
            return await self._application_alone()
        parts = urlsplit(self.target.address)
        host = parts.hostname or ""
        violations: list[Violation] = []
        unsure: list[str] = []
        if parts.scheme == "http":
            first, second = [await self._in_clear(None) for _ in range(2)]
            if first.reply.status is None:
                return Inconclusive(f"{host} did not answer ({first.why}).", "", tuple(self.evidence))
            message = (
                f"{self.target.address} serves the interface in clear ({first.status}, {second.status})."
            )
            violations.append(
                Violation(self.witness.operation.name, message, None, (first.exchange, second.exchange))
            )
        else:
            violations += await self._plain_port(host)
            found, unsure = await self._agreements(host, parts.port or 443)
            violations += found
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if unsure:
            return Inconclusive(unsure[0], "", evidence, (*notes, *unsure[1:]))
        return Passed(
            "Credentials travel over TLS 1.2 or newer only, under a valid certificate.", evidence, notes
        )

    async def _application_alone(self) -> Verdict:
        """Without an edge there is no TLS to judge, only whether the application turns http into https by itself."""
        answers = [await self._in_clear(None, wire=True) for _ in range(2)]
        redirect = all(_to_https(answer) for answer in answers)
        if redirect:
            message = (
                f"{self.witness.operation.name} redirects from http to https: clients that begin in clear "
                "go on doing so, with their credentials."
            )
            proof = tuple(answer.exchange for answer in answers)
            violation = Violation(self.witness.operation.name, message, Severity.LOW, proof)
            return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        raise Missing(
            "Not applicable: the target is on this machine, without the TLS that stands before it.",
            applicable=False,
        )

    async def _in_clear(self, transport: WireTransport | None, *, wire: bool = False) -> Answer:
        """Ask the witness with a junk credential: no real one ever goes out in clear."""
        live = await self.credential()
        junk = self.bland(live)
        if transport is None:
            return await self.call(
                self.witness.operation,
                junk,
                label="a junk credential in clear",
                role=Role.ATTACK,
                raw_wire=wire,
            )
        request: HttpRequest = self.witness.operation.request().with_headers(*junk.headers)
        sent = await self.scene.recorder.send(
            request, label="a junk credential to port 80", role=Role.ATTACK, transport=transport
        )
        self.evidence.append(sent.exchange)
        return Answer(request, sent.reply, sent.exchange)

    async def _plain_port(self, host: str) -> list[Violation]:
        if not await listens(host, _PLAIN):
            self.notes.append(f"nothing listens at {host}:{_PLAIN}")
            return []
        transport = WireTransport(f"http://{host}:{_PLAIN}", agent="auth-conformance")
        return [*await self._requests_in_clear(transport), *await self._sockets_in_clear(transport)]

    async def _sockets_in_clear(self, transport: WireTransport) -> list[Violation]:
        """`ws://` (RFC 6455 §3) goes to the same port, and may take a way through the proxy of its own.

        Nobody's credential is in the handshake.
        """
        route, openers = next(iter(self.target.websockets), None), self.scene.sockets
        if route is None or openers is None:
            return []
        place, plain = f"WebSocket {route.path}", WireSockets(transport)
        request = HttpRequest("GET", route.example)
        answers = [
            await self._shaken(request, place, "a WebSocket handshake in clear", plain) for _ in range(2)
        ]
        proof = tuple(answer.exchange for answer in answers)
        if all(answer.status == _SWITCHED for answer in answers):
            return [
                Violation(place, f"{route.path} is opened by ws:// at port 80, too.", Severity.HIGH, proof)
            ]
        if all(_to_https(answer) for answer in answers):
            return [Violation(place, f"{route.path} is redirected from ws to wss.", Severity.LOW, proof)]
        secure = await self._shaken(
            request, place, "control: the same over TLS", await openers(), role=Role.CONTROL
        )
        sent = await self.scene.recorder.send(
            request, label="control: no handshake, in clear", role=Role.CONTROL, transport=transport
        )
        edge = Answer(request, sent.reply, sent.exchange)
        first = answers[0]
        # A proxy refuses whatever comes to port 80; a service tells a handshake from a request.
        if _look(first) == _look(answers[1]) == _look(secure) != _look(edge) and first.status is not None:
            message = f"{route.path} answers ws:// at port 80 as it answers wss:// ({first.status})."
            return [Violation(place, message, Severity.HIGH, (*proof, secure.exchange))]
        self.notes.append(f"ws:// to {route.path} is answered {first.why or first.status}")
        return []

    async def _shaken(
        self, request: HttpRequest, place: str, label: str, opener: Opener, *, role: Role = Role.ATTACK
    ) -> Answer:
        sent = await self.scene.recorder.send(
            request, label=label, role=role, operation=place, transport=Talk(opener, listen=_LISTEN)
        )
        self.evidence.append(sent.exchange)
        return Answer(request, sent.reply, sent.exchange)

    async def _requests_in_clear(self, transport: WireTransport) -> list[Violation]:
        answers = [await self._in_clear(transport) for _ in range(2)]
        name = self.witness.operation.name
        proof = tuple(answer.exchange for answer in answers)
        first = answers[0]
        junk = self.bland(await self.credential())
        operation = self.witness.operation
        secure = await self.call(operation, junk, label="control: the same over TLS", role=Role.CONTROL)
        same = (first.status, first.exchange.reply.shape) == (secure.status, secure.exchange.reply.shape)
        alike = len({answer.status for answer in answers}) == 1 and not 300 <= (first.status or 300) < 400
        # 426 asks for TLS (RFC 9110 §15.5.22).
        if alike and same and first.status != 426:
            return [Violation(name, f"{name} is served in clear at port 80, too.", Severity.HIGH, proof)]
        if all(_to_https(answer) for answer in answers):
            return [Violation(name, f"{name} is redirected from http to https.", Severity.LOW, proof)]
        self.notes.append(f"port 80 answers {first.status}")
        return []

    async def _agreements(self, host: str, port: int) -> tuple[list[Violation], list[str]]:
        violations: list[Violation] = []
        unsure: list[str] = []
        modern = False
        for name, version in VERSIONS:
            context = offering(version)
            result = await handshake(host, port, context) if context is not None else None
            if result is None or not result.offered:
                if version < ssl.TLSVersion.TLSv1_2:
                    unsure.append(f"{name} could not be offered by this machine's library.")
                continue
            old = version < ssl.TLSVersion.TLSv1_2
            modern = modern or (result.agreed and not old)
            if (
                old
                and result.agreed
                and context is not None
                and (await handshake(host, port, context)).agreed
            ):
                violations.append(Violation(None, f"{host} agrees to {name}.", Severity.MEDIUM))
        valid = await handshake(host, port, trusting(self.scene.ca_file))
        if not valid.agreed:
            again = await handshake(host, port, trusting(self.scene.ca_file))
            if not again.agreed and modern:
                violations.append(
                    Violation(None, f"Its certificate is not valid: {again.why}.", Severity.MEDIUM)
                )
        weak = offering_weak()
        if weak is None:
            self.notes.append("weak suites could not be offered by this machine's library")
        elif (await handshake(host, port, weak)).agreed and (await handshake(host, port, weak)).agreed:
            violations.append(Violation(None, f"{host} agrees to a broken suite.", Severity.MEDIUM))
        if not modern and not violations:
            unsure.insert(0, f"{host} agreed to no version of TLS.")
        return _joined(violations), unsure


def _to_https(answer: Answer) -> bool:
    location = answer.reply.header("location") or ""
    return 300 <= (answer.status or 0) < 400 and location.lower().startswith(("https://", "wss://"))


def _look(answer: Answer) -> tuple[int | None, str, str]:
    reply = answer.exchange.reply
    return answer.status, reply.media_type, reply.shape


def _joined(violations: list[Violation]) -> list[Violation]:
    """One violation for the host: all of them are about its TLS."""
    if len(violations) < 2:
        return violations
    told = " ".join(item.message for item in violations)
    return [Violation(None, told, max(item.severity or Severity.MEDIUM for item in violations))]
