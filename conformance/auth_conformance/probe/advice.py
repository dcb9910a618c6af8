"""`must_say_what_is_wanted`: challenges that name accepted schemes and fitting errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Masked,
    Outcome,
    Passed,
    Role,
    Severity,
    Skipped,
    Verdict,
    Violation,
)
from auth_conformance.oracles.advice import challenges_in, unaccepted, without_realm, wrong_error
from auth_conformance.oracles.refusing import IN_BODIES, refuses
from auth_conformance.probe.gallery import NO_RIGHT
from auth_conformance.probe.refusals import Refusals, challenge_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation

# Protected operations besides the witnesses that are asked by a stranger.
_OTHERS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """One refusal and what its challenge should say. `error` is the fitting code, None for none."""

    label: str
    operation: Operation
    headers: tuple[tuple[str, str | bytes], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    statuses: tuple[int, ...] = (401,)


class Advice(Refusals):
    """Sentences about what a refused client learns."""

    async def must_say_what_is_wanted(self) -> Verdict:
        """Challenges name schemes that the operation takes, and the error code that fits."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        violations: list[Violation] = []
        unsure: list[str] = []
        judged = silent = in_bodies = 0
        statuses: set[int] = set()
        for question in await self._advice_asked():
            answer = await self._put_question(question, "")
            statuses.add(answer.status or 0)
            in_bodies += refuses(answer.status, answer.reply.json)
            silent += challenge_fault(answer.exchange.reply) is not None and answer.status == 401
            lines = answer.reply.header_lines("www-authenticate")
            challenges = challenges_in(lines)
            if answer.status is None or answer.outcome is Outcome.THROTTLED:
                unsure.append(f"{question.label} at {question.operation.name}: {answer.why}")
                continue
            if answer.judgement is not None or answer.status not in question.statuses or not challenges:
                self.notes.append(
                    f"not judged: {question.label} at {question.operation.name} ({answer.status})"
                )
                continue
            judged += 1
            faults = await self._unhelpful(question, answer)
            if not faults:
                continue
            again = await self._put_question(question, "again: ")
            if await self._unhelpful(question, again) != faults:
                unsure.append(
                    f"{question.operation.name} {faults[0][0]} ({question.label}) once, and then not"
                )
                continue
            message = f"{question.operation.name} {faults[0][0]} ({question.label})."
            proof = (answer.exchange, again.exchange)
            violations.append(Violation(question.operation.name, message, faults[0][1], proof))
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            once = {violation.operation: violation for violation in reversed(violations)}
            return Failed(tuple(once.values()), evidence, (*notes, *unsure))
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, notes)
        if not judged:
            return self._nothing_judged(silent, statuses, in_bodies=bool(in_bodies))
        return Passed(f"{judged} challenges name what would be accepted.", evidence, notes)

    def _nothing_judged(self, silent: int, statuses: set[int], *, in_bodies: bool) -> Verdict:
        """Why no challenge could be read: `silent` answers of 401 had none."""
        evidence = tuple(self.evidence)
        if silent:
            return Masked(
                "ERR101", f"{silent} answers of 401 carry no challenge that could be read", evidence
            )
        if all(300 <= status < 400 or status in NO_RIGHT for status in statuses):
            said = ", ".join(str(status) for status in sorted(statuses))
            return Skipped(f"Not applicable: nothing answers 401, strangers get {said}.", "", False)
        if in_bodies:
            return Skipped(f"Not applicable: {IN_BODIES}.", "", False)
        reason = "No answer of 401 carried a challenge that could be read."
        return Inconclusive(reason, "", evidence, tuple(self.notes))

    async def _put_question(self, question: Question, prefix: str) -> Answer:
        return await self.call(
            question.operation,
            label=f"{prefix}{question.label}",
            role=Role.ATTACK,
            headers=question.headers,
            query=question.query,
            fresh=bool(prefix),
        )

    async def _advice_asked(self) -> list[Question]:
        operations = [witness.operation for witness in self.witnesses]
        # Operations that take one kind only show best whether the challenge is the same for all of them.
        others = [
            item
            for item in self.target.operations
            if item.protected and item.method == "GET" and "{" not in item.path and item not in operations
        ]
        others.sort(key=lambda item: len(item.security or ()))
        found = [Question("no credential", operation) for operation in (*operations, *others[:_OTHERS])]
        if Kind.BEARER not in self.kinds():
            return found
        bearer = await self.credential(Kind.BEARER)
        wrong = self.bland(bearer)
        operation = self.witness.operation
        found.append(Question("a wrong token", operation, wrong.headers, wrong.query, "invalid_token"))
        if bearer.jwt is not None:
            forged = bearer.with_value(bearer.jwt.with_flipped_signature().text)
            found.append(
                Question(
                    "a token with a wrong signature", operation, forged.headers, forged.query, "invalid_token"
                )
            )
        # RFC 6750 §3.1: more than one method is an invalid request; whether it is refused is for TOK302.
        twice = (*bearer.headers, *bearer.headers)
        found.append(Question("two Authorization headers", operation, twice, (), "invalid_request", (400,)))
        found += await self._without_right(bearer.headers)
        return found

    async def _without_right(self, headers: Sequence[tuple[str, str | bytes]]) -> list[Question]:
        """The operation that A may not use, as the gallery of refusals found it."""
        gallery = await self.gallery()
        for item in gallery.refusals:
            operation = self.target.operation(item.answer.exchange.operation)
            if (
                item.group == "right"
                and item.status == 403
                and operation is not None
                and "{" not in operation.path
            ):
                return [
                    Question(
                        "a token without the right",
                        operation,
                        tuple(headers),
                        (),
                        "insufficient_scope",
                        (403,),
                    )
                ]
        return []

    async def _unhelpful(self, question: Question, answer: Answer) -> list[tuple[str, Severity | None]]:
        challenges = challenges_in(answer.reply.header_lines("www-authenticate"))
        faults: list[tuple[str, Severity | None]] = []
        if not question.headers and not question.query:
            accepted = self._schemes_of(question.operation)
            strange = unaccepted(challenges, accepted) if accepted else []
            if strange and not await self._takes_bearer(question.operation, strange):
                faults.append((f"asks for {', '.join(strange)}, which it does not take", Severity.MEDIUM))
        error = wrong_error(challenges, question.error)
        if error is not None:
            faults.append((error, None))
        if without_realm(challenges):
            faults.append(("asks for Basic without a realm", None))
        return faults

    async def _takes_bearer(self, operation: Operation, strange: Sequence[str]) -> bool:
        """Whether the only scheme that seemed strange gets in: then the document is wrong, which DOC102 says."""
        if list(strange) != ["bearer"] or Kind.BEARER not in self.kinds():
            return False
        live = await self.credential(Kind.BEARER)
        answer = await self.call(operation, live, label="whether the bearer that is asked for gets in")
        return answer.reply.ok

    def _schemes_of(self, operation: Operation) -> set[str]:
        """The authentication schemes that an operation takes, in the words of challenges."""
        declared = frozenset[str]().union(*(operation.security or ()))
        carriers = [item for item in self.target.carriers if item.scheme in declared] or (
            [item for item in self.target.carriers if item.kind in self.kinds()] if not declared else []
        )
        found: set[str] = set()
        for carrier in carriers:
            if carrier.kind is Kind.BASIC:
                found.add("basic")
            elif carrier.kind is Kind.BEARER:
                found |= {"bearer", carrier.prefix.lower() or "custom"}
            else:
                # Keys travel in Authorization as well, behind a word that challenges name.
                found |= {"custom", carrier.prefix.lower() or "custom"}
        return found
