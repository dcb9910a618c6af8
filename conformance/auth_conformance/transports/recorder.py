"""The one way out: budget, rate, redaction and evidence, whatever the transport below."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.clock import Clock
from auth_conformance.model import Exchange, Reply, Request, Role
from auth_conformance.oracles.normalise import digest, page_shape, shape
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.refusing import refuses
from auth_conformance.secret import Secret
from auth_conformance.transports.inside import ARRANGED
from auth_conformance.transports.mailbox import MailboxError
from auth_conformance.transports.origins import Origins
from auth_conformance.transports.pace import Pace
from auth_conformance.transports.waiting import waiting

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from auth_conformance.oracles.envelope import Envelope
    from auth_conformance.transports.mailbox import Letters
    from auth_conformance.transports.message import HttpRequest, RawReply, Step, Transport
    from auth_conformance.transports.redaction import Redactor

# Evidence is for people: no more than this many characters of a body are kept.
EXCERPT = 8_000
# A request that was written byte for byte and still is what every client sends.
_PLAIN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PLAIN_PATH = re.compile(r"(?:/[\w~-][\w.~-]*)*/?", re.ASCII)
_PLAIN_NAME = re.compile(r"[a-z0-9-]+", re.ASCII)
_PLAIN_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
# What says where a body ends is the client's own to say.
_FRAMING = frozenset({"connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"})
# Two bodies that agree in so many characters are taken for equal: masking a mebibyte takes seconds.
DIGESTED = 64_000
# What one request takes from another is a secret when it is as long as one: a CSRF token, a ticket.
_SECRET_FROM = 12
# What follows a request is sent after one that was granted, redirects of a login among them.
_REFUSED_FROM = 400
# What the archive holds: bodies up to so many bytes, so many in all, so many wordings of one operation and
# status, and so many of one wording.
LARGEST_KEPT = 256_000
LARGEST_ARCHIVE = 32_000_000
WORDINGS_KEPT = 24
KEPT_OF_A_WORDING = 2


class BudgetExceededError(Exception):
    """The run, or one check, would send more requests than it may. `of_run` says which: only that can be set."""

    def __init__(self, words: str, *, of_run: bool) -> None:
        super().__init__(words)
        self.of_run = of_run


@dataclass(slots=True)
class Meter:
    """Counts the requests of one check. `limit` is None for discovery, which has the run's budget only."""

    limit: int | None = None
    used: int = 0


# Which check a request belongs to: set once per check, seen by everything that the check awaits.
METER: ContextVar[Meter | None] = ContextVar("auth_conformance_meter", default=None)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request: the evidence, and the raw reply for as long as the check runs."""

    exchange: Exchange
    reply: RawReply


@dataclass(frozen=True, slots=True)
class Kept:
    """One exchange of the run with its raw halves, for checks that read what others were answered.

    Some attacks send megabytes of one letter: `packed` is such a body, which `sent` is then without.
    """

    sent: HttpRequest
    reply: RawReply
    exchange: Exchange
    packed: bytes | None = None

    @property
    def request(self) -> HttpRequest:
        """The request as it was sent."""
        return self.sent if self.packed is None else replace(self.sent, body=zlib.decompress(self.packed))

    @property
    def size(self) -> int:
        """About how many bytes it takes to keep this."""
        return len(self.reply.body) + len(self.sent.body or b"") + len(self.packed or b"")

    def smaller(self) -> Kept:
        """The same with a large body of the request packed."""
        body = self.sent.body or b""
        if len(body) <= EXCERPT:
            return self
        return replace(self, sent=replace(self.sent, body=None), packed=zlib.compress(body, 1))


class Archive:
    """Some exchanges of each operation, status and wording: enough to judge all, small enough to keep."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int | None], dict[str, list[Kept]]] = {}
        self._room = LARGEST_ARCHIVE

    def keep(self, kept: Kept) -> None:
        """Remember an exchange unless enough of its kind are known, or its body is very large.

        An attack on routing bears the name of the operation that it wants and goes elsewhere: not that one's reply.
        """
        reply = kept.exchange.reply
        if len(kept.reply.body) > min(LARGEST_KEPT, self._room) or not _addressed(kept):
            return
        wordings = self._kept.setdefault((kept.exchange.operation, reply.status), {})
        if len(wordings) >= WORDINGS_KEPT and reply.digest not in wordings:
            return
        same = wordings.setdefault(reply.digest, [])
        if len(same) < KEPT_OF_A_WORDING:
            same.append(kept.smaller())
            self._room -= same[-1].size

    def __iter__(self) -> Iterator[Kept]:
        """Every exchange that was kept, in the order of the run."""
        found = [kept for wordings in self._kept.values() for same in wordings.values() for kept in same]
        return iter(sorted(found, key=lambda kept: kept.exchange.number))


