"""Which cookies authenticate, found by leaving them out, and every line on which the service sets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import LONGEST_PAIR, SetCookie, parse_date, parse_set_cookie
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Logout

# More cookies than this at one login are left unexamined: each costs two requests.
MOST_COOKIES = 8
# What browsers ignore for its length is looked at all the same, up to this many bytes.
LONGEST_KEPT = 1 << 16
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
    """What one way through login, witness, refresh and logout showed."""

    lines: tuple[CookieLine, ...]
    echoes: tuple[Echo, ...]


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Two ways through: what shows in both is reproduced."""

    names: tuple[str, ...]
    tours: tuple[CookieTour, CookieTour]
    evidence: tuple[Exchange, ...]

    @property
    def lines(self) -> tuple[CookieLine, ...]:
        """The lines of both tours."""
        return self.tours[0].lines + self.tours[1].lines


@dataclass(slots=True)
class _Notebook:
    lines: list[CookieLine] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)


# What is wrong with a cookie, in words that follow "sets the session cookie NAME"; None if nothing is.
Fault = Callable[[SetCookie], str | None]
# The same of a line, with a severity that restates the rule's, or None.
LineFault = Callable[[CookieLine], tuple[str, Severity | None] | None]


class Cookies(Sessions):
    """Sentences about the cookies that authenticate."""

    async def session_cookies(self) -> SessionCookies:
        """Return the cookies that authenticate, learned once per run. Raises Missing or Unclear."""
        return await self.scene.once(
            "session cookies", lambda: Cookies(self.scene, self.rule).survey_cookies()
        )

    async def must_set_cookies(
        self,
        fault: Fault,
        passed: str,
        severity: Severity | None = None,
        *,
        wanted: str = "",
        unwanted: str = "",
    ) -> Verdict:
        """No line that sets a session cookie may have the fault; `passed` says what all of them have.

        `wanted` is the attribute that a sound line has, `unwanted` one that it has not.
        """

        def of_line(line: CookieLine) -> tuple[str, Severity | None] | None:
            wrong = fault(line.cookie)
            return None if wrong is None else (wrong, severity)

        return await self.must_write_cookies(of_line, passed, wanted=wanted, unwanted=unwanted)

    async def must_write_cookies(
        self, fault: LineFault, passed: str, *, wanted: str = "", unwanted: str = ""
    ) -> Verdict:
        """No line for a session cookie may have the fault, in either of two ways through the service."""
        found = await self.session_cookies()
        violations: list[Violation] = []
        notes: list[str] = []
        first, second = ({self._line_key(line): line for line in tour.lines} for tour in found.tours)
        for key, line in first.items():
            again = second.get(key)
            wrong = fault(line)
            if wrong is None or again is None or fault(again) is None:
                continue
            words, severity = wrong
            told = f"{line.operation} sets the session cookie {line.cookie.name} {words}"
            if line.idle and not line.cookie.prefix_faults():
                notes.append(f"{told}, but only to delete it.")
            else:
                # The same cookie, asked for once more by the same operation.
                number = again.exchange.number
                expected = Expectation("cookie", line.cookie.name, wanted, number) if wanted else None
                # Where the attribute is there, it is the value that must not be.
                value = again.cookie.attribute(wanted.rstrip("=")) if wanted else None
                if unwanted or value:
                    bad = unwanted or f"{wanted}{value}"
                    expected = Expectation("no cookie", line.cookie.name, bad, number)
                proof = (line.exchange, again.exchange)
                violations.append(Violation(line.operation, f"{told}.", severity, proof, expected))
        if violations:
            return Failed(tuple(violations), found.evidence, tuple(notes))
        operations = ", ".join(dict.fromkeys(line.operation for line in found.lines))
        reason = f"{len(found.lines)} Set-Cookie lines for {', '.join(found.names)} ({operations}) {passed}."
        return Passed(reason, found.evidence, tuple(notes))

    @staticmethod
    def _line_key(line: CookieLine) -> tuple[str, str, bool]:
        return line.operation, line.cookie.name, line.idle

    async def survey_cookies(self) -> SessionCookies:
        """Find the cookies and go the way twice. Called once per run, on a probe of its own."""
        account = await self.disposable("cookies") or self.account()
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            session = await self.sign_in(account, kind)
            jar = _jar(session.answer)
            if not jar:
                continue
            names = await self._authenticating(session, jar)
            if not names:
                continue
            tours = [await self._cookie_tour(session, names)]
            tours.append(
                await self._cookie_tour(await self.sign_in(account, kind, [session.credential]), names)
            )
            if not all(any(not line.idle for line in tour.lines) for tour in tours):
                raise Unclear("A second login did not set the session cookie again.")
            return SessionCookies(names, (tours[0], tours[1]), tuple(self.evidence))
        if any(carrier.kind is Kind.COOKIE for carrier in self.target.carriers):
            raise Missing(
                "No login is known that sets the session cookie.", self.target.remedies.get(Need.COOKIE, "")
            )
        raise Missing("Not applicable: no login sets a cookie that authenticates.", applicable=False)

    async def _authenticating(self, session: Session, jar: Mapping[str, str]) -> tuple[str, ...]:
        """Return the cookies without which the witness refuses, or that open it alone."""
        found = [name for name in jar if self.target.refresh is not None and self._is_refresh(name)]
        baseline = await self.baseline(self.witness, session.credential)
        whole = await self._send_jar(jar, "all cookies of the login", baseline, session)
        if session.credential.carrier.kind is Kind.COOKIE and not whole.accepted:
            raise Unclear(
                f"The cookies of the login did not open {self.witness.operation.name}: {whole.why}."
            )
        if not whole.accepted:
            return tuple(found)
        without = {
            name: await self._send_jar(
                {key: value for key, value in jar.items() if key != name},
                f"without cookie {name}",
                baseline,
                session,
            )
            for name in jar
        }
        for name, answer in without.items():
            if answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED):
                raise Unclear(f"The control without the cookie {name} failed: {answer.why}.")
        needed = [name for name, answer in without.items() if not answer.accepted]
        if not needed:
            alone = {
                name: await self._send_jar({name: jar[name]}, f"only cookie {name}", baseline, session)
                for name in jar
            }
            needed = [name for name, answer in alone.items() if answer.accepted]
        if not needed:
            raise Unclear("No single cookie of the login is the one that authenticates.")
        return tuple(dict.fromkeys((*needed, *found)))

    def _is_refresh(self, name: str) -> bool:
        refresh = self.target.refresh
        return refresh is not None and refresh.place == "cookie" and refresh.field == name

    async def _send_jar(
        self, jar: Mapping[str, str], label: str, baseline: Baseline, session: Session
    ) -> Answer:
        headers: list[tuple[str, str | bytes]] = list(session.credential.companions)
        if jar:
            headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items())))
        return await self.call(
            self.witness.operation,
            label=f"control: {label}",
            role=Role.CONTROL,
            headers=headers,
            baseline=baseline,
            pointer=self.witness.identity or None,
        )

    async def _cookie_tour(self, session: Session, names: Sequence[str]) -> CookieTour:
        """Collect every line for these cookies: login, witness, refresh, logout."""
        book = _Notebook()
        values = {name: value for name, value in _jar(session.answer).items() if name in names}
        for value in values.values():
            self.scene.recorder.redactor.learn(Secret(value))
        self._note_cookies(book, session.answer, values)
        cookies = "; ".join(f"{name}={value}" for name, value in _jar(session.answer).items())
        headers = (("Cookie", cookies), *session.credential.companions)
        seen = await self.call(self.witness.operation, label="look for the cookie's value", headers=headers)
        self._note_cookies(book, seen, values)
        if self.target.refresh is not None and session.refresh is not None:
            request = self.target.refresh.request(session.refresh)
            if self.target.refresh.place != "cookie":
                request = request.with_headers(("Cookie", cookies))
            renewal = await self.send(request, label="refresh", operation=self.target.refresh.operation.name)
            self._note_cookies(book, renewal, values)
            session = self._renewed_session(session, renewal)
        logout = self._logout_of(session)
        # A line that deletes the cookie is not worth the risk that A is logged out everywhere, under other checks.
        if logout is not None and session.account.expendable:
            ended = await self.call(logout.operation, session.credential, label="log out")
            self._note_cookies(book, ended, values)
        return CookieTour(tuple(book.lines), tuple(book.echoes))

    @staticmethod
    def _renewed_session(session: Session, renewal: Answer) -> Session:
        carrier = session.credential.carrier
        value = _jar(renewal).get(carrier.name) if carrier.kind is Kind.COOKIE else None
        if value is None:
            return session
        credential = session.credential.with_value(value)
        return Session(session.account, credential, session.refresh, session.answer)

    def _logout_of(self, session: Session) -> Logout | None:
        kind = session.credential.carrier.kind
        return next((logout for logout in self.target.logouts if logout.kind is kind), None)

    @staticmethod
    def _note_cookies(book: _Notebook, answer: Answer, values: Mapping[str, str]) -> None:
        # In process no server adds a Date.
        now = parse_date(answer.reply.header("date") or "") or datetime.now(UTC)
        operation = answer.exchange.operation
        for line in answer.reply.header_lines("set-cookie"):
            cookie = parse_set_cookie(line, longest=LONGEST_KEPT)
            if cookie is not None and cookie.name in values:
                idle = cookie.deletes(now) or cookie.value in ("", '""')
                book.lines.append(CookieLine(operation, cookie, idle, answer.exchange, now))
        texts = [
            (f"the header {name}", value)
            for name, value in answer.reply.headers
            if name.lower() != "set-cookie"
        ]
        texts.append(("the body", answer.reply.text))
        for name, value in values.items():
            if len(value) < SHORTEST_ECHO:
                continue
            book.echoes += [
                Echo(operation, f"{place} of its answer repeats the session cookie {name}", answer.exchange)
                for place, text in texts
                if value in text
            ]


def _jar(answer: Answer) -> dict[str, str]:
    """Return what a browser would send back after this answer."""
    jar: dict[str, str] = {}
    now = datetime.now(UTC)
    for line in answer.reply.header_lines("set-cookie"):
        cookie = parse_set_cookie(line, longest=LONGEST_KEPT)
        if cookie is None:
            continue
        jar.pop(cookie.name, None)
        if cookie.value and not cookie.deletes(now) and len(jar) < MOST_COOKIES:
            jar[cookie.name] = cookie.value
    return jar
