"""Sending one request, waiting for a limit that lets up, and knowing what the reply means."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Inconclusive, Outcome, Reply, Role
from auth_conformance.oracles.entry import Baseline, Judgement, classify, failure
from auth_conformance.oracles.patience import lasting
from auth_conformance.probe.answers import Answer, Unclear
from auth_conformance.probe.chance import Chance
from auth_conformance.probe.infront import intercepted, stripped
from auth_conformance.probe.leftovers import note
from auth_conformance.probe.scene import Crash, Scene
from auth_conformance.transports.loopback import has_many_callers
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.recorder import METER, Sent
from auth_conformance.transports.waiting import waiting
from auth_conformance.transports.wire import NoWire

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.model import Rule

# Servers read no longer headers (uvicorn 64 kB, gunicorn and nginx 8), and need not take such bodies.
LONGEST_HEADERS, LONGEST_BODY = 64_000, 500_000
# So many attacks at most between two controls: a service that refuses everybody for a while must not pass.
EVERY = 10
# What is said in front of a service that gives no answer; and how soon it is asked again, in seconds.
GATEWAYS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
AT_ONCE = 0.1
# How often one request waits for a limit: others that were under way may be let in first.
_WAITS = 3
# How long in seconds a login waits, time after time, for a limit that does not say how long it lasts.
_STEPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
# From how many other addresses it is sent then: a limit may have been met there by another check meanwhile.
_CALLERS = 3
# How often, for each instance of the service, what one has refused is sent again to meet the others.
_TURNS = 3


class Sending(Chance):
    """Sends, records and judges for one check."""

    if TYPE_CHECKING:
        # What a path still lacks takes other requests to get: `Core` knows which.
        async def _completed(self, request: HttpRequest) -> HttpRequest: ...

    def __init__(self, scene: Scene, rule: Rule) -> None:
        self.scene = scene
        self.rule = rule
        self.target = scene.target
        again = scene.rounds.get(rule.code, 0)
        self.rng = random.Random(f"{scene.seed}:{rule.code}" + f":{again}" * (again > 0))
        self._addresses = 0
        self.address = self.another_address()
        self.evidence: list[Exchange] = []
        # Whether the last answers said yes.
        self.lately: deque[bool] = deque(maxlen=EVERY)
        self.notes: list[str] = []
        # Whether each attack that reads was sent to each instance of the service from the start.
        self.knew_instances = bool(scene.instances)
        # The shared credentials that this check has used, by the key under which they are kept.
        self.borrowed: dict[object, Credential] = {}
        # How many seconds a token lived that an honest request presented after its end.
        self.ended = math.inf

    def another_address(self) -> str:
        """A loopback address that no other check calls from, and this one has not called from yet."""
        digest = hashlib.sha256(f"{self.scene.run_id}:{self.rule.code}:{self._addresses}".encode()).digest()
        self._addresses += 1
        return f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + digest[2] % 254}"

    @contextlib.contextmanager
    def doubting(self, doubts: list[str], remedies: list[str] | None = None) -> Iterator[None]:
        """A step within it that stays unclear leaves a doubt: what other steps have found stands."""
        try:
            yield
        except Unclear as reason:
            doubts.append(str(reason))
            if remedies is not None and isinstance(reason.verdict, Inconclusive):
                remedies.append(reason.verdict.remedy)

    async def send(
        self,
        request: HttpRequest,
        *,
        label: str,
        role: Role = Role.SETUP,
        operation: str | None = None,
        baseline: Baseline | None = None,
        pointer: str | None = None,
        moved: float = 0.0,
        raw_wire: bool = False,
        patient: bool = True,
    ) -> Answer:
        """Send once; wait once for a short `Retry-After` if `patient`. What is sent is this check's evidence."""
        request = await self._completed(request)
        theirs = request.source is None
        entering = bool({request.path, operation} & self._limited())
        if theirs:
            # People seldom share an address: what limits one check's logins must not limit another's.
            request = replace(request, source=self.address if entering else self.scene.caller)
        transport = None
        if raw_wire:
            transport = (
                await self.scene.wire() if self.scene.wire else NoWire("this vector needs the raw wire")
            )

        async def once(request: HttpRequest) -> tuple[Sent, Judgement | None]:
            sent = await self.scene.recorder.send(
                request,
                label=label,
                role=role,
                operation=operation,
                pointer=pointer,
                transport=transport,
                moved=moved,
                own_wire=raw_wire,
            )
            seen = sent.exchange.reply
            if seen.status == 501 and request.method not in ("GET", "POST"):
                # RFC 9110 §15.6.2: how a server says that it does not know a method. Nothing has broken.
                unknown = Judgement(Outcome.REJECTED, "501: the service does not know the method")
                return sent, unknown if baseline else None
            lost = None if self.target.in_process and not raw_wire else hung_up(seen, request)
            return sent, lost or (classify(seen, baseline) if baseline else failure(seen))

        if not patient:
            self.scene.recorder.pace.rushed()
        sent, judgement = await self._let_through(request, once, role, entering=entering, patient=patient)
        if theirs and patient:
            request, sent, judgement = await self._by_another_caller(
                request, once, sent, judgement, entering=entering
            )
        if role is Role.ATTACK:
            sent, judgement = await self._attacked(request, once, sent, judgement, baseline)
        note(self.target, self.scene.left, request, sent.reply)
        exchange = replace(sent.exchange, outcome=judgement.outcome if judgement else None)
        answer = Answer(request, sent.reply, exchange, judgement)
        self.evidence.append(exchange)
        self.lately.append(sent.reply.ok)
        # A server that is no proxy may hang up on CONNECT (RFC 9110 §9.3.6): Node.js does by itself.
        broken = judgement is not None and judgement.outcome is Outcome.CRASHED
        if broken and request.method != "CONNECT":
            self.scene.crashes.append(Crash(label, request, exchange, raw_wire, moved))
        if sent.reply.status == 401:
            self.scene.refusals_seen.append(exchange)
            self.ended = min(self.ended, math.inf if moved else self._over(request, role))
        return answer

    def _over(self, request: HttpRequest, role: Role) -> float:
        """How many seconds the credential of an honest request lived, if its life is over; else without end."""
        words = " ".join(str(value) for _, value in (*request.headers, *request.query))
        ended = (
            self.scene.life(value)
            for value in self.scene.born
            # The times in tokens are whole seconds.
            if self.scene.age(value) > self.scene.life(value) - 1 and value.reveal() in words
        )
        return math.inf if role is Role.ATTACK else min(ended, default=math.inf)

    async def _by_another_caller(
        self,
        request: HttpRequest,
        once: Callable[[HttpRequest], Awaitable[tuple[Sent, Judgement | None]]],
        sent: Sent,
        judgement: Judgement | None,
        *,
        entering: bool,
    ) -> tuple[HttpRequest, Sent, Judgement | None]:
        """What was sent and answered in the end: a request that met a limit is sent from other addresses."""
        for _ in range(_CALLERS):
            if judgement is None or judgement.outcome is not Outcome.THROTTLED:
                break
            moved_on = self._another_caller(request, entering=entering)
            if moved_on is request:
                break
            request = moved_on
            sent, judgement = await once(request)
        return request, sent, judgement

    async def _attacked(
        self,
        request: HttpRequest,
        once: Callable[[HttpRequest], Awaitable[tuple[Sent, Judgement | None]]],
        sent: Sent,
        judgement: Judgement | None,
        baseline: Baseline | None,
    ) -> tuple[Sent, Judgement | None]:
        """What the service itself has said to an attack, and each of its instances."""
        if judgement is None:
            return sent, await intercepted(self, request, sent.exchange)
        if judgement.outcome is not Outcome.REJECTED or baseline is None:
            return sent, judgement
        if removed := stripped(self, request, sent.exchange.reply, baseline):
            return sent, removed
        if request.method not in ("GET", "HEAD"):
            return sent, judgement
        return await self._by_each_instance(request, once, sent, judgement)

    async def _by_each_instance(
        self,
        request: HttpRequest,
        once: Callable[[HttpRequest], Awaitable[tuple[Sent, Judgement | None]]],
        sent: Sent,
        judgement: Judgement,
    ) -> tuple[Sent, Judgement | None]:
        """What the last instance has said to a request that each one has refused; the first other answer else.

        Nothing is sent again where instances do not name themselves. What is costs the run, and not the check.
        """
        told: Judgement | None = judgement
        metered = METER.set(None)
        try:
            for header, names in self.scene.instances.items():
                async with self.scene.turns:
                    met = {sent.exchange.reply.header(header)}
                    for _ in range(_TURNS * len(names)):
                        if told is None or told.outcome is not Outcome.REJECTED or names <= met:
                            break
                        self.evidence.append(replace(sent.exchange, outcome=told.outcome))
                        sent, told = await once(replace(request, fresh=True))
                        met.add(sent.exchange.reply.header(header))
        finally:
            METER.reset(metered)
        return sent, told

    def _another_caller(self, request: HttpRequest, *, entering: bool) -> HttpRequest:
        """The same request from an address that has met no limit yet, which the following ones come from as well.

        Wrong credentials of earlier checks fill the limits of an address (429 for the good ones too): what is shown
        there is the limit alone. Left as it is where the service cannot tell our addresses apart.
        """
        if not (self.target.in_process or has_many_callers(self.target.address)):
            return request
        if entering:
            self.address = self.another_address()
            return replace(request, source=self.address)
        if self.scene.caller == request.source:  # no other check has moved on meanwhile
            self.scene.caller = self.another_address()
        return replace(request, source=self.scene.caller)

    def _limited(self) -> set[str | None]:
        """Where strangers register, log in and ask for messages, by path and by name: services limit that by address.

        By name as well: another spelling of the path comes from where the honest one does.
        """
        register, recovery = self.target.register, self.target.recovery
        found = [login.operation for login in self.target.logins]
        found += [register.operation] if register is not None else []
        found += [recovery.ask.form.operation] if recovery is not None else []
        return {word for item in found for word in (item.path, item.name)}

    async def _let_through(
        self,
        request: HttpRequest,
        once: Callable[[HttpRequest], Awaitable[tuple[Sent, Judgement | None]]],
        role: Role,
        *,
        entering: bool,
        patient: bool,
    ) -> tuple[Sent, Judgement | None]:
        """What `once` sends; sent again, if `patient`, while a limit worth waiting for refuses it."""
        sent, judgement = await once(request)
        for number in range(_WAITS if patient else 0):
            if entering and _names_no_end(sent.reply):
                return await self._outwaited(request, once, sent, judgement)
            if not await self._may_let_up(request, sent.reply, judgement, number, role):
                break
            broken = sent.reply.status in GATEWAYS
            sent, judgement = await once(request)
            self.scene.lets_up |= broken and sent.reply.status not in GATEWAYS
        if entering and sent.reply.ok:
            self.scene.outlasted = False
        return sent, judgement

    async def _outwaited(
        self,
        request: HttpRequest,
        once: Callable[[HttpRequest], Awaitable[tuple[Sent, Judgement | None]]],
        sent: Sent,
        judgement: Judgement | None,
    ) -> tuple[Sent, Judgement | None]:
        """A login that is sent again, step by step, until the limit lets it through or the patience is at its end.

        One check knocks and the others stand in line: limits count those that they refuse. Once a limit has outlasted
        the patience nobody waits for it any more.
        """
        scene, spent = self.scene, 0.0
        in_line = scene.gate.locked()
        with waiting():
            await scene.gate.acquire()
        try:
            for step in (*((0.0,) if in_line else ()), *(() if scene.outlasted else _STEPS)):
                left = min(step, scene.patience - spent)
                if step and left <= 0:
                    break
                spent += left
                with waiting():
                    await asyncio.sleep(left)
                sent, judgement = await once(request)
                if not _names_no_end(sent.reply):
                    break
            scene.outlasted = _names_no_end(sent.reply)
        finally:
            scene.gate.release()
        return sent, judgement

    async def _may_let_up(
        self, request: HttpRequest, reply: RawReply, judgement: Judgement | None, number: int, role: Role
    ) -> bool:
        """Whether this answer may be over in a moment, and the moment was waited for.

        A bare 503 is how nginx limits requests by the second; 502 and 504 are said where a worker is being started.
        They may as well be what an attack has broken: an attack is only tried again where an honest request was seen
        to get through then.
        """
        if judgement is not None and judgement.outcome is Outcome.THROTTLED:
            return await self._waited(request, reply)
        honest = role is not Role.ATTACK or self.scene.lets_up
        if reply.status not in GATEWAYS or not honest or number > 0:
            return False
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return await self._waited(request, reply)
        await asyncio.sleep(AT_ONCE)
        return True

    async def _waited(self, request: HttpRequest, reply: RawReply) -> bool:
        """Whether the limit is worth waiting for, and was waited for.

        A limit that a plain read meets is one on everything that is asked: then the whole run slows down.
        """
        told = lasting(reply.header, reply.json)
        if told is None and reply.header("retry-after"):
            return False
        seconds = 1.0 if told is None else told
        if seconds > self.scene.patience or self.scene.waited > 10 * self.scene.patience:
            return False
        if request.method in ("GET", "HEAD"):
            self.scene.waited += self.scene.recorder.pace.hold(max(0.0, seconds))
            return True
        self.scene.waited += seconds
        with waiting():
            await asyncio.sleep(max(0.0, seconds))
        return True


def _names_no_end(reply: RawReply) -> bool:
    """Whether a limit refused this, and does not say how long it lasts."""
    told = reply.header("retry-after") or lasting(reply.header, reply.json)
    return reply.status == HTTPStatus.TOO_MANY_REQUESTS and not told


def hung_up(seen: Reply, request: HttpRequest) -> Judgement | None:
    """Whether the server closed the connection on a request too long for it, before all of it was sent.

    Its refusal (431, 413) is often lost then: the kernel drops what was sent to a client that is still
    writing. What kills the service is seen by the control that follows.
    """
    headers = sum(len(name) + len(value) for name, value in request.headers)
    long = headers + len(request.url) > LONGEST_HEADERS or len(request.body or b"") > LONGEST_BODY
    if not long or seen.status is not None or not (seen.error or "").startswith("connection closed"):
        return None
    return Judgement(Outcome.INTERCEPTED, "the server hung up on a request of this length")
