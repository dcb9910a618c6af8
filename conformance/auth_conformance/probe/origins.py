"""Pages of other origins: what a browser would let them read and send, judged by a model of the browser."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import reach_of
from auth_conformance.oracles.cors import may_read, may_send, speaks_cors
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.listed import listed_origins
from auth_conformance.probe.refusal import Refusal
from auth_conformance.secret import Secret
from auth_conformance.target import Login, Operation, styled

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer

_REMEDY = '[policy]\norigins = ["https://app.example.com"]  # every origin whose pages may use this service'

# What a cookie must say to be sent for pages of its own site only (RFC 6265bis §5.6.7.1): not all browsers take
# silence for Lax, and of a cookie that nobody saw set nothing is known.
# What browsers add to requests by themselves.
_ADDED = frozenset({Kind.COOKIE, Kind.BASIC})
_SAME_SITE = ("lax", "strict")


@dataclass(frozen=True, slots=True)
class Stranger:
    """An origin that nobody listed, and how it comes about. `severity` restates the check's."""

    origin: str
    why: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of a page: which operation, as what, with a Cookie header or without."""

    operation: Operation
    preflight: bool
    cookie: bool

    @property
    def words(self) -> str:
        """The question, for labels."""
        kind = "preflight of" if self.preflight else "read of"
        return f"{kind} {self.operation.name} {'with' if self.cookie else 'without'} a cookie"


@dataclass(slots=True)
class _Finds:
    """What the strangers found: ways that lead in, by question and by whether cookies go along."""

    proven: dict[tuple[str, tuple[bool, bool]], Violation] = field(default_factory=dict)
    seen: dict[tuple[str, tuple[bool, bool]], int] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    judged: int = 0

    @property
    def violations(self) -> list[Violation]:
        """One violation per way, with the number of origins for which it is open."""
        return [
            replace(item, message=f"{item.message} So may {self.seen[way] - 1} more origins.")
            if self.seen[way] > 1
            else item
            for way, item in self.proven.items()
        ]


def strangers(listed: tuple[str, ...], word: str) -> list[Stranger]:
    """Origins that look like a listed one to careless comparisons, and some that are always strangers."""
    found = [
        Stranger(f"https://{word}.example", "any other site"),
        Stranger("null", "a sandboxed frame or a local file"),
        Stranger("http://localhost", "any program on the user's machine"),
        Stranger("http://127.0.0.1:3000", "any program on the user's machine"),
        Stranger(f"chrome-extension://{word * 4}"[:51], "a browser extension"),
        Stranger("file://", "a local file"),
    ]
    concrete = [origin for origin in listed if origin.startswith(("http://", "https://"))]
    if concrete:
        found += _lookalikes(concrete[0], word)
    lower = {origin.lower() for origin in listed}
    once = {stranger.origin.lower(): stranger for stranger in reversed(found)}
    return [stranger for origin, stranger in reversed(once.items()) if origin not in lower]


def _lookalikes(listed: str, word: str) -> list[Stranger]:
    parts = urlsplit(listed)
    host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    secure = parts.scheme == "https"
    first, dot, rest = host.partition(".")
    found = [
        Stranger(f"{listed}.evil.example", "the listed origin as a prefix"),
        Stranger(f"{parts.scheme}://evil{host}{port}", "the listed host as a suffix"),
        Stranger(f"{parts.scheme}://{first}.evil.example", "only the first label is the listed one"),
        Stranger(
            f"{'http' if secure else 'https'}://{host}{port}", "the other scheme: the network writes it"
        ),
        Stranger(f"{parts.scheme}://{host}:{8443 if parts.port != 8443 else 9443}", "another port"),
        Stranger(f"{parts.scheme}://{word}.{host}{port}", "a sub-domain"),
        Stranger(f"{parts.scheme}://{host}.{port}", "a trailing dot", Severity.LOW),
        Stranger(f"{listed}`.evil.example", "a backtick: some browsers take it in a host"),
        Stranger(f"{listed}_.evil.example", "an underscore: browsers take it in a host"),
        Stranger(f"{listed}%60.evil.example", "an escape inside the host"),
        Stranger(f"{parts.scheme}://{host}{port}@evil.example", "the listed host as a user name"),
    ]
    if dot and rest:
        found.append(Stranger(f"{parts.scheme}://{first}X{rest}{port}", "a dot that matches any character"))
    return found


class Origins(Refusal):
    """Sentences about pages of other origins."""

    async def must_keep_origins_apart(self) -> Verdict:
        """No page of an unlisted origin reads an answer or gets permission to send; a listed one does."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        listed = tuple(origin for origin in await listed_origins(self) if origin != "*")
        asks = self._asks_of_pages()
        traces, works = await self._listed_origins(listed, asks, live)
        finds = _Finds()
        for stranger in strangers(listed, self.word(8)):
            for ask in asks:
                await self.paced()
                traces |= await self._try_origin(stranger, ask, live, finds)
        violations, unsure, judged = finds.violations, finds.unsure, finds.judged
        violations += await self._login_read(listed, unsure)
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(_once(violations), evidence, notes)
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, notes)
        if not traces:
            return Passed(
                f"No answer to {judged} requests with a foreign Origin speaks of CORS: "
                "browsers keep every other origin out.",
                evidence,
                notes,
            )
        if not works:
            said = (
                "The listed origins do not work either" if listed else "Which origins are listed is not known"
            )
            return Inconclusive(
                f"{said}: that the others are kept out proves little.",
                "" if listed else _REMEDY,
                evidence,
                notes,
            )
        return Passed(
            f"{judged} requests of pages of unlisted origins get nothing; {works[0]} works.", evidence, notes
        )

    def _asks_of_pages(self) -> list[Ask]:
        """Choose what is asked for each origin: the witness, a mutation and the login."""
        witness = self.witness.operation
        mutation = next(
            (
                operation
                for operation in self.target.operations
                if operation.method in ("PUT", "PATCH", "DELETE") and operation.security
            ),
            self.target.objects.create if self.target.objects is not None else witness,
        )
        asks = [Ask(witness, preflight=False, cookie=cookie) for cookie in (False, True)]
        asks += [Ask(mutation, preflight=True, cookie=cookie) for cookie in (False, True)]
        if self.target.logins:
            asks.append(Ask(self.target.logins[0].operation, preflight=True, cookie=False))
        return asks

    async def _listed_origins(
        self, listed: tuple[str, ...], asks: list[Ask], live: Credential
    ) -> tuple[bool, list[str]]:
        """Whether anything speaks of CORS, and the listed origins whose pages can read the witness."""
        traces, works = False, []
        for origin in listed[:2]:
            answer = await self._ask_as_page(asks[1], origin, live, role=Role.CONTROL)
            traces = traces or speaks_cors(answer.reply)
            if may_read(origin, answer.reply, credentials=False):
                works.append(origin)
        return traces, works

    async def _ask_as_page(
        self, ask: Ask, origin: str, live: Credential, *, role: Role = Role.ATTACK, again: bool = False
    ) -> Answer:
        headers: list[tuple[str, str | bytes]] = [("Origin", origin)]
        label = f"{'again: ' if again else ''}{ask.words} by a page of {origin}"
        if ask.cookie and (ask.preflight or live.carrier.kind is not Kind.COOKIE):
            # Some versions of some servers answer differently once there is any cookie.
            headers.append(("Cookie", "visited=1"))
        if ask.preflight:
            headers.append(("Access-Control-Request-Method", ask.operation.method))
            headers.append(("Access-Control-Request-Headers", ", ".join(self._headers_wanted(live))))
            operation = Operation("OPTIONS", _filled(ask.operation.path))
            return await self.call(operation, label=label, role=role, headers=headers, fresh=again)
        return await self.call(ask.operation, live, label=label, role=role, headers=headers, fresh=again)

    def _headers_wanted(self, live: Credential) -> list[str]:
        names = {"content-type"}
        if live.carrier.place == "header":
            names.add(live.carrier.name.lower())
        return sorted(names)

    def _allowed_to_page(
        self, stranger: Stranger, ask: Ask, answer: Answer, live: Credential
    ) -> tuple[bool, bool]:
        """Whether it works with the user's cookies, and whether it works without them."""
        if ask.preflight:
            with_cookies, without = (
                may_send(
                    stranger.origin,
                    answer.reply,
                    ask.operation.method,
                    self._headers_wanted(live),
                    credentials=credentials,
                )
                for credentials in (True, False)
            )
        else:
            with_cookies, without = (
                may_read(stranger.origin, answer.reply, credentials=credentials)
                for credentials in (True, False)
            )
        return with_cookies, without

    async def _judged_origin(
        self, stranger: Stranger, ask: Ask, answer: Answer, live: Credential
    ) -> Violation | None:
        again = await self._ask_as_page(ask, stranger.origin, live, again=True)
        with_cookies, without = self._allowed_to_page(stranger, ask, again, live)
        if not with_cookies and not without:
            return None
        if not with_cookies and "*" in self.target.policy.origins:
            # A public interface, by declaration: readable by all, and nobody's cookies go along.
            return None
        sent = await self._reach_of_session() if with_cookies else ""
        severity = stranger.severity or (Severity.LOW if not with_cookies else None)
        if with_cookies and stranger.severity is None:
            anybody = Kind.COOKIE in self.kinds() and sent not in _SAME_SITE
            severity = Severity.CRITICAL if anybody and not ask.preflight else Severity.HIGH
            if not _ADDED & set(self.kinds()):
                severity = Severity.MEDIUM  # a page has nothing to send: no browser adds tokens or keys
        does = "send" if ask.preflight else "read"
        added = "with the user's cookies" if _ADDED & set(self.kinds()) else "with cookies, if there are any"
        how = added if with_cookies else "without cookies"
        if sent in _SAME_SITE:
            how += f", which SameSite={sent} leaves to pages of the same site"
        message = (
            f"A page of {stranger.origin} ({stranger.why}) may {does} {ask.operation.name} {how}"
            f"{'' if with_cookies else ': a token that it has is enough'}."
        )
        expected = Expectation("no header", "Access-Control-Allow-Origin", stranger.origin)
        return Violation(ask.operation.name, message, severity, (answer.exchange, again.exchange), expected)

    async def _reach_of_session(self) -> str:
        """Whose pages browsers give the session cookie to: its SameSite; "" where nobody saw one set."""
        if Kind.COOKIE not in self.kinds():
            return ""

        async def seen() -> str:
            another = Origins(self.scene, self.rule)
            try:
                session = await another.log_in(another.account(), Kind.COOKIE)
            except (Missing, Unclear):
                return ""
            return reach_of(session.answer.reply.header_lines("set-cookie"), session.credential.carrier.name)

        return await self.scene.once("reach of the session", seen)

    async def _try_origin(self, stranger: Stranger, ask: Ask, live: Credential, finds: _Finds) -> bool:
        """Ask once as a page of that origin and keep what came of it; whether the answer speaks of CORS."""
        answer = await self._ask_as_page(ask, stranger.origin, live)
        if answer.judgement is not None:
            finds.unsure.append(f"{stranger.origin}, {ask.words}: {answer.why}")
            return speaks_cors(answer.reply)
        finds.judged += 1
        allowed = self._allowed_to_page(stranger, ask, answer, live)
        if any(allowed):
            # One proof for each way that leads in; further origins are counted.
            way = (ask.words, allowed)
            finds.seen[way] = finds.seen.get(way, 0) + 1
            if way not in finds.proven:
                violation = await self._judged_origin(stranger, ask, answer, live)
                if violation is not None:
                    finds.proven[way] = violation
        return speaks_cors(answer.reply)

    async def _login_read(self, listed: tuple[str, ...], unsure: list[str]) -> list[Violation]:
        """Read the login's own answer as three strangers: a wrong login, so that nobody is logged in."""
        login = next((login for login in self.target.logins if login.encoding != "basic"), None)
        if login is None:
            return []
        chosen = strangers(listed, self.word(8))
        for stranger in [chosen[0], chosen[1], chosen[-1]]:
            first = await self._wrong_login(login, stranger)
            if first.judgement is not None:
                unsure.append(f"{first.exchange.label}: {first.why}")
                return []
            if not may_read(stranger.origin, first.reply, credentials=True):
                continue
            second = await self._wrong_login(login, stranger)
            if may_read(stranger.origin, second.reply, credentials=True):
                name = login.operation.name
                message = f"A page of {stranger.origin} ({stranger.why}) may read {name} with cookies."
                expected = Expectation("no header", "Access-Control-Allow-Origin", stranger.origin)
                severity = Severity.HIGH if _ADDED & set(self.kinds()) else Severity.MEDIUM
                return [Violation(name, message, severity, (first.exchange, second.exchange), expected)]
        return []

    async def _wrong_login(self, login: Login, stranger: Stranger) -> Answer:
        style = "email" if "@" in self.account().username else "name"
        password = Secret(self.password())
        self.scene.recorder.redactor.learn(password)
        request = login.request(styled(f"nobody{self.word(8)}", style), password)
        return await self.send(
            request.from_origin(stranger.origin),
            label=f"a wrong login by a page of {stranger.origin}",
            role=Role.ATTACK,
            operation=login.operation.name,
        )


def _filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def _rank(violation: Violation) -> int:
    return violation.severity.rank if violation.severity is not None else Severity.HIGH.rank


def _once(violations: list[Violation]) -> tuple[Violation, ...]:
    """Keep the worst violation of each operation."""
    found: dict[str | None, Violation] = {}
    for violation in sorted(violations, key=lambda item: -_rank(item)):
        found.setdefault(violation.operation, violation)
    return tuple(found.values())
