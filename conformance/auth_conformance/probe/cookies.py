"""Which cookies authenticate, found by leaving them out, and every line on which the service sets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Exchange,
    Expectation,
    Need,
    Outcome,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import SetCookie, write_cookie
from auth_conformance.probe.cookietours import CookieLine, CookieTour, CookieTours, Echo, keep
from auth_conformance.probe.core import CSRF_REMEDY, Answer, Missing, Session, Unclear

if TYPE_CHECKING:
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Two ways through each login: what shows in both is reproduced. `doubts` are what nobody saw."""

    names: tuple[str, ...]
    tours: tuple[CookieTour, CookieTour]
    doubts: tuple[str, ...]
    evidence: tuple[Exchange, ...]

    @property
    def lines(self) -> tuple[CookieLine, ...]:
        """The lines of both tours."""
        return self.tours[0].lines + self.tours[1].lines

    @property
    def echoes(self) -> tuple[tuple[Echo, Echo], ...]:
        """Each place that told a cookie's value in both tours."""
        first, second = ({(echo.operation, echo.place): echo for echo in tour.echoes} for tour in self.tours)
        return tuple((echo, second[key]) for key, echo in first.items() if key in second)


# What is wrong with a cookie, in words that follow "sets the session cookie NAME"; None if nothing is.
Fault = Callable[[SetCookie], str | None]
# The same of a line, with a severity that restates the rule's, or None.
LineFault = Callable[[CookieLine], tuple[str, Severity | None] | None]


class Cookies(CookieTours):
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
        besides: Sequence[Violation] = (),
    ) -> Verdict:
        """No line that sets a session cookie may have the fault; `passed` says what all of them have.

        `wanted` is the attribute that a sound line has, `unwanted` one that it has not. `besides` are violations
        that were found elsewhere.
        """

        def of_line(line: CookieLine) -> tuple[str, Severity | None] | None:
            wrong = fault(line.cookie)
            return None if wrong is None else (wrong, severity)

        return await self.must_write_cookies(
            of_line, passed, wanted=wanted, unwanted=unwanted, besides=besides
        )

    async def must_write_cookies(
        self,
        fault: LineFault,
        passed: str,
        *,
        wanted: str = "",
        unwanted: str = "",
        besides: Sequence[Violation] = (),
    ) -> Verdict:
        """No line for a session cookie may have the fault, in either of two ways through the service."""
        found = await self.session_cookies()
        self.evidence = list(found.evidence)
        violations: list[Violation] = []
        doubts = list(found.doubts)
        first, second = ({_key(line): line for line in tour.lines} for tour in found.tours)
        for key, line in {**second, **first}.items():
            wrong = fault(line)
            if wrong is None:
                continue
            words, severity = wrong
            told = f"{line.operation} sets the session cookie {line.cookie.name} {words}"
            again = second.get(key)
            if line.idle and not line.cookie.prefix_faults():
                self.notes.append(f"{told}, but only to delete it.")
            elif key not in first or again is None or fault(again) is None:
                doubts.append(f"{told}, once of two times")
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
        operations = ", ".join(dict.fromkeys(line.operation for line in found.lines))
        reason = f"{len(found.lines)} Set-Cookie lines for {', '.join(found.names)} ({operations}) {passed}."
        # A browser's changes may need a token of which nothing is known yet.
        refused = any(tour.barred for tour in found.tours)
        return self.decided([*violations, *besides], doubts, reason, CSRF_REMEDY if refused else "")

    async def survey_cookies(self) -> SessionCookies:
        """Find the cookies and go each way twice. Called once per run, on a probe of its own."""
        account = await self.disposable("cookies") or self.account()
        names: list[str] = []
        doubts: list[str] = []
        firsts: list[CookieTour] = []
        seconds: list[CookieTour] = []
        issuing = {login.operation.name: login for login in reversed(self.target.logins)}
        for login in reversed(issuing.values()):
            with self.doubting(doubts):
                found, gone = await self._of_login(account, login.carrier.kind)
                names += found
                firsts += gone[:1]
                seconds += gone[1:]
        tours = _joined(firsts), _joined(seconds)
        if names:
            doubts += dict.fromkeys(doubt for tour in tours for doubt in tour.doubts)
            return SessionCookies(tuple(dict.fromkeys(names)), tours, tuple(doubts), tuple(self.evidence))
        if doubts:
            raise Unclear(doubts[0])
        if any(carrier.kind is Kind.COOKIE for carrier in self.target.carriers):
            raise Missing(
                "No login is known that sets the session cookie.", self.target.remedies.get(Need.COOKIE, "")
            )
        raise Missing("Not applicable: no login sets a cookie that authenticates.", applicable=False)

    async def _of_login(self, account: Account, kind: Kind) -> tuple[tuple[str, ...], list[CookieTour]]:
        """The cookies of one login that authenticate, and two tours; none where it sets no such cookie."""
        # Only what may be lost is logged out (`_note_logout`): else one credential for all logins does no harm here.
        ends = account.expendable
        session = await self.sign_in(account, kind, ends=ends)
        jar: dict[str, str] = {}
        keep(jar, session.answer)
        names = await self._authenticating(session, jar) if jar else ()
        if not names:
            return (), []
        tours = [await self.cookie_tour(session, names)]
        again = await self.sign_in(account, kind, [session.credential], ends=ends)
        tours.append(await self.cookie_tour(again, names))
        if not all(any(not line.idle for line in tour.lines) for tour in tours):
            raise Unclear("A second login did not set the session cookie again.")
        # The last step of a tour was a logout, which may end well in silence: somebody has to be at home after it.
        last = (
            await self.sign_in(account, kind, [session.credential, again.credential], ends=ends)
        ).credential
        baseline = await self.baseline(self.witness, last)
        await self.must_live(self.witness, last, baseline, "after")
        return names, tours

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
        # What a header repeats has to be read by scripts for that: a CSRF token that everything needs is no login.
        repeated = {value for _, value in session.credential.companions}
        secret = [name for name in needed if not {jar[name], unquote(jar[name])} & repeated]
        return tuple(dict.fromkeys((*(secret or needed), *found)))

    def _is_refresh(self, name: str) -> bool:
        refresh = self.target.refresh
        return refresh is not None and refresh.place == "cookie" and refresh.field == name

    async def _send_jar(
        self, jar: Mapping[str, str], label: str, baseline: Baseline, session: Session
    ) -> Answer:
        headers: list[tuple[str, str | bytes]] = list(session.credential.companions)
        if jar:
            headers.append(("Cookie", write_cookie(jar.items())))
        return await self.at_witness(
            label=f"control: {label}", role=Role.CONTROL, headers=headers, baseline=baseline
        )


def _key(line: CookieLine) -> tuple[str, str, bool, tuple[str, str]]:
    """What tells a line from others: a cookie of another domain or path is another cookie."""
    return line.operation, line.cookie.name, line.idle, line.cookie.scope


def _joined(tours: Sequence[CookieTour]) -> CookieTour:
    """What several ways through showed together."""
    return CookieTour(
        tuple(line for tour in tours for line in tour.lines),
        tuple(echo for tour in tours for echo in tour.echoes),
        tuple(doubt for tour in tours for doubt in tour.doubts),
        any(tour.barred for tour in tours),
    )
