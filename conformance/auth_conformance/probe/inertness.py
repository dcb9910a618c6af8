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
    "x-csrf-token",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind of answer. `page` is an HTML page that is meant to be one."""

    label: str
    answer: Answer
    page: bool = False


class Inertness(Described):
    """Sentences about headers that browsers obey."""

    async def must_be_inert(self) -> Verdict:
        """Every kind of answer, errors included, carries the headers that take a browser's initiative away."""
        await self.must_answer()
        samples = await self._samples()
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
                violations += await self._again_faulty(sample, own, https=https)
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
        if len(samples) < 3:
            return Inconclusive("Too few kinds of answer could be had.", "", evidence, notes)
        return Passed(f"{', '.join(item.label for item in samples)}: all answers are inert.", evidence, notes)

    def _missing_everywhere(self, faults: dict[str, list[Fault]]) -> set[tuple[str, str]]:
        """Headers that no answer has: what the application never sets, something in front may set."""
        lacking = [
            {(name, text) for name, text, _ in found if text == "is missing"} for found in faults.values()
        ]
        return set.intersection(*lacking) if lacking else set()

    async def _again_faulty(self, sample: Sample, own: list[Fault], *, https: bool) -> list[Violation]:
        request = sample.answer.request
        again = await self._sent_again(sample, request)
        kept = set(header_faults(again.reply, https=https, page=sample.page))
        proven = [fault for fault in own if fault in kept]
        if not proven or again.status != sample.answer.status:
            return []
        told = "; ".join(f"{name} {text}" for name, text, _ in proven)
        message = f"{_capital(sample.label)}: {told}."
        worst = max((fault[2] for fault in proven), default=Severity.LOW)
        proof = (sample.answer.exchange, again.exchange)
        missing = next((name for name, text, _ in proven if text == "is missing"), "")
        expected = Expectation("header", missing) if missing else None
        return [Violation(f"{request.method} {sample.label}", message, worst, proof, expected)]

    async def _sent_again(self, sample: Sample, request: HttpRequest) -> Answer:
        if (sample.answer.status or 0) >= 500:
            forced = await self._forced(request.path)
            return forced or sample.answer
        return await self.send(replace(request, fresh=True), label=f"again: {sample.label}", role=Role.ATTACK)

    async def _samples(self) -> list[Sample]:
        found: list[Sample] = []

        async def ask(label: str, request: HttpRequest, wanted: range, *, page: bool = False) -> None:
            answer = await self.send(request, label=label, role=Role.ATTACK)
            if answer.judgement is None and answer.status in wanted:
                found.append(Sample(label, answer, page))

        if self.target.witness is not None and self.kinds():
            live = await self.credential()
            request = self.target.witness.operation.request()
            await ask(
                "a success", request.with_headers(*live.headers).with_query(*live.query), range(200, 300)
            )
            await ask("a refused stranger", request, range(401, 404))
            await ask(
                "a wrong verb", replace(request, method="PATCH").with_headers(*live.headers), range(405, 406)
            )
        elif self.target.public is not None:
            await ask("a success", self.target.public.request(), range(200, 300))
        await ask("an unknown path", HttpRequest("GET", f"/{self.word(12)}"), range(404, 405))
        login = next((item for item in self.target.logins if item.encoding in ("json", "form")), None)
        if login is not None:
            await ask("bad input", login.operation.request().with_json({}), range(400, 423))
        page = next((item for item in ("/docs", "/redoc") if self.target.has_document), None)
        if page is not None:
            answer = await self.send(HttpRequest("GET", page), label="the documentation", role=Role.ATTACK)
            if answer.reply.ok and answer.reply.media_type == "text/html":
                found.append(Sample("the documentation", answer, page=True))
        forced = await self._forced(f"/{self.word(12)}")
        if forced is not None and (forced.status or 0) >= 500:
            found.append(Sample("an unhandled exception", forced))
        return found

    async def _forced(self, path: str) -> Answer | None:
        """In this process: what an exception in a handler is answered with."""
        transport = self.scene.recorder.transport
        if not isinstance(transport, AsgiTransport):
            return None
        with failing_route(transport.app, path, RuntimeError("forced")) as placed:
            if not placed:
                return None
            answer = await self.send(
                HttpRequest("GET", path), label="an unhandled exception", role=Role.ATTACK
            )
        self.scene.crashes = [crash for crash in self.scene.crashes if crash.exchange != answer.exchange]
        return answer

    # Pages of other origins.

    async def must_grant_little(self) -> Verdict:
        """Answers to other origins say what they depend on, and permit what the service has and no more."""
        await self.must_answer()
        listed = next((origin for origin in self.target.policy.origins if "://" in origin), None)
        stranger = f"https://{self.word(8)}.example"
        violations: list[Violation] = []
        asked = await self._origins_asked(listed, stranger)
        speaks = any(speaks_cors(answer.reply) for group in asked.values() for answer in group)
        for label, group in asked.items():
            fault = _depends_in_silence(group)
            if fault:
                again = (await self._origins_asked(listed, stranger, only=label))[label]
                if _depends_in_silence(again):
                    proof = tuple(item.exchange for item in (*group, *again))
                    expected = Expectation("header", "Vary", "origin")
                    violations.append(
                        Violation(group[0].exchange.operation, fault, Severity.MEDIUM, proof, expected)
                    )
        if listed is not None:
            granted = await self._granted(listed)
            violations += granted[0]
            speaks = speaks or granted[1]
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            once = {violation.operation: violation for violation in reversed(violations)}
            return Failed(tuple(once.values()), evidence, notes)
        if not speaks:
            raise Missing("Not applicable: no answer has CORS headers.", applicable=False)
        if listed is None:
            reason = "Which origins are listed is not known: what they are granted was not seen."
            return Inconclusive(reason, _ORIGINS, evidence, notes)
        return Passed(
            "Answers to origins are minimal, and say that they depend on the origin.", evidence, notes
        )

    async def _origins_asked(
        self, listed: str | None, stranger: str, *, only: str | None = None
    ) -> dict[str, list[Answer]]:
        """The same requests by a listed page, by a page of a stranger, and by no page."""
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
        requests["an unknown path"] = HttpRequest("GET", f"/{self.word(12)}")
        found: dict[str, list[Answer]] = {}
        for label, request in requests.items():
            if only is not None and label != only:
                continue
            for origin in (listed, stranger, None):
                if origin is None and origin is listed and found.get(label) and len(found[label]) > 1:
                    continue
                sent = request.from_origin(origin) if origin else request
                who = "no page" if origin is None else f"a page of {origin}"
                answer = await self.send(sent, label=f"{label} for {who}", role=Role.ATTACK)
                found.setdefault(label, []).append(answer)
        return found

    async def _granted(self, listed: str) -> tuple[list[Violation], bool]:
        """Preflights of a listed page: verbs that nothing implements, and headers that nobody reads."""
        path = self.target.witness.operation.path if self.target.witness is not None else "/"
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
        if never and self.target.has_document:
            faults.append(f"may use {', '.join(never)}, which no operation implements")
        allowed = {item.lower() for item in _listed(answer, "access-control-allow-headers")}
        if names and (names in allowed or "*" in allowed):
            faults.append(f"may send the header {names}, or any other")
        exposed = {
            item.lower() for item in _listed(answer, "access-control-expose-headers")
        } & _SECRET_HEADERS
        if exposed:
            faults.append(f"may read {', '.join(sorted(exposed))}")
        age = answer.reply.header("access-control-max-age") or ""
        if age.isdecimal() and int(age[:12]) > _LONGEST_AGE:
            self.notes.append(f"a preflight is remembered for {age} seconds, more than a day")
        return faults


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


def _listed(answer: Answer, name: str) -> list[str]:
    return [
        part.strip() for line in answer.reply.header_lines(name) for part in line.split(",") if part.strip()
    ]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
