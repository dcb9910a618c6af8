"""`must_guard_sockets`: WebSockets opened without a credential, from foreign pages, and kept after the end."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.entry import failure
from auth_conformance.oracles.normalise import masked, shape
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.revocation import Revocation
from auth_conformance.probe.socketdoors import Door, SocketDoors
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.websocket import LISTEN, Talk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from auth_conformance.target import WebSocketRoute

FOREIGN = "https://evil.example"
# A message that no protocol means, for services whose own is not known.
ODD = "{}"
# How long an expired token has been so, in seconds: beyond any leeway.
_LATE = 3600.0
# When a socket whose login has ended is asked again, in seconds.
PAUSES = (0.0, 5.0, 20.0, 61.0)
LONGEST_AFTER_LOGOUT = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one handshake and one conversation."""

    answer: Answer
    heard: tuple[str, ...]
    later: tuple[str, ...]
    last: float
    closed: bool

    @property
    def opened(self) -> bool:
        """Whether the handshake was accepted."""
        return self.answer.status == 101

    @property
    def kinds(self) -> frozenset[str]:
        """The structures of the messages that came."""
        return frozenset(_kind(text) for text in self.heard)


@dataclass(frozen=True, slots=True)
class Entrance:
    """How this service takes a credential at a handshake, and what it then says."""

    route: WebSocketRoute
    how: str
    credential: Credential
    good: Said


