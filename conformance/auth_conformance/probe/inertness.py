"""`must_be_inert` in a browser, and `must_grant_little` to pages of other origins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
from auth_conformance.oracles.browser import Fault, cacheable, header_faults, vary
from auth_conformance.oracles.cors import speaks_cors
from auth_conformance.probe.core import Answer, Missing
from auth_conformance.probe.described import Described
from auth_conformance.probe.listed import listed_origins
from auth_conformance.target import Operation
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.inside import failing_route
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

_EDGE = 'url = "https://staging.example.com"  # a proxy may add headers: ask where the public asks'
_ORIGINS = '[policy]\norigins = ["https://app.example.com"]  # every origin whose pages may use this service'
_LONGEST_AGE = 86_400
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SECRET_HEADERS = {
    "set-cookie",
    "set-cookie2",
    "authorization",
    "x-auth-token",
    "x-access-token",
}
_FORCED = "an unhandled exception"
_UNKNOWN = "an unknown path"
_MADE_UP = frozenset({_FORCED, _UNKNOWN})


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind of answer. `page` is an HTML page that is meant to be one."""

    label: str
    answer: Answer
    page: bool = False

    @property
    def operation(self) -> str:
        """Where it was asked for; in words where the path was made up, and is another one in the next run."""
        return self.label if self.label in _MADE_UP else self.answer.exchange.operation

    @property
    def words(self) -> str:
        """What it is, and where."""
        place = self.operation
        return _capital(place) if place == self.label else f"{place}, {self.label}"


