"""Private answers and caches: what the headers say, and what strangers are really given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.browser import cache_fault, refusal_fault
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.crossed import WHY, crossed
from auth_conformance.probe.objects import object_of
from auth_conformance.probe.sessions import Sessions
from auth_conformance.probe.ways import Ways

if TYPE_CHECKING:
    from auth_conformance.target import Login, Operation

# Names that caches take for files, and careless routers for the page itself.
_DECEPTIONS = ("/{word}.css", "%2f{word}.js", ";{word}.css", ".css")
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Private:
    """One private answer, got twice. `issues`: a credential is in it; `carrier`: where the request had its own."""

    answers: tuple[Answer, Answer]
    issues: bool
    carrier: str


class Caching(Sessions):
    """Sentences about answers that must not be kept."""

    async def must_not_be_cached(self) -> Verdict:
        """Private answers forbid to be stored, and nobody gets them in the place of their owner."""
        if proof := await crossed(self):
            message = f"{proof[0].operation} is answered out of a cache by its path alone: {WHY}."
            violation = Violation(proof[0].operation, message, Severity.CRITICAL, proof)
            return Failed((violation,), proof, ("what the answers say to caches was not judged behind it",))
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        violations: list[Violation] = []
        ways = Ways(self)
        found = await self._private_answers(ways)
        for item in found:
            faults = [
                cache_fault(
                    answer.reply,
                    issues=item.issues,
                    carrier=item.carrier,
                    posted=answer.exchange.request.method == "POST",
                )
                for answer in item.answers
            ]
            if faults[0] is None or faults[1] is None:
                continue
            operation = item.answers[0].exchange.operation
            proof = tuple(answer.exchange for answer in item.answers)
            expected = Expectation("header", "Cache-Control", "no-store")
            violations.append(
                Violation(operation, f"{operation} {faults[0][0]}.", faults[0][1], proof, expected)
            )
        violations += await self._kept_refusals()
        for kind in self.kinds():
            try:
                leak = await self._served_to_others(await self.credential(kind))
            except (Missing, Unclear) as reason:
                ways.closed(f"what others are given of what {kind.value} has fetched", reason)
                continue
            if leak is not None:
                violations.append(leak)
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            violations.sort(key=lambda item: -(item.severity or Severity.MEDIUM).rank)
            once = {violation.operation: violation for violation in reversed(violations)}
            ordered = sorted(once.values(), key=lambda item: -(item.severity or Severity.MEDIUM).rank)
            return Failed(tuple(ordered), evidence, notes)
        if not found:
            return Inconclusive("No private answer could be had.", "", evidence, notes)
        told = f"{len(found)} private answers are kept by no cache; strangers get none of them."
        return ways.settled(Passed(told, evidence, notes))

    async def _private_answers(self, ways: Ways) -> list[Private]:
        found: list[Private] = []
        seen: set[str] = set()
        for login in self.target.logins:
            if login.operation.name not in seen:
                seen.add(login.operation.name)
                found += await self._twice(login)
        found += await self._renewed_twice()
        found += await self._made_twice(ways)
        for kind in self.kinds():
            try:
                live = await self.credential(kind)
            except (Missing, Unclear) as reason:
                ways.closed(f"private data by {kind.value}", reason)
                continue
            for witness in self.witnesses if kind is self.kinds()[0] else self.witnesses[:1]:
                answers = [
                    await self.call(
                        witness.operation,
                        live,
                        label=f"{'again: ' if number else ''}private data by {kind.value}",
                        role=Role.ATTACK,
                        fresh=False,
                    )
                    for number in range(2)
                ]
                if all(answer.reply.ok for answer in answers):
                    found.append(Private((answers[0], answers[1]), issues=False, carrier=live.carrier.place))
        return found + await self._object_answers()

    async def _object_answers(self) -> list[Private]:
        """An object of A and A's list, where strangers are not shown them: what everybody may read is not private."""
        objects = self.target.objects
        if objects is None:
            return []
        try:
            identifier, live = await object_of(self, "a"), await self.credential()
        except (Missing, Unclear) as reason:
            self.notes.append(f"answers with objects were not read: {reason}")
            return []
        found: list[Private] = []
        for operation in filter(None, (objects.read, objects.listing)):
            values = self.at(identifier) if "{" in operation.path or operation is objects.read else None
            answers = [
                await self.call(operation, who, label=label, role=Role.ATTACK, values=values)
                for who, label in (
                    (None, "is the object private?"),
                    (live, "private data in an object"),
                    (live, "again: private data in an object"),
                )
            ]
            if not answers[0].reply.ok and answers[1].reply.ok and answers[2].reply.ok:
                found.append(Private((answers[1], answers[2]), issues=False, carrier=live.carrier.place))
        return found

    async def _kept_refusals(self) -> list[Violation]:
        """Refusals that a cache may keep: who comes with a credential would be given them."""
        operation = self.witness.operation
        proofs, words = [], ""
        for again in ("", "again: "):
            answer = await self.call(operation, label=f"{again}a refusal of strangers", role=Role.ATTACK)
            fault = refusal_fault(answer.reply) if answer.status in (401, 403) else None
            if fault is None:
                return []
            proofs.append(answer.exchange)
            words = fault
        expected = Expectation("header", "Cache-Control", "no-store")
        return [
            Violation(operation.name, f"{operation.name} {words}.", Severity.LOW, tuple(proofs), expected)
        ]

    async def _twice(self, login: Login) -> list[Private]:
        account = self.account()
        if account.password is None or login.encoding == "basic":
            return []
        answers = [
            await self.send(
                login.request(account.username, account.password),
                label=f"{'again: ' if number else ''}what a login answers",
                role=Role.ATTACK,
                operation=login.operation.name,
            )
            for number in range(2)
        ]
        for answer in answers:
            issued = login.read(answer.reply, account.label)
            if issued is None:
                return []
            self.scene.recorder.redactor.learn(issued.value)
            refresh = login.read_refresh(answer.reply)
            if refresh is not None:
                self.scene.recorder.redactor.learn(refresh)
        return [Private((answers[0], answers[1]), issues=True, carrier="")]

    async def _made_twice(self, ways: Ways) -> list[Private]:
        """What the creation of a key answers, where A may make one."""
        if self.target.keys is None:
            return []
        try:
            made = [await self.make_key() for _ in range(2)]
        except (Missing, Unclear) as reason:
            ways.closed("what the creation of a key answers", reason)
            return []
        return [Private((made[0][1], made[1][1]), issues=True, carrier="")]

    async def _renewed_twice(self) -> list[Private]:
        """What a refresh answers, of two sessions of their own: tokens, like those of the login (RFC 6749 §5.1)."""
        flow = self.target.refresh
        answers: list[Answer] = []
        if flow is None:
            return []
        giving = next((item for item in self.target.logins if item.refresh), None)
        kind = giving.carrier.kind if giving is not None else self._login_kind()
        for number in range(2):
            try:
                session = await self.sign_in(self.account(), kind)
            except (Missing, Unclear) as reason:
                self.notes.append(f"what a refresh answers was not read: {reason}")
                return []
            if session.refresh is None:
                return []
            answer = await self.send(
                flow.request(session.refresh),
                label=f"{'again: ' * number}what a refresh answers",
                role=Role.ATTACK,
                operation=flow.operation.name,
            )
            given = flow.read(answer.reply)
            if given is None:
                self.notes.append(f"{flow.operation.name} renewed nothing ({answer.why or answer.status})")
                return []
            for secret in filter(None, given):
                self.scene.recorder.redactor.learn(secret)
            answers.append(answer)
        return [Private((answers[0], answers[1]), issues=True, carrier="")]

    async def _served_to_others(self, live: Credential) -> Violation | None:
        """A's answer, fetched again by nobody and by B under the same URL: plain, and dressed up as a file."""
        path = self.witness.operation.address
        if "{" in path or not self.witness.identity:
            self.notes.append(
                f"whether caches give to others what {live.carrier.kind.value} has fetched was not seen"
            )
            return None
        dressed = [(path, True)]
        if live.carrier.kind is self.kinds()[0]:
            dressed += [(path + tail.format(word=self.word(6)), False) for tail in _DECEPTIONS]
        for place, plain in dressed:
            shown = await self._taken_over(place, live, plain=plain)
            if shown is None:
                continue
            again = await self._taken_over(place, live, plain=plain)
            if again is not None:
                asked = f"{self.witness.operation.method} {place}"
                message = f"{asked} gives what {live.owner} had fetched to somebody else."
                return Violation(self.witness.operation.name, message, Severity.CRITICAL, (*shown, *again))
        return None

    async def _strangers_unnamed(self, operation: Operation, pointer: str | None) -> None:
        """The control: under a URL that nobody has asked for yet, strangers are told no name. Raises Unclear."""
        stranger = await self.call(
            operation,
            label="control: a stranger, a new URL",
            role=Role.CONTROL,
            query=(("cb", self.word(10)),),
            pointer=pointer,
        )
        if stranger.exchange.reply.principal is not None:
            raise Unclear(f"{operation.name} names its caller to strangers already: TOK101 says more.")

    async def _taken_over(self, path: str, live: Credential, *, plain: bool) -> tuple[Exchange, ...] | None:
        mark = ("cb", self.word(10))
        baseline = await self.baseline(self.witness, live)
        operation = replace(self.witness.operation, path=path)
        pointer = self.witness.identity or None

        async def fetch(who: Credential | None, label: str) -> Answer:
            return await self.call(
                operation, who, label=label, role=Role.ATTACK, query=(mark,), pointer=pointer
            )

        if plain:
            await self._strangers_unnamed(operation, pointer)
        mine = await fetch(live, f"{live.owner} reads {path} by {live.carrier.kind.value}")
        if plain and mine.status in (400, 404, 422):
            self.notes.append(f"{operation.name} takes no further query: it was not asked under a new URL")
            return None
        if plain and not mine.reply.ok:
            raise Unclear(f"{live.owner} could not read {path} under a new URL ({mine.why or mine.status}).")
        if baseline.principal is None or mine.exchange.reply.principal != baseline.principal:
            return None
        others: list[Credential | None] = [None] * (_TRIES if plain else 1)
        if plain and "b" in self.target.accounts:
            try:
                others.append(await self.credential(live.carrier.kind, "b"))
            except (Missing, Unclear):
                self.notes.append(f"B has no {live.carrier.kind.value} credential to ask with")
        for other in others:
            theirs = await fetch(other, f"{'nobody' if other is None else other.owner} reads the same URL")
            if theirs.reply.ok and theirs.exchange.reply.principal == baseline.principal:
                return (mine.exchange, theirs.exchange)
        return None