@dataclass(frozen=True, slots=True)
class Intruder:
    """Somebody for whom a socket must not open: with which credential, from which page."""

    who: str
    credential: Credential | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A socket that served its caller so many seconds after it should have ended."""

    operation: str
    last: float
    exchange: Exchange


class Sockets(SocketDoors, Revocation, Minting):
    """Speaks WebSocket. `_doors` are the ways in beside that of requests, by path, as they were found."""

    _doors: Mapping[str, Door] = MappingProxyType({})

    async def must_guard_sockets(self) -> Verdict:
        """A WebSocket must be for its caller only, from our own pages, and as long as the login lives."""
        if not self.target.websockets:
            raise Missing("No WebSocket route is known.", self.target.remedies.get(Need.WEBSOCKET, ""))
        self._closed_with_login = set[str]()
        violations: list[Violation] = []
        doubts: list[str] = []
        guarded: list[str] = []
        for route in self.target.websockets:
            if f"GET {route.path}" in self.target.policy.public_operations:
                self.notes.append(f"{route.path} is declared public")
                continue
            found = await self._route(route, doubts)
            violations += found
            guarded += [] if found else [route.path]
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        if doubts:
            return Inconclusive(
                doubts[0], '[[websockets]]\npath = "/ws"\nmessage = "a text that it answers"', evidence, notes
            )
        if not guarded:
            raise Missing("Not applicable: every WebSocket is declared public.", applicable=False)
        reason = f"{', '.join(guarded)} opened for a live credential only"
        reason += (
            ", and closed when its login had ended." if self._closed_with_login.issuperset(guarded) else "."
        )
        return Passed(reason, evidence, notes)

    async def _route(self, route: WebSocketRoute, doubts: list[str]) -> list[Violation]:
        violations = []
        stranger = await self._talk(route, "a stranger", None)
        entrances = await self._entrances(route, stranger)
        if not entrances:
            if stranger.opened and stranger.heard and not stranger.closed:
                again = await self._talk(route, "again: a stranger", None)
                if again.opened and again.heard:
                    return [self._socket_let_in(route, "a stranger", (stranger, again))]
            doubts.append(f"{route.path} opened for no live credential: refusals of others prove nothing")
            return []
        best = entrances[0]
        for intruder in await self._wrong_ones(best):
            violations += await self._refused(route, best, intruder, doubts)
        for entrance in entrances:
            if entrance.credential.carrier.kind is Kind.COOKIE and not violations:
                violations += await self._foreign_pages(route, entrance, doubts)
        violations += await self._ticket_reused(route, best, doubts)
        violations += await self._own_objects_only(route, best)
        violations += await self._socket_after_logout(route, best, doubts)
        again = await self._talk(
            route,
            "control after: a live credential",
            await self.credential(best.credential.carrier.kind, fresh=True),
        )
        if not again.opened:
            doubts.append(
                f"{route.path} did not open for a live credential afterwards ({again.answer.status})"
            )
        return violations

    # Conversations.

    async def _talk(
        self,
        route: WebSocketRoute,
        label: str,
        credential: Credential | None,
        *,
        origin: str | None = None,
        message: str | None = None,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
        role: Role = Role.ATTACK,
        door: Door | None = None,
    ) -> Said:
        """Shake hands, say something and hear what comes."""
        if self.scene.sockets is None:
            raise Missing("Not tested: WebSockets cannot be opened here.")
        bare, first = HttpRequest("GET", route.example), tuple[str, ...]()
        if credential is not None:
            door = door or self._doors.get(route.path) or Door("as in requests")
            shown = await self.with_ticket(door, credential)
            bare, first = door.handshake(bare, shown), door.first(shown)
        if origin is not None:
            bare = bare.from_origin(origin)
        text = message if message is not None else self._message(route)
        pauses = PAUSES if meanwhile is not None else (0.0,)
        talk = Talk(await self.scene.sockets(), (*first, text), meanwhile, text, pauses, LISTEN)
        sent = await self.scene.recorder.send(
            bare, label=label, role=role, operation=f"WebSocket {route.path}", transport=talk
        )
        judgement = failure(sent.exchange.reply) if sent.reply.status != 101 else None
        exchange = replace(sent.exchange, outcome=judgement.outcome if judgement else None)
        self.evidence.append(exchange)
        answer = Answer(bare, sent.reply, exchange, judgement)
        told: dict[str, Any] = sent.reply.json if isinstance(sent.reply.json, dict) else {}
        if sent.reply.status != 101:
            told = {}
        return Said(
            answer,
            tuple(told.get("heard", ())),
            tuple(told.get("later", ())),
            float(told.get("last", 0.0)),
            bool(told.get("closed", True)),
        )

    @staticmethod
    def _message(route: WebSocketRoute, identifier: str = "0") -> str:
        return route.message.replace("{id}", identifier) if route.message else ODD

    def _askings(self, route: WebSocketRoute) -> list[str]:
        """Messages that may ask for an object, `{id}` in the place of its id: the declared one, else usual ones."""
        if route.message:
            return [route.message] if "{id}" in route.message else []
        objects = self.target.objects
        named = objects.id_parameter.rpartition("/")[2] if objects is not None else "id"
        bodies = [
            {"id": "{id}"},
            {named: "{id}"},
            {"action": "get", "id": "{id}"},
            {"type": "get", "id": "{id}"},
        ]
        return [*dict.fromkeys(json.dumps(body) for body in bodies), "{id}"]

    def _own_origin(self) -> str:
        return self.target.policy.origins[0] if self.target.policy.origins else self.scene.origin

    async def _entrances(self, route: WebSocketRoute, stranger: Said | None = None) -> list[Entrance]:
        """Find the ways in which a live credential opens the socket: as in requests, else in other usual places."""
        found: list[Entrance] = []
        for kind in self.kinds():
            try:
                credential = await self.credential(kind)
            except (Missing, Unclear):
                continue
            origin = self._own_origin() if kind is Kind.COOKIE else None
            said = await self._talk(
                route,
                f"control: a live {kind.value} credential",
                credential,
                origin=origin,
                role=Role.CONTROL,
            )
            if said.opened and (said.heard or not said.closed):
                found.append(Entrance(route, str(credential.carrier), credential, said))
        stranger = stranger or await self._talk(route, "control: a stranger", None, role=Role.CONTROL)
        if all(stranger.opened and _words(item.good) == _words(stranger) for item in found):
            # One that opens for everybody, and says the same or nothing, may wait for a first message.
            refused = [item for item in found if item.good.closed and stranger.closed]
            found = await self._other_entrances(route) or [item for item in found if item not in refused]
        return found

    async def _other_entrances(self, route: WebSocketRoute) -> list[Entrance]:
        live = await self.credential()
        for door in self.doors(live):
            said = await self._talk(route, f"control: by {door.how}", live, role=Role.CONTROL, door=door)
            if not said.opened or not said.heard or said.closed:
                continue
            bland = await self._talk(
                route, f"control: a bland one by {door.how}", self.bland(live), role=Role.CONTROL, door=door
            )
            if door.opening and not _words(said) - _words(bland):
                continue  # it answers whatever is said
            if door.carrier is not None and door.carrier.place == "query" and door.ticket is None:
                self.notes.append(f"{route.path} takes its credential from the URL, which ends up in logs")
            self._doors = {**self._doors, route.path: door}
            return [Entrance(route, door.how, live, said)]
        return []

    async def _ticket_reused(
        self, route: WebSocketRoute, best: Entrance, doubts: list[str]
    ) -> list[Violation]:
        """Open twice with one ticket, of B where there is one: a ticket is for one handshake."""
        door = self._doors.get(route.path)
        if door is None or door.ticket is None:
            return []
        proofs = []
        for prefix in ("", "again: "):
            owner = "b" if "b" in self.target.accounts else "a"
            ticket = await self.with_ticket(door, await self.credential(owner=owner))
            plain = replace(door, ticket=None)
            first = await self._talk(
                route, f"{prefix}control: a ticket", ticket, role=Role.CONTROL, door=plain
            )
            if not self._entered(first, best):
                doubts.append(f"{route.path} did not open for a ticket of {owner}")
                return []
            second = await self._talk(route, f"{prefix}the same ticket once more", ticket, door=plain)
            if not self._entered(second, best):
                return []
            proofs += [first.answer.exchange, second.answer.exchange]
        message = f"{route.path} took a ticket of {door.ticket.name} twice, and tickets stand in logs."
        return [Violation(f"WebSocket {route.path}", message, Severity.MEDIUM, tuple(proofs))]

    async def _wrong_ones(self, best: Entrance) -> list[Intruder]:
        wrong = [Intruder("a stranger"), Intruder("a junk credential", self.bland(best.credential))]
        token = best.credential.jwt
        if token is not None:
            broken = best.credential.with_value(token.with_flipped_signature().text)
            wrong.append(Intruder("a token with a broken signature", broken))
            try:
                forge = await self.forge()
                late = forge.credential(forge.late_claims(self.scene.recorder.clock.now(), _LATE))
                wrong.append(Intruder("an expired token", best.credential.with_value(late.value.reveal())))
            except (Missing, Unclear):
                self.notes.append("an expired token was not tried: the signing key is not known")
        refresh = await self._refresh_of_a(best.credential.carrier.kind)
        if refresh is not None:
            wrong.append(Intruder("a refresh token", best.credential.with_value(refresh.reveal())))
        return wrong

    async def _refresh_of_a(self, kind: Kind) -> Secret | None:
        if kind is Kind.KEY or self.target.login(kind) is None:
            return None
        try:
            return (await self.sign_in(self.account(), kind)).refresh
        except (Missing, Unclear):
            return None

    # Judging.

    def _entered(self, said: Said, best: Entrance) -> bool:
        """Whether the socket served them: it sent what it sends to its callers, not only that it refuses."""
        if not said.opened or not said.heard:
            return False
        door = self._doors.get(best.route.path)
        # Behind a first message a refusal often has the shape of its acknowledgement.
        served = bool(
            _words(said) & _words(best.good) if door and door.opening else said.kinds & best.good.kinds
        )
        return served and not (said.closed and not best.good.closed)

    async def _refused(
        self, route: WebSocketRoute, best: Entrance, intruder: Intruder, doubts: list[str]
    ) -> list[Violation]:
        who, credential, origin = intruder.who, intruder.credential, intruder.origin
        said = await self._talk(route, who, credential, origin=origin)
        if self._entered(said, best):
            again = await self._talk(route, f"again: {who}", credential, origin=origin)
            if self._entered(again, best):
                return [self._socket_let_in(route, who, (best.good, said, again))]
            doubts.append(f"{route.path} served {who} once, then not")
        elif said.answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED):
            doubts.append(f"{route.path} with {who}: {said.answer.why}")
        elif said.opened and not said.closed and not best.good.heard:
            # Neither hears anything: nothing shows whether they are served.
            doubts.append(f"{route.path} stays open for {who}, and says nothing to anybody")
        elif said.opened and not said.closed:
            self.notes.append(
                f"{route.path} stays open for {who}, and tells them nothing of what callers are told"
            )
        return []

    def _socket_let_in(self, route: WebSocketRoute, who: str, said: tuple[Said, ...]) -> Violation:
        message = f"{route.path} let in {who}: messages flow as for a caller."
        return Violation(
            f"WebSocket {route.path}", message, None, tuple(item.answer.exchange for item in said)
        )

    async def _foreign_pages(
        self, route: WebSocketRoute, entrance: Entrance, doubts: list[str]
    ) -> list[Violation]:
        """Open with A's cookie from a page of somebody else: browsers send it along (RFC 6455 §10.2)."""
        found: list[Violation] = []
        for origin in (FOREIGN, "null"):
            who = f"a page of {origin} with A's cookie"
            intruder = Intruder(who, entrance.credential, origin)
            found += await self._refused(route, entrance, intruder, doubts)
        return found[:1]

    async def _own_objects_only(self, route: WebSocketRoute, best: Entrance) -> list[Violation]:
        """Ask, as A, for an object of B: only where the message says where an id goes."""
        objects = self.target.objects
        if objects is None or "b" not in self.target.accounts:
            self.notes.append(f"{route.path}: whether messages reach objects of others was not seen")
            return []
        made: dict[str, tuple[str, str]] = {}
        for owner in ("a", "b"):
            canary = self.canary()
            body = put(dict(objects.template), objects.text_field, canary)
            live = await self.credential(owner=owner)
            answer = await self.call(objects.create, live, label=f"{owner} creates an object", body=body)
            identifier = resolve(answer.reply.json, objects.identifier)
            if not answer.reply.ok or not isinstance(identifier, (str, int)):
                why = f"{objects.create.name} made no object of {owner} ({answer.why or answer.status})"
                self.notes.append(
                    f"{route.path}: whether messages reach objects of others was not seen: {why}"
                )
                return []
            made[owner] = (str(identifier), canary)
        for asking in self._askings(route):
            own = await self._talk(
                route,
                "control: A asks for its own",
                best.credential,
                message=asking.replace("{id}", made["a"][0]),
                role=Role.CONTROL,
            )
            if any(leaked(made["a"][1], text) for text in own.heard):
                break
        else:
            self.notes.append(
                f"{route.path} does not show A's own object: whether messages reach objects of others was not seen"
            )
            return []
        proofs = [own.answer.exchange]
        for prefix in ("", "again: "):
            said = await self._talk(
                route,
                f"{prefix}A asks for B's",
                best.credential,
                message=asking.replace("{id}", made["b"][0]),
            )
            if not any(leaked(made["b"][1], text) for text in said.heard):
                return []
            proofs.append(said.answer.exchange)
        message = f"{route.path} showed A what B had written."
        return [Violation(f"WebSocket {route.path}", message, None, tuple(proofs))]

    async def _socket_after_logout(
        self, route: WebSocketRoute, best: Entrance, doubts: list[str]
    ) -> list[Violation]:
        """Log out while the socket is open: it must say nothing more, within a minute."""
        kind = best.credential.carrier.kind
        logout = next((item for item in self.target.logouts if item.kind is kind), None)
        if logout is None:
            self.notes.append(f"{route.path}: whether it ends with its login was not seen")
            return []
        account = await self.disposable("lifecycle") or self.account()
        session = await self.sign_in(account, kind)
        ended: list[Exchange] = []

        async def log_out() -> None:
            ended.append((await self._log_out(logout, session)).exchange)

        mine = replace(best, credential=session.credential)
        kept = await self._outlived(mine, log_out, "a socket whose login ends", doubts)
        if kept is None:
            self._closed_with_login |= {route.path} if ended else set()
            return []
        message = f"{route.path} still served its caller {kept.last:.0f} s after the login had ended."
        return [Violation(kept.operation, message, Severity.MEDIUM, (*ended, kept.exchange))]

    async def kept_open(
        self, credential: Credential, end: Callable[[], Awaitable[None]], label: str, doubts: list[str]
    ) -> Kept | None:
        """Let `end` happen while a socket of this credential is open: what still served it a minute later, if any."""
        for route in self.target.websockets:
            if f"GET {route.path}" in self.target.policy.public_operations:
                continue
            kind = credential.carrier.kind
            fits = (item for item in await self._entrances(route) if item.credential.carrier.kind is kind)
            best = next(fits, None)
            if best is not None:
                return await self._outlived(replace(best, credential=credential), end, label, doubts)
        self.notes.append(f"{label}: no WebSocket opens for a login like this")
        return None

    async def _outlived(
        self, best: Entrance, end: Callable[[], Awaitable[None]], label: str, doubts: list[str]
    ) -> Kept | None:
        """Talk as this entrance's credential, let `end` happen, and go on talking."""
        route = best.route
        origin = self._own_origin() if best.credential.carrier.kind is Kind.COOKIE else None
        said = await self._talk(route, label, best.credential, origin=origin, meanwhile=end)
        if not said.opened:
            doubts.append(f"{route.path} did not open for a new login ({said.answer.status})")
            return None
        kept = {_kind(text) for text in said.later} & best.good.kinds
        if not kept or said.last <= LONGEST_AFTER_LOGOUT:
            if kept:
                self.notes.append(f"{route.path} served its caller for {said.last:.0f} s after the end")
            return None
        return Kept(f"WebSocket {route.path}", said.last, said.answer.exchange)


def _words(said: Said) -> frozenset[str]:
    """What was heard, without what changes each time."""
    return frozenset(masked(text) for text in said.heard)


def _kind(text: str) -> str:
    """Return the structure of a message: of JSON its members, of text that it is some."""
    try:
        return shape(json.loads(text))
    except (ValueError, RecursionError):
        return "text"