class Inertness(Described):
    """Sentences about headers that browsers obey."""

    async def must_be_inert(self) -> Verdict:
        """Every kind of answer, errors included, carries the headers that take a browser's initiative away."""
        await self.must_answer()
        doubts: list[str] = []
        samples = await self._samples(doubts)
        if samples and samples[0].label == "a success" and samples[0].answer.reply.media_type == "text/html":
            # A service of pages: its errors are pages, too, and have something to load.
            samples = [replace(item, page=True) for item in samples]
        https = self.target.kind == "url" and self.target.address.startswith("https://")
        faults = {
            item.label: header_faults(item.answer.reply, https=https, page=item.page) for item in samples
        }
        if not https:
            self.notes.append("Strict-Transport-Security is not judged: browsers ignore it outside https")
        everywhere = self._missing_everywhere(faults)
        violations: list[Violation] = []
        at_edge: dict[str, None] = {}
        for sample in samples:
            own = [fault for fault in faults[sample.label] if (fault[0], fault[1]) not in everywhere]
            if self.target.kind == "url":
                own = faults[sample.label]
            else:
                at_edge |= dict.fromkeys(name for name, text in everywhere if text == "is missing")
            if own:
                violations += await self._again_faulty(sample, own, doubts, https=https)
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if at_edge:
            reason = (
                f"No answer of the application has {', '.join(at_edge)}: a proxy in front may add it, "
                "and in this process there is none."
            )
            return Inconclusive(reason, _EDGE, evidence, notes)
        if doubts or len(samples) < 3:
            reason = doubts[0] if doubts else "Too few kinds of answer could be had."
            return Inconclusive(reason, "", evidence, (*notes, *doubts[1:]))
        return Passed(f"{', '.join(item.label for item in samples)}: all answers are inert.", evidence, notes)

    def _missing_everywhere(self, faults: dict[str, list[Fault]]) -> set[tuple[str, str]]:
        """Headers that no answer has: what the application never sets, something in front may set."""
        lacking = [
            {(name, text) for name, text, _ in found if text == "is missing"} for found in faults.values()
        ]
        return set.intersection(*lacking) if lacking else set()

    async def _again_faulty(
        self, sample: Sample, own: list[Fault], doubts: list[str], *, https: bool
    ) -> list[Violation]:
        request = sample.answer.request
        again = await self._sent_again(sample, request)
        kept = set(header_faults(again.reply, https=https, page=sample.page))
        proven = [fault for fault in own if fault in kept]
        if not proven or again.status != sample.answer.status:
            name, text, _ = own[0]
            doubts.append(f"{sample.words}: {name} {text} once, and then not ({again.status}).")
            return []
        told = "; ".join(f"{name} {text}" for name, text, _ in proven)
        message = f"{sample.words}: {told}."
        worst = max((fault[2] for fault in proven), default=Severity.LOW)
        proof = (sample.answer.exchange, again.exchange)
        missing = next((name for name, text, _ in proven if text == "is missing"), "")
        expected = Expectation("header", missing) if missing else None
        return [Violation(sample.operation, message, worst, proof, expected, subject=sample.label)]

    async def _sent_again(self, sample: Sample, request: HttpRequest) -> Answer:
        if (sample.answer.status or 0) >= 500:
            forced = await self._forced(request, f"again: {sample.label}")
            return forced or sample.answer
        return await self.send(replace(request, fresh=True), label=f"again: {sample.label}", role=Role.ATTACK)

    async def _samples(self, doubts: list[str]) -> list[Sample]:
        found: list[Sample] = []

        async def ask(label: str, request: HttpRequest, wanted: range) -> None:
            answer = await self.send(request, label=label, role=Role.ATTACK)
            if answer.judgement is not None:
                doubts.append(f"{_capital(label)} was not seen: {answer.why}.")
            elif answer.status in wanted or answer.reply.soft:
                found.append(Sample(label, answer))
            else:
                self.notes.append(f"{label} was not seen: {request.method} is answered {answer.status}")

        witness = self.target.witness.operation if self.target.witness is not None else None
        if witness is not None and self.kinds():
            live = await self.credential()
            request = witness.request()
            owned = request.with_headers(*live.headers).with_query(*live.query)
            await ask("a success", owned, range(200, 300))
            await ask("a refused stranger", request, range(401, 404))
            for verb in self._verbs_not_at(witness)[:1]:
                await ask("a wrong verb", replace(owned, method=verb), range(405, 406))
        elif self.target.public is not None:
            await ask("a success", self.target.public.request(), range(200, 300))
        await ask(_UNKNOWN, HttpRequest("GET", f"/{self.word(12)}"), range(404, 405))
        login = next((item for item in self.target.logins if item.encoding in ("json", "form")), None)
        if login is not None:
            await ask("bad input", login.operation.request().with_json({}), range(400, 423))
        found += await self._documentation()
        forced = await self._forced(HttpRequest("GET", f"/{self.word(12)}"), _FORCED)
        if forced is not None and (forced.status or 0) >= 500:
            found.append(Sample(_FORCED, forced))
        return found

    async def _documentation(self) -> list[Sample]:
        page = next((item for item in ("/docs", "/redoc") if self.target.has_document), None)
        if page is None:
            return []
        answer = await self.send(HttpRequest("GET", page), label="the documentation", role=Role.ATTACK)
        shown = answer.reply.ok and answer.reply.media_type == "text/html"
        return [Sample("the documentation", answer, page=True)] if shown else []

    def _verbs_not_at(self, operation: Operation) -> list[str]:
        """Verbs that the path does not have, as far as is known; none that deletes."""
        taken = {item.method for item in self.target.operations if item.address == operation.address}
        return [verb for verb in ("PATCH", "PUT", "POST") if verb not in taken]

    async def _forced(self, request: HttpRequest, label: str) -> Answer | None:
        """In this process: what an exception in a handler is answered with."""
        transport = self.scene.recorder.transport
        if not isinstance(transport, AsgiTransport):
            return None
        with failing_route(transport.app, request.path, RuntimeError("forced")) as placed:
            if not placed:
                return None
            answer = await self.send(request, label=label, role=Role.ATTACK)
        self.scene.crashes = [crash for crash in self.scene.crashes if crash.exchange != answer.exchange]
        return answer

    # Pages of other origins.

    async def must_grant_little(self) -> Verdict:
        """Answers to other origins say what they depend on, and permit what the service has and no more."""
        await self.must_answer()
        listed = next((origin for origin in await listed_origins(self) if "://" in origin), None)
        stranger = f"https://{self.word(8)}.example"
        violations: list[Violation] = []
        doubts: list[str] = []
        asked = await self._origins_asked(listed, stranger, doubts)
        speaks = any(speaks_cors(answer.reply) for group in asked.values() for answer in group)
        for label, group in asked.items():
            exposed = [item for item in group if _exposed(item)]
            if len(exposed) > 1:
                told = f"{group[0].exchange.operation} lets a page read {', '.join(_exposed(exposed[0]))}."
                proof = tuple(item.exchange for item in exposed)
                violations.append(Violation(group[0].exchange.operation, told, Severity.LOW, proof))
            if _depends_in_silence(group):
                again = await self._origins_asked(listed, stranger, doubts, only=label)
                violations += _silent_twice(group, again.get(label, []))
        works = listed is None or any(
            item.reply.header("access-control-allow-origin") in (listed, "*")
            for group in asked.values()
            for item in group
        )
        if listed is not None:
            granted = await self._granted(listed, doubts)
            violations += granted[0]
            speaks = speaks or granted[1]
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            once = {violation.operation: violation for violation in reversed(violations)}
            return Failed(tuple(once.values()), evidence, notes)
        if doubts:
            return Inconclusive(doubts[0], "", evidence, (*notes, *doubts[1:]))
        if not speaks:
            raise Missing("Not applicable: no answer has CORS headers.", applicable=False)
        if not works:
            reason = f"No answer lets a page of {listed}, which is listed, read it."
            return Inconclusive(reason, _ORIGINS, evidence, notes)
        if listed is None:
            reason = "Which origins are listed is not known: what they are granted was not seen."
            return Inconclusive(reason, _ORIGINS, evidence, notes)
        return Passed(
            "Answers to origins are minimal, and say that they depend on the origin.", evidence, notes
        )

    async def _origins_asked(
        self, listed: str | None, stranger: str, doubts: list[str], *, only: str | None = None
    ) -> dict[str, list[Answer]]:
        """The same requests by a listed page, by a page of a stranger, and by no page.

        What met a limit says nothing about origins: then the three are no group.
        """
        requests = await self._requests_of_pages()
        found: dict[str, list[Answer]] = {}
        for label, request in requests.items():
            if only is not None and label != only:
                continue
            group = []
            for origin in dict.fromkeys((listed, stranger, None)):
                sent = request.from_origin(origin) if origin else request
                who = "no page" if origin is None else f"a page of {origin}"
                answer = await self._asked_as(sent, label, f"{label} for {who}")
                group += [answer] if answer is not None else []
            lost = next((item for item in group if item.judgement is not None and label != _FORCED), None)
            if lost is not None:
                doubts.append(f"{lost.exchange.label} got no usable answer: {lost.why}.")
            elif group:
                found[label] = group
        return found

    async def _requests_of_pages(self) -> dict[str, HttpRequest]:
        requests: dict[str, HttpRequest] = {}
        if self.target.witness is not None:
            bare = self.target.witness.operation.request()
            requests["a refusal"] = bare
            if self.kinds():
                live = await self.credential()
                requests["a success"] = bare.with_headers(*live.headers).with_query(*live.query)
        if self.target.public is not None:
            requests["a public answer"] = self.target.public.request()
        for document in self.target.documents[:1]:
            if document.path is not None and document.openly:
                requests["the document"] = HttpRequest("GET", document.path)
        requests[_UNKNOWN] = requests[_FORCED] = HttpRequest("GET", f"/{self.word(12)}")
        login = next((item for item in self.target.logins if item.encoding in ("json", "form")), None)
        if login is not None:
            requests["bad input"] = login.operation.request().with_json({})
        return requests

    async def _asked_as(self, request: HttpRequest, kind: str, label: str) -> Answer | None:
        if kind == _FORCED:
            return await self._forced(request, label)
        return await self.send(request, label=label, role=Role.ATTACK)

    async def _granted(self, listed: str, doubts: list[str]) -> tuple[list[Violation], bool]:
        """Preflights of a listed page: verbs that nothing implements, and headers that nobody reads."""
        path = self.target.witness.operation.address if self.target.witness is not None else "/"
        operation = Operation("OPTIONS", path.replace("{", "").replace("}", ""))
        violations: list[Violation] = []
        speaks = False

        async def preflight(verb: str, headers: str, prefix: str = "") -> Answer:
            return await self.call(
                operation,
                label=f"{prefix}preflight for {verb} with {headers or 'no header'}",
                role=Role.ATTACK,
                headers=(
                    ("Origin", listed),
                    ("Access-Control-Request-Method", verb),
                    *((("Access-Control-Request-Headers", headers),) if headers else ()),
                ),
            )

        implemented = {item.method for item in self.target.operations} | {"HEAD", "OPTIONS", "GET"}
        asked = [(verb, "") for verb in (*_VERBS, "TRACE")]
        asked += [("GET", "x-evil"), ("GET", "x-http-method-override")]
        for verb, names in asked:
            await self.paced()
            answer = await preflight(verb, names)
            if answer.judgement is not None:
                doubts.append(f"{answer.exchange.label} got no usable answer: {answer.why}.")
                break
            speaks = speaks or speaks_cors(answer.reply)
            faults = self._generous(answer, implemented, names)
            if faults:
                again = await preflight(verb, names, "again: ")
                if self._generous(again, implemented, names) == faults:
                    proof = (answer.exchange, again.exchange)
                    violations.append(
                        Violation(operation.name, f"A listed page {faults[0]}.", Severity.LOW, proof)
                    )
        return violations, speaks

    def _generous(self, answer: Answer, implemented: set[str], names: str) -> list[str]:
        if not answer.reply.ok or answer.reply.header("access-control-allow-origin") is None:
            return []
        faults = []
        methods = _listed(answer, "access-control-allow-methods")
        never = sorted(word for word in (item.upper() for item in methods) if word not in {*implemented, "*"})
        if "*" in methods:
            never += [verb for verb in _VERBS if verb not in implemented]
        if never and self.target.has_document:
            faults.append(f"may use {', '.join(never)}, which no operation implements")
        allowed = {item.lower() for item in _listed(answer, "access-control-allow-headers")}
        if names and (names in allowed or "*" in allowed):
            faults.append(f"may send the header {names}, or any other")
        age = answer.reply.header("access-control-max-age") or ""
        if age.isdecimal() and int(age[:12]) > _LONGEST_AGE:
            self.notes.append(f"a preflight is remembered for {age} seconds, more than a day")
        return faults


