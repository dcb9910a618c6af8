"""How discovery asks: within its own budget, waiting when told to, learning every secret that it meets."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.discovery.sampling import build_request
from auth_conformance.model import Role
from auth_conformance.oracles.envelope import learned
from auth_conformance.oracles.normalise import digest, members, shape
from auth_conformance.oracles.patience import lasting
from auth_conformance.secret import Secret
from auth_conformance.transports.recorder import BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.settings import Settings
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest, RawReply
    from auth_conformance.transports.recorder import Recorder, Sent

# A typical service needs a third of this.
CAP = 300
# How long discovery waits in all, in seconds, for a login that is limited. Limits by the minute are the usual ones,
# many of them do not say when they end (slowapi), and without a login there is no run.
LOGIN_PATIENCE = 65.0
_STEPS = (1.0, 4.0, 10.0, 20.0, 30.0)
# A gateway that limits requests by the second says 503 and not how long (nginx by default): seconds worth waiting.
_BUSY = 4.0
# A gateway whose worker is being started is asked again so soon, in seconds.
_AT_ONCE = 0.1
ABSENT = frozenset({404, 405, 410, 501})


class ExhaustedError(Exception):
    """Discovery's own share of requests is used up: what is known by then has to do."""


class Scout:
    """Sends for discovery. `rng` picks sample values, the same for the same seed."""

    def __init__(self, recorder: Recorder, settings: Settings, run_id: str, *, cap: int = CAP) -> None:
        self.recorder = recorder
        self.settings = settings
        self.run_id = run_id
        self.rng = random.Random(settings.seed)
        self._cap = cap
        self._first = recorder.sent
        self._left = LOGIN_PATIENCE
        self._fallbacks: set[tuple[int | None, str, str]] = set()

    @property
    def used(self) -> int:
        """How many requests discovery has sent."""
        return self.recorder.sent - self._first

    async def ask(
        self,
        request: HttpRequest,
        label: str,
        *,
        credential: Credential | None = None,
        role: Role = Role.SETUP,
    ) -> Sent:
        """Send once, with `credential` if given; after 429 or a 503 with Retry-After wait and send once more.

        Raises ExhaustedError when the budget is used up.
        """
        request = self._carrying(request, credential)
        sent = await self._send(request, label, role)
        wait = self._told_to_wait(sent.reply)
        if wait is not None:
            await asyncio.sleep(wait)
            sent = await self._send(request, label, role)
        return sent

    async def insist(self, request: HttpRequest, label: str, *, credential: Credential | None = None) -> Sent:
        """Send what the run cannot do without: a limit is waited for longer, step by step where it names no end."""
        request = self._carrying(request, credential)
        sent = await self.ask(request, label)
        for step in _STEPS:
            busy = sent.reply.status == HTTPStatus.SERVICE_UNAVAILABLE and step <= _BUSY
            if sent.reply.status != HTTPStatus.TOO_MANY_REQUESTS and not busy:
                break
            told = lasting(sent.reply.header, sent.reply.json)
            seconds = step if told is None else told
            if seconds > self._left:
                break
            self._left -= seconds
            await asyncio.sleep(seconds)
            sent = await self._send(request, label, Role.SETUP)
        return sent

    def _carrying(self, request: HttpRequest, credential: Credential | None) -> HttpRequest:
        if credential is None:
            return request
        self.learn(credential.value.reveal())
        if credential.carrier.place == "header":
            self.recorder.redactor.learn_header(credential.carrier.name)
        return request.with_headers(*credential.headers).with_query(*credential.query)

    @property
    def waited(self) -> float:
        """How long logins were waited for, in seconds."""
        return LOGIN_PATIENCE - self._left

    async def _send(self, request: HttpRequest, label: str, role: Role) -> Sent:
        if self.used >= self._cap:
            raise ExhaustedError
        try:
            return await self.recorder.send(request, label=label, role=role)
        except BudgetExceededError as error:
            raise ExhaustedError from error

    def _told_to_wait(self, reply: RawReply) -> float | None:
        told = reply.header("retry-after")
        if reply.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
            return _AT_ONCE
        if reply.status != HTTPStatus.TOO_MANY_REQUESTS and not (
            reply.status == HTTPStatus.SERVICE_UNAVAILABLE and told is not None
        ):
            return None
        said = lasting(reply.header, reply.json)
        seconds = 1.0 if said is None else said
        return seconds if seconds <= self.settings.patience else None

    async def call(
        self,
        operation: Operation,
        label: str,
        *,
        credential: Credential | None = None,
        path_values: Mapping[str, str] | None = None,
        role: Role = Role.SETUP,
    ) -> RawReply:
        """Call an operation with valid sample values and return the reply."""
        request = build_request(operation, self.rng, path_values=path_values)
        return (await self.ask(request, label, credential=credential, role=role)).reply

    def learn(self, text: str) -> None:
        """Make sure that this secret appears in no evidence and no message."""
        self.recorder.redactor.learn(Secret(text))

    def learn_key(self, text: str) -> None:
        """The same for a secret that signs tokens."""
        self.recorder.redactor.learn_key(Secret(text))

    def shown(self, reply: RawReply, length: int = 160) -> str:
        """Status and the beginning of a body, redacted, on one line: what an error message quotes."""
        if reply.status is None:
            return reply.error or "no answer"
        text = " ".join(self.recorder.redactor.text(reply.text).split())
        cut = text[:length] + ("…" if len(text) > length else "")
        return f"{reply.status} {cut}".strip()

    def remember_fallback(self, reply: RawReply, echo: str) -> None:
        """Remember what an unknown path gets: pages like it are no answers (single-page applications)."""
        self._fallbacks.add(mark(reply, echo))

    def is_fallback(self, reply: RawReply, echo: str = "") -> bool:
        """Whether this is what any unknown path gets."""
        return mark(reply, echo) in self._fallbacks

    def exists(self, reply: RawReply, echo: str = "") -> bool:
        """Whether something stands behind the path and method that gave this reply."""
        return reply.status is not None and reply.status not in ABSENT and not self.is_fallback(reply, echo)

    def let_in(self, reply: RawReply, stranger: RawReply) -> bool:
        """Whether `reply` is what a known caller gets, where `stranger` is what nobody gets."""
        if not reply.ok or self.is_fallback(reply):
            return False
        if not stranger.ok and not stranger.soft:
            return stranger.status is not None
        # 200 for everything: another set of members is another answer (an envelope that says no), or one envelope
        # with a member that says so, and nothing in it for strangers.
        if members(shape(reply.json)) != members(shape(stranger.json)):
            return True
        return _holds_more(reply.json, stranger.json) and learned([reply.json], stranger.json) is not None


def _holds_more(known: object, nobody: object) -> bool:
    """Whether a member that is empty for strangers holds something for a caller."""
    if not isinstance(known, dict) or not isinstance(nobody, dict):
        return False
    return any(
        isinstance(value, dict | list) and value != nobody.get(name) and not nobody.get(name)
        for name, value in known.items()
    )


def allowed(reply: RawReply) -> list[str]:
    """The methods that an answer says its path has (RFC 9110 §10.2.1), those that change first."""
    told = {item.strip().upper() for line in reply.header_lines("allow") for item in line.split(",")}
    return [method for method in ("POST", "DELETE", "PUT", "PATCH", "GET") if method in told]


def mark(reply: RawReply, echo: str = "") -> tuple[int | None, str, str]:
    """What makes two replies the same answer: status, media type, structure or masked text, and where it sends.

    Redirects seldom have a text, and one to a login is another answer than one to the path with a prefix.
    """
    there = urlsplit(reply.header("location") or "").path
    text = f"{there}\n{reply.text}" if there else reply.text
    return reply.status, reply.media_type, digest(text, (echo,))
