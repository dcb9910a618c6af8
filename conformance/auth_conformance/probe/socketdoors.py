"""The ways in which services take a credential at a WebSocket, for browsers cannot set a header there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.oracles.pointer import strings
from auth_conformance.probe.core import Core
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Carrier, Credential
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest

QUERIES = ("token", "access_token", "ticket")
# What stands before the token in Sec-WebSocket-Protocol: browsers can set nothing else (RFC 6455 §4.1).
PROTOCOLS = ("bearer,", "access_token,", "")
# First messages with the token, likeliest first; the third is that of GraphQL over WebSocket.
OPENINGS = (
    '{"type": "auth", "token": "{token}"}',
    '{"token": "{token}"}',
    '{"type": "connection_init", "payload": {"Authorization": "Bearer {token}"}}',
    "{token}",
)
_SOCKETS = ("ws", "websocket", "websockets", "socket", "stream", "realtime", "live")


@dataclass(frozen=True, slots=True)
class Door:
    """How a credential comes to a socket: in a place of the handshake, in a first message, or for a ticket.

    Without `carrier` it travels as in any other request. `ticket` hands out what is presented in its stead.
    """

    how: str
    carrier: Carrier | None = None
    opening: str = ""
    ticket: Operation | None = None

    def handshake(self, bare: HttpRequest, credential: Credential) -> HttpRequest:
        """The handshake as it carries the credential."""
        if self.opening:
            return bare
        moved = credential if self.carrier is None else credential.moved_to(self.carrier)
        return bare.with_headers(*moved.headers).with_query(*moved.query)

    def first(self, credential: Credential) -> tuple[str, ...]:
        """What is said before anything else."""
        if not self.opening:
            return ()
        text = credential.value.reveal()
        quoted = json.dumps(text)[1:-1] if self.opening.startswith('{"') else text
        return (self.opening.replace("{token}", quoted),)


class SocketDoors(Core):
    """Knows which doors there may be, and fetches tickets."""

    def doors(self, live: Credential) -> Iterator[Door]:
        """Every door beside the one of requests, likeliest first."""
        for name in QUERIES:
            yield Door(f"query {name}", replace(live.carrier, place="query", name=name, prefix=""))
        for operation in self._ticket_operations():
            for name in dict.fromkeys(("ticket", "token")):
                carrier = replace(live.carrier, place="query", name=name, prefix="")
                yield Door(f"a ticket of {operation.name} as {name}", carrier, ticket=operation)
        for word in PROTOCOLS:
            carrier = replace(live.carrier, place="header", name="Sec-WebSocket-Protocol", prefix=word)
            yield Door(f"Sec-WebSocket-Protocol {word}".strip(" ,"), carrier)
        for text in OPENINGS:
            yield Door(f"the first message {text}", opening=text)

    def _ticket_operations(self) -> list[Operation]:
        """The operations that may hand out tickets, by their path."""
        found = []
        for operation in self.target.operations:
            words = operation.path.lower().replace("-", "/").replace("_", "/").strip("/").split("/")
            for_sockets = any(word in words for word in _SOCKETS) and "token" in words
            called = "ticket" in words or for_sockets
            if called and "{" not in operation.path and operation.method in ("GET", "POST"):
                found.append(operation)
        return found[:2]

    async def with_ticket(self, door: Door, credential: Credential) -> Credential:
        """The ticket that this credential gets; the credential itself where it gets none."""
        if door.ticket is None:
            return credential
        answer = await self.call(door.ticket, credential, label="ask for a ticket")
        told = strings(answer.reply.json) if answer.reply.ok else {}
        named = sorted(
            told, key=lambda pointer: not pointer.rsplit("/", 1)[-1].lower().endswith(("ticket", "token"))
        )
        if not named:
            return credential
        ticket = Secret(str(told[named[0]]))
        self.scene.recorder.redactor.learn(ticket)
        return replace(credential, value=ticket)