def _silent_twice(group: Sequence[Answer], again: Sequence[Answer]) -> list[Violation]:
    fault = _depends_in_silence(group)
    if not fault or not _depends_in_silence(again):
        return []
    proof = tuple(item.exchange for item in (*group, *again))
    expected = Expectation("header", "Vary", "origin")
    return [Violation(group[0].exchange.operation, fault, Severity.MEDIUM, proof, expected)]


def _depends_in_silence(group: Sequence[Answer]) -> str | None:
    """Whether what a cache keeps of one origin's answer would be given to another; in words."""
    allowed = {answer.reply.header("access-control-allow-origin") for answer in group}
    if len(allowed) < 2:
        return None
    silent = [item for item in group if cacheable(item.reply) and not vary(item.reply) & {"origin", "*"}]
    if not silent:
        return None
    name = group[0].exchange.operation
    return f"{name} allows one origin and not another, and its answer has no Vary: Origin."


def _exposed(answer: Answer) -> list[str]:
    """The headers with a credential that a page may read: only answers say so, preflights do not (Fetch §3.3.3)."""
    named = {item.lower() for item in _listed(answer, "access-control-expose-headers")}
    return sorted(named & _SECRET_HEADERS)


def _listed(answer: Answer, name: str) -> list[str]:
    return [
        part.strip() for line in answer.reply.header_lines(name) for part in line.split(",") if part.strip()
    ]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