class Recorder:
    """Sends through a transport and turns every exchange into evidence.

    `rate` is requests per second (None: no limit), `budget` requests in all. Raises BudgetExceededError.
    """

    def __init__(
        self,
        transport: Transport,
        redactor: Redactor,
        *,
        budget: int = 3000,
        rate: float | None = None,
        concurrency: int = 16,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock(movable=False)
        self.transport = transport
        self.redactor = redactor
        self.budget = budget
        self.sent = 0
        self.archive = Archive()
        # How this service says no in a 2xx, once that was seen.
        self.envelope: Envelope | None = None
        self.letters: Letters | None = None
        self._numbers = itertools.count(1)
        self._origins = Origins(redactor)
        self.pace = Pace(rate)
        self._limit = asyncio.Semaphore(concurrency)

    async def send(
        self,
        request: HttpRequest,
        *,
        label: str,
        role: Role = Role.SETUP,
        operation: str | None = None,
        pointer: str | None = None,
        transport: Transport | None = None,
        moved: float = 0.0,
        at_once: bool = False,
        own_wire: bool = False,
    ) -> Sent:
        """Send once and record. `pointer` is where the reply names its caller, if it does.

        `moved` shifts the target's clock by that many seconds around this request. `at_once` waits neither for
        the rate nor for other requests: a race is one only when nobody waits. `own_wire` says that `transport` leads
        to the target itself, byte for byte: what a plain client sends as well is nothing special then.
        """
        meter = METER.get()
        if self.sent >= self.budget:
            raise BudgetExceededError(f"the run's budget of {self.budget} requests is used up", of_run=True)
        if meter is not None:
            if meter.limit is not None and meter.used >= meter.limit:
                raise BudgetExceededError(
                    f"the check's budget of {meter.limit} requests is used up", of_run=False
                )
            meter.used += 1
        async with self._alone_with_its_mail(request):
            request, earlier, ended = await self._prepared(request, transport, moved)
            if ended is not None:
                operation, reply = f"{request.method} {request.path}", ended
            else:
                reply = await self._deliver(request, transport, moved, at_once=at_once)
        if reply.ok and self._says_no(reply):
            reply = replace(reply, soft=True)
        if earlier:
            reply = replace(reply, earlier=earlier)
        if request.then and reply.status is not None and reply.status < _REFUSED_FROM:
            reply = replace(reply, later=await self._followed(request, reply, transport, moved))
        exchange = Exchange(
            number=next(self._numbers),
            label=label,
            role=role,
            operation=operation or f"{request.method} {request.path}",
            request=self._shown_request(request),
            reply=self._shown_reply(reply, pointer),
            took=reply.took,
            special=_special(request, moved, other=transport is not None, own_wire=own_wire)
            or ARRANGED.get(),
        )
        self.archive.keep(Kept(request, reply, exchange))
        if reply.ok:
            self._origins.keep(exchange, json=reply.json is not None)
        return Sent(exchange, reply)

    def learn_mail(self, token: str, address: str, text: str, asked: Exchange | None = None) -> None:
        """Remember a secret of a message to `address` that reads `text`. `asked` led to it; None: the registration."""
        self.redactor.learn(Secret(token))
        self._origins.learn_mail(token, address, text, asked)

    def origins(self, evidence: Iterable[Exchange]) -> tuple[Exchange, ...]:
        """The exchanges that issued the credentials in `evidence`, and those in them, oldest first."""
        return self._origins.of(evidence)

    def _says_no(self, reply: RawReply) -> bool:
        """Whether the body of a 2xx takes it back: by its protocol, or in the way of this service."""
        by_protocol = b'"error' in reply.body and refuses(reply.status, reply.json)
        return by_protocol or (self.envelope is not None and self.envelope.says_no(reply.json))

    async def _prepared(
        self, request: HttpRequest, transport: Transport | None, moved: float
    ) -> tuple[HttpRequest, tuple[RawReply, ...], RawReply | None]:
        """Send what has to come before, and return the request with everything that it takes from there.

        Where a step that somebody's name or password goes to says no and gives nothing, its answer is the answer: the
        step and its reply stand in the place of a request that could not be filled.
        These requests count for the run's budget, not for a check's: how people log in is not its choice.
        """
        values: dict[str, str] = {}
        cookies: dict[str, str] = {}
        earlier: list[RawReply] = []
        own = request.header("cookie")
        for step in request.before:
            mailed = await self._last_letter(step)
            first = step.request if own is None else step.request.with_headers(("Cookie", own))
            # A token may be bound to the address that fetched it.
            first = replace(first, source=first.source or request.source)
            asked = first.filled(values).with_cookies(cookies)
            reply = await self._deliver(asked, transport, moved)
            taken = step.read(reply, asked.cookies)
            refused = reply.status is not None and reply.status >= _REFUSED_FROM
            if refused and step.person and taken and not any(taken.values()) and asked.body is not None:
                return asked, tuple(earlier), reply
            values |= taken | await self._mailed(step, mailed, reply)
            cookies |= reply.cookies
            earlier.append(reply)
            for value in values.values():
                if len(value) >= _SECRET_FROM:
                    self.redactor.learn(Secret(value))
        return request.filled(values).with_cookies(cookies), tuple(earlier), None

    def _alone_with_its_mail(self, request: HttpRequest) -> AbstractAsyncContextManager[object]:
        person = next((step.person for step in request.before if step.mailed), None)
        if person is None or self.letters is None:
            return contextlib.nullcontext()
        return self.letters.one_at_a_time(person)

    async def _last_letter(self, step: Step) -> str | None:
        if not step.mailed or self.letters is None:
            return None
        try:
            return await self.letters.latest(step.person)
        except MailboxError:
            return None

    async def _mailed(self, step: Step, before: str | None, reply: RawReply) -> dict[str, str]:
        """The code in the message that a step led to; "" where the step was refused, or nothing came."""
        if not step.mailed:
            return {}
        granted = reply.status is not None and reply.status < _REFUSED_FROM
        code = ""
        if granted and self.letters is not None:
            try:
                code = await self.letters.code_after(step.person, before)
            except MailboxError:
                code = ""
        if code:
            self.redactor.learn(Secret(code))
        return dict.fromkeys(step.mailed, code)

    async def _followed(
        self, request: HttpRequest, reply: RawReply, transport: Transport | None, moved: float
    ) -> tuple[RawReply, ...]:
        """Send what has to come after, with the cookies that were given."""
        cookies: dict[str, str] = {}
        for one in (*reply.earlier, reply):
            cookies |= one.cookies
        return tuple(
            [
                await self._deliver(
                    replace(item.with_cookies(cookies), source=item.source or request.source),
                    transport,
                    moved,
                )
                for item in request.then
            ]
        )

    async def _deliver(
        self, request: HttpRequest, transport: Transport | None, moved: float, *, at_once: bool = False
    ) -> RawReply:
        self.sent += 1
        if at_once:
            self.pace.rushed()
            return await (transport or self.transport).send(request)
        # Where requests are spaced out, who stands in line for one of the places waits for that, too.
        with waiting() if self.pace.learned else contextlib.nullcontext():
            await self._limit.acquire()
        try:
            with waiting():
                await self.pace.turn()
            with self.clock.moved(moved):
                return await (transport or self.transport).send(request)
        finally:
            self._limit.release()

    def _shown_request(self, request: HttpRequest) -> Request:
        show = self.redactor
        headers = tuple(
            _once(
                name,
                show.header(
                    name, value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
                ),
            )
            for name, value in request.headers
        )
        url = request.target.decode("latin-1") if request.target is not None else request.url
        # Cut before redaction, too: a body of megabytes would keep the redactor busy for seconds.
        body = None if request.body is None else request.body[: 2 * EXCERPT].decode("utf-8", "replace")
        body = body and show.text(body)[:EXCERPT]
        derived = show.derivations(
            [(name, value) for name, value in request.headers if isinstance(value, str)]
        )
        url = show.text(url)[:EXCERPT]
        return Request(request.method, url, headers, body, derived, self._origins.by_mail(url, body or ""))

    def _shown_reply(self, reply: RawReply, pointer: str | None) -> Reply:
        show = self.redactor
        principal = found_at(reply, pointer) if pointer and reply.ok else None
        text = reply.text
        return Reply(
            status=reply.status,
            headers=tuple(_once(name, show.header(name, value)[:EXCERPT]) for name, value in reply.headers),
            body=show.text(text[: 2 * EXCERPT])[:EXCERPT],
            size=len(reply.body),
            error=("undelivered: " if reply.undelivered else "") + reply.error if reply.error else None,
            media_type=sys.intern(reply.media_type),
            shape=_shape(reply),
            digest=digest(text[:DIGESTED]),
            principal=None if principal is None or isinstance(principal, (dict, list)) else str(principal),
        )


def _once(name: str, value: str) -> tuple[str, str]:
    """A header whose texts are kept once for the whole run: thousands of replies say the same ones."""
    return sys.intern(name), sys.intern(value)


def _shape(reply: RawReply) -> str:
    if reply.json is not None:
        return shape(reply.json)
    return page_shape(reply.text) if "html" in reply.media_type else ""


def _special(request: HttpRequest, moved: float, *, other: bool, own_wire: bool) -> str:
    if moved:
        return f"clock moved by {moved:g} s"
    plain = not other or (own_wire and _is_plain(request))
    return "" if plain and request.target is None else "raw wire"


def _is_plain(request: HttpRequest) -> bool:
    """Whether any HTTP client sends these very bytes: what it would refuse, tidy up or add to is not in them."""
    names = [name.lower() for name, _ in request.headers]
    return (
        request.version == "1.1"
        and request.method in _PLAIN_METHODS
        and _PLAIN_PATH.fullmatch(request.path) is not None
        and len(names) == len(set(names))
        and not _FRAMING & set(names)
        and all(_PLAIN_NAME.fullmatch(name) for name in names)
        and all(isinstance(value, str) and _PLAIN_VALUE.fullmatch(value) for _, value in request.headers)
    )


def _addressed(kept: Kept) -> bool:
    """Whether the request went to the operation that it is named for."""
    method, _, template = kept.exchange.operation.partition(" ")
    path, slots = kept.sent.path.split("?")[0].split("/"), template.split("/")
    same = len(path) == len(slots) and all(
        value == slot or ("{" in slot and value) for value, slot in zip(path, slots, strict=True)
    )
    return same and kept.sent.method == method
