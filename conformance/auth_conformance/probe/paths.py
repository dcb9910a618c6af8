"""`must_guard_spellings`: a protected path in every spelling that still routes, and headers that rewrite paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Outcome, Role, Verdict, Violation
from auth_conformance.oracles.normalise import masked
from auth_conformance.oracles.spellings import Spelling, other_versions, path_spellings
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.gaps import outlasted
from auth_conformance.probe.guarded import Guarded, privileged_reads
from auth_conformance.probe.infront import BLOCKS
from auth_conformance.probe.newcomers import Newcomers
from auth_conformance.probe.refusal import Refusal
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.wire import INSTALL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Operation

# Where a filter keeps the owner away, or everybody was refused, nothing is known of the spelling.
_SHUT = BLOCKS | {HTTPStatus.UNAUTHORIZED}
# How an operation of administrators refuses somebody else.
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
# Headers by which a proxy in front tells the path that it was asked for.
REWRITING = ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Prefix")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach an operation: its request, and how it is told."""

    label: str
    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Guard:
    """An operation of administrators, the answer beside which others are read, and what tells that it has opened."""

    operation: Operation
    control: Answer
    opened: Callable[[Answer], bool]


class Paths(Refusal, Guarded):
    """Writes request targets by hand."""

    async def must_guard_spellings(self) -> Verdict:
        """No spelling of a protected path, and no header, may open it. Needs the raw wire. Raises Unclear."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self._on_the_wire(live, baseline, "before")
        violations: list[Violation] = []
        doubts: list[str] = []
        routed = 0
        for way in self._ways(self.witness.operation):
            await self.paced()
            seen = await self._routed(way, live, baseline)
            if not seen.accepted:
                kept_away = seen.outcome is Outcome.INTERCEPTED and seen.status in _SHUT
                if kept_away or seen.outcome is Outcome.THROTTLED:
                    # What a filter keeps away today is open on the day that somebody else comes in.
                    doubts.append(f"{way.label}: {seen.why}")
                continue
            self.notes.append(f"routes: {way.label}")
            routed += 1
            outcome = await self._while_routed(way, live, baseline)
            if isinstance(outcome, Violation):
                violations.append(replace(outcome, evidence=(seen.exchange, *outcome.evidence)))
            elif outcome:
                doubts.append(outcome)
        guarded = await self._privileged_read(live)
        if guarded is not None:
            violations += await self._without_privilege(guarded, live, doubts)
        await self._on_the_wire(live, baseline, "after")
        reason = (
            f"{routed} other spellings of {self.witness.operation.name} lead to it, and each refused strangers; "
            "the others lead nowhere."
        )
        return self.decided(violations, doubts, reason)

    async def _on_the_wire(self, live: Credential, baseline: Baseline, when: str) -> None:
        """See that the plain target opens with A's credential and not without. Raises Unclear, or Missing."""
        for credential, wanted in ((live, Outcome.ACCEPTED), (None, Outcome.REJECTED)):
            request = self._carrying(self.witness.operation.request(), credential)
            answer = await self._judged(request, f"control {when}: the plain path", Role.CONTROL, baseline)
            if answer.reply.undelivered:
                raise Missing(f"Not tested: {answer.reply.error}.", INSTALL_SERVER)
            if answer.outcome is not wanted:
                raise Unclear(
                    f"The plain path gave no clear answer over the wire {when} the attack ({answer.why})."
                )

    def _ways(self, operation: Operation) -> list[Way]:
        """List the spellings of a path, its other versions, and the headers that name it at a public path."""
        path = operation.address
        spelled: list[Spelling] = [*path_spellings(path), *other_versions(path)]
        found = [
            Way(
                f"{item.target.decode('latin-1')} ({item.why})",
                replace(operation.request(), target=item.target),
            )
            for item in spelled
        ]
        public = self.target.public.address if self.target.public is not None else "/"
        for name in REWRITING:
            request = replace(operation.request(), path=public).with_headers((name, path))
            found.append(Way(f"{name}: {path} at {public}", replace(request, target=public.encode())))
        return found

    @staticmethod
    def _carrying(request: HttpRequest, credential: Credential | None) -> HttpRequest:
        if credential is None:
            return request
        if request.target is not None and credential.query:
            pair = "&".join(f"{name}={value}" for name, value in credential.query)
            mark = b"&" if b"?" in request.target else b"?"
            return replace(request, target=request.target + mark + pair.encode())
        return request.with_headers(*credential.headers).with_query(*credential.query)

    async def _judged(self, request: HttpRequest, label: str, role: Role, baseline: Baseline) -> Answer:
        return await self.send(
            request,
            label=label,
            role=role,
            operation=self.witness.operation.name,
            baseline=baseline,
            pointer=self.witness.identity or None,
            raw_wire=True,
        )

    async def _as_owner(self, way: Way, live: Credential, baseline: Baseline) -> Answer:
        """Ask with the owner's credential: only a spelling that leads to the operation is tested."""
        request = self._carrying(way.request, live)
        return await self._judged(request, f"does it route? {way.label}", Role.CONTROL, baseline)

    async def _routed(self, way: Way, live: Credential, baseline: Baseline) -> Answer:
        """The same, whoever was refused just then: what leads nowhere is not tried any further."""

        async def once() -> Answer:
            return await self._as_owner(way, live, baseline)

        return await outlasted(self, await once(), once)

    async def _while_routed(self, way: Way, live: Credential, baseline: Baseline) -> Violation | str | None:
        """What strangers get between two answers to the owner: what refuses everybody for a moment refused nobody."""
        for _ in range(2):
            outcome = await self._as_stranger(way, live, baseline)
            if outcome is not None:
                return outcome
            after = await self._as_owner(way, live, baseline)
            if after.accepted:
                return None
        return f"{way.label}: opened to its owner before strangers were refused, and not after ({after.why})"

    async def _as_stranger(self, way: Way, live: Credential, baseline: Baseline) -> Violation | str | None:
        """Ask without a credential, and with a bland one; a reproduced entry is a Violation."""
        bland = self.bland(live)
        for who, credential in (("a stranger", None), ("a bland wrong credential", bland)):
            request = self._carrying(way.request, credential)
            answer = await self._judged(request, f"{who}: {way.label}", Role.ATTACK, baseline)
            if answer.accepted:
                again = await self._judged(
                    replace(request, fresh=True), f"again: {who}: {way.label}", Role.ATTACK, baseline
                )
                if not again.accepted:
                    return f"{way.label}: opened once, then not ({again.why})"
                message = (
                    f"{self.witness.operation.name} let in {who}, written as {way.label} ({answer.why})."
                )
                return Violation(
                    self.witness.operation.name, message, None, (answer.exchange, again.exchange)
                )
            if not answer.rejected and answer.outcome is not Outcome.INTERCEPTED:
                # Another refusal than the application's own still is one: the operation was not reached.
                return f"{way.label}: {answer.why}"
        return None

    # As A, at an operation for administrators.

    async def _as_a(self, operation: Operation, way: Way, live: Credential, prefix: str) -> Answer:
        return await self.send(
            self._carrying(way.request, live),
            label=f"{prefix}A: {way.label}",
            role=Role.ATTACK,
            operation=operation.name,
            raw_wire=True,
        )

    async def _privileged_read(self, live: Credential) -> Guard | None:
        """An operation of administrators; None where there is none, or nothing would tell that it has opened."""
        if "admin" not in self.target.accounts:
            return await self._shut_to_a(live)
        try:
            operation, allowed = await self.guarded_read()
        except Missing:
            return None
        wanted = masked(allowed.reply.text)
        return Guard(operation, allowed, lambda answer: masked(answer.reply.text) == wanted)

    async def _shut_to_a(self, live: Credential) -> Guard | None:
        """What is named for administrators and refuses A: it has opened where A is told of both A and B."""
        if "b" in self.target.accounts:
            asking = Newcomers(self.scene, self.rule)
            people = [await asking.telling_names(label) for label in ("a", "b")]
            for operation in privileged_reads(self.target):
                refused = await self.seen_by(live, operation)
                if refused.judgement is None and refused.status in _REFUSED:
                    return Guard(operation, refused, lambda answer: asking.shows_all(answer, people, {}))
        self.notes.append("no administrator is known: spellings of their operations were not tried")
        return None

    async def _without_privilege(
        self, guarded: Guard, live: Credential, doubts: list[str]
    ) -> list[Violation]:
        operation = guarded.operation
        for way in self._ways(operation):
            await self.paced()
            proofs = []
            for prefix in ("", "again: "):
                ask = partial(self._as_a, operation, way, live, prefix)
                answer = await outlasted(self, await ask(), ask)
                kept_away = answer.outcome is Outcome.INTERCEPTED and answer.status == HTTPStatus.UNAUTHORIZED
                if kept_away or answer.outcome is Outcome.THROTTLED:
                    doubts.append(f"A: {way.label}: {answer.why}")
                if not answer.reply.ok or not guarded.opened(answer):
                    break
                proofs.append(answer.exchange)
            else:
                message = (
                    f"{operation.name} refuses an ordinary user, and answers one that writes it {way.label}."
                )
                return [
                    Violation(
                        operation.name,
                        message,
                        None,
                        (guarded.control.exchange, *proofs),
                        Expectation("refused", about=proofs[0].number),
                    )
                ]
        return []
