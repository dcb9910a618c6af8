"""One way of a browser through login, witness, refresh, re-authentication and logout, and the cookies set on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_conformance.credentials import Kind
from auth_conformance.model import Exchange, Role
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.cookies import (
    LONGEST_KEPT,
    LONGEST_PAIR,
    SetCookie,
    parse_date,
    parse_set_cookie,
    write_cookie,
)
from auth_conformance.probe.core import Answer, Session
from auth_conformance.probe.reauthentication import Reauthentication
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Logout, Operation

# More cookies than this at one login are left unexamined: each costs two requests.
MOST_COOKIES = 8
# Shorter values stand in other texts by chance.
SHORTEST_ECHO = 8


@dataclass(frozen=True, slots=True)
class CookieLine:
    """One Set-Cookie line for a cookie that authenticates. `idle` lines carry no session: they delete it."""

    operation: str
    cookie: SetCookie
    idle: bool
    exchange: Exchange
    at: datetime

    @property
    def oversized(self) -> bool:
        """Whether browsers ignore it because name and value are too long."""
        return len((self.cookie.name + self.cookie.value).encode("utf-8", "surrogatepass")) > LONGEST_PAIR


@dataclass(frozen=True, slots=True)
class Echo:
    """A place besides Set-Cookie in which the service tells the value of a cookie that authenticates."""

    operation: str
    place: str
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class CookieTour:
    """What one way through showed; `doubts` are the steps that were refused, whose lines nobody has seen.

    `barred`: one of them was refused as a change is that lacks a CSRF token.
    """

    lines: tuple[CookieLine, ...] = ()
    echoes: tuple[Echo, ...] = ()
    doubts: tuple[str, ...] = ()
    barred: bool = False


@dataclass(slots=True)
class _Notebook:
    """What a browser holds by now, and what was seen so far; `names` are the cookies that authenticate."""

    names: Sequence[str]
    learn: Callable[[Secret], None]
    jar: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    lines: list[CookieLine] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    barred: bool = False

    def read(self, answer: Answer) -> None:
        """Take the cookies of an answer, and look for their values elsewhere in it."""
        # In process no server adds a Date.
        now = parse_date(answer.reply.header("date") or "") or datetime.now(UTC)
        operation = answer.exchange.operation
        for line in answer.reply.header_lines("set-cookie"):
            cookie = parse_set_cookie(line, longest=LONGEST_KEPT)
            if cookie is not None and cookie.name in self.names:
                idle = cookie.deletes(now) or cookie.value in ("", '""')
                self.lines.append(CookieLine(operation, cookie, idle, answer.exchange, now))
                if not idle:
                    self.learn(Secret(cookie.value))
                    self.told.append((cookie.name, cookie.value))
        keep(self.jar, answer)
        texts = [
            (f"the header {name}", value)
            for name, value in answer.reply.headers
            if name.lower() != "set-cookie"
        ]
        texts.append(("the body", answer.reply.text))
        self.echoes += [
            Echo(operation, f"{place} of its answer repeats the session cookie {name}", answer.exchange)
            for name, value in self.told
            for place, text in texts
            if _stands_in(value, text)
        ]


class CookieTours(Reauthentication):
    """Goes the way of a browser, and notes each line that sets a cookie which authenticates."""

    async def cookie_tour(self, session: Session, names: Sequence[str]) -> CookieTour:
        """Collect every line for these cookies. A step that is refused leaves a doubt: its line was not seen."""
        book = _Notebook(names, self.scene.recorder.redactor.learn)
        book.read(session.answer)
        await self._note_witness(book, session)
        session = await self._note_refresh(book, session)
        await self._note_confirmation(book, session)
        await self._note_logout(book, session)
        return CookieTour(tuple(book.lines), tuple(book.echoes), tuple(book.doubts), book.barred)

    async def _note_witness(self, book: _Notebook, session: Session) -> None:
        baseline = await self.baseline(self.witness, session.credential)
        credential, headers = self._browsing(book, session)
        seen = await self._looked_for(credential, headers, baseline)
        if not seen.accepted and credential is not None and headers:
            # A service may refuse two credentials at once: a browser has the cookies only.
            seen = await self._looked_for(None, headers, baseline)
        book.read(seen)
        if not seen.accepted:
            book.doubts.append(f"{self.witness.operation.name} did not let in who had logged in: {seen.why}")

    async def _looked_for(
        self, credential: Credential | None, headers: tuple[tuple[str, str], ...], baseline: Baseline
    ) -> Answer:
        return await self.at_witness(
            credential,
            label="look for the cookie's value",
            role=Role.CONTROL,
            headers=headers,
            baseline=baseline,
        )

    async def _note_refresh(self, book: _Notebook, session: Session) -> Session:
        """Refresh, and go on with what that gave: it may have ended what came before."""
        refresh = self.target.refresh
        if refresh is None or session.refresh is None:
            return session
        request = refresh.request(session.refresh)
        if refresh.place != "cookie" and book.jar:
            request = request.with_cookies(book.jar)
        answer = await self.send(request, label="refresh", operation=refresh.operation.name)
        self._note_step(book, answer, refresh.operation)
        access, following = refresh.read(answer.reply) or (None, None)
        if access is None or session.credential.carrier.kind is not Kind.BEARER:
            return session
        self.scene.recorder.redactor.learn(access)
        credential = replace(session.credential, value=access)
        return replace(session, credential=credential, refresh=following or session.refresh)

    async def _note_confirmation(self, book: _Notebook, session: Session) -> None:
        """Prove the password once more, where that is possible: a session may go on under another cookie then."""
        found, password = self.reauthentication(), session.account.password
        if found is None or password is None or session.credential.carrier.kind is not Kind.COOKIE:
            return
        operation, field_name = found
        credential, headers = self._browsing(book, session)
        answer = await self.call(
            operation,
            credential,
            label="confirm the password",
            headers=headers,
            body={**session.credential.members, field_name: password.reveal()},
        )
        self._note_step(book, answer, operation)

    async def _note_logout(self, book: _Notebook, session: Session) -> None:
        logout = self._logout_of(session)
        # A line that deletes the cookie is not worth the risk that A is logged out everywhere, under other checks.
        if logout is None or not session.account.expendable:
            return
        last = session.credential
        if last.carrier.kind is Kind.COOKIE and last.carrier.name in book.jar:
            last = last.with_value(book.jar[last.carrier.name])
        body = logout.body(last.value, session.refresh)
        going = logout.leaving(last, session.refresh)
        answer = await self.call(logout.operation, going, label="log out", body=body)
        self._note_step(book, answer, logout.operation)

    @staticmethod
    def _note_step(book: _Notebook, answer: Answer, operation: Operation) -> None:
        book.read(answer)
        if not answer.granted:
            why = answer.why or answer.status
            book.barred = book.barred or answer.status in (400, 403)
            book.doubts.append(f"{operation.name} was refused ({why}): what it sets was not seen")

    def _logout_of(self, session: Session) -> Logout | None:
        kind = session.credential.carrier.kind
        return next((logout for logout in self.target.logouts if logout.kind is kind), None)

    @staticmethod
    def _browsing(book: _Notebook, session: Session) -> tuple[Credential | None, tuple[tuple[str, str], ...]]:
        """The credential and the headers that a browser with this jar sends."""
        cookies = (("Cookie", write_cookie(book.jar.items())),) if book.jar else ()
        if session.credential.carrier.kind is Kind.COOKIE:
            return None, (*cookies, *session.credential.companions)
        return replace(session.credential, crumbs=()), cookies


def keep(jar: dict[str, str], answer: Answer) -> None:
    """Put into the jar what a browser would send back after this answer, and take out what it forgets."""
    now = datetime.now(UTC)
    for line in answer.reply.header_lines("set-cookie"):
        cookie = parse_set_cookie(line, longest=LONGEST_KEPT)
        if cookie is None:
            continue
        jar.pop(cookie.name, None)
        if cookie.value and not cookie.deletes(now) and len(jar) < MOST_COOKIES:
            jar[cookie.name] = cookie.value


def _stands_in(value: str, text: str) -> bool:
    """Whether who reads the text has the value: a digest of it gives nothing away."""
    return any(
        len(form) >= SHORTEST_ECHO and (how := leaked(form, text)) is not None and "digest" not in how
        for form in {value, unquote(value.strip('"'))}
    )
