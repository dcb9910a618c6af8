"""`must_refuse` and `must_accept`: attacks between controls (checklist §1.3 SW, CR, TC, FC, RP)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Masked,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import Baseline
from auth_conformance.oracles.normalise import members
from auth_conformance.probe.core import EVERY, PARALLEL, ROOTS, TRUST, Answer, Core, Unclear
from auth_conformance.target import Witness
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.recorder import BudgetExceededError

# So many further ways in are named in a message; the evidence holds all.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attack: what is presented, and in whose words it is reported.

    `core` vectors must be delivered for a PASS. `severity` restates the rule's for this vector. `wire`
    vectors need the raw HTTP/1.1 writer. `edit` puts what is presented elsewhere: into the path or the body.
    """

    label: str
    credential: Credential | None = None
    headers: tuple[tuple[str, str | bytes], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    core: bool = True
    severity: Severity | None = None
    wire: bool = False
    edit: Callable[[HttpRequest], HttpRequest] | None = None


@dataclass(slots=True)
class _Tally:
    """What became of the attempts of one check, over all operations."""

    broken: list[tuple[Attempt, Violation]] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    delivered: int = 0

    def add(self, attempt: Attempt, outcome: Violation | str | None, remedy: str) -> None:
        """Count one: a reproduced acceptance, a clean refusal (None), or why it is neither."""
        if isinstance(outcome, Violation):
            self.broken.append((attempt, outcome))
        elif outcome is None:
            self.delivered += 1
        elif attempt.core:
            self.unclear.append(outcome)
            self.remedies.append(remedy)
        else:
            self.notes.append(f"not judged: {outcome}")


class Refusal(Core):
    """The sentence that carries most checks."""

    async def must_refuse(
        self,
        attempts: Iterable[Attempt],
        *,
        credential: Credential | None = None,
        at: Sequence[Witness] | None = None,
        twin: Attempt | tuple[Attempt, ...] | None = None,
        controls: Sequence[Attempt] = (),
        must_hold: Sequence[Attempt] = (),
        bland: bool = True,
        nobody_is_somebody: bool = False,
    ) -> Verdict:
        """Every attempt must be refused while the honest twin of it gets in before and after.

        `controls` are requests that must be ACCEPTED for the attack to prove anything (a forge control);
        `must_hold` are requests that must be REJECTED first (the attack without its trick). `twin` carries
        hostile bytes in an inert place (or in several) and must be ACCEPTED. Passed needs all controls and core
        vectors; where the policy trusts a filter in front, its refusals are refusals, and a note says so.
        `nobody_is_somebody` counts the live credential's kind of body as ACCEPTED though it names no caller.
        """
        live = credential or await self.credential()
        attempts = list(attempts)
        places = tuple(at or (self.witness,))
        twins = (twin,) if isinstance(twin, Attempt) else twin or ()
        tally = _Tally()
        for witness in places:
            baseline = await self.baseline(witness, live)
            await self.must_live(witness, live, baseline, "before")
            masked = await self._controlled(
                witness, live, baseline, (controls, twins, must_hold), bland=bland
            )
            if masked is not None:
                return masked
            answers = await self.together(witness, attempts, baseline, live)
            await self.must_live(witness, live, baseline, "after")
            for attempt, answer in zip(attempts, answers, strict=True):
                settle = self._settle_nobody if nobody_is_somebody else self._settle
                try:
                    outcome = await settle(witness, attempt, answer, baseline)
                except BudgetExceededError:
                    # Where most attacks get in, repeating all of them is more than a check may send.
                    if not tally.broken:
                        raise
                    tally.notes.append(f"{attempt.label}: got in, and was not sent again")
                else:
                    tally.add(attempt, outcome, self._remedy_for(answer))
        self.notes += tally.notes
        return self._concluded(tally, " and ".join(witness.operation.name for witness in places))

    async def witnesses_of(self, credential: Credential) -> tuple[Witness, ...]:
        """The witness, and one operation of another router that lets this credential in, where there is one.

        The second witness may ask for more than this credential can; then the list of objects serves.
        """
        first, *others = self.witnesses
        listing = self.target.objects.listing if self.target.objects is not None else None
        others += [Witness(listing, "")] if listing is not None else []
        await self.baseline(first, credential)
        for witness in others:
            try:
                await self.baseline(witness, credential)
            except Unclear:
                continue
            return first, witness
        self.notes.append("asked at one operation only: no other one lets this credential in")
        return (first,)

    async def refused_elsewhere(self, verdict: Verdict, attempt: Attempt, live: Credential) -> Verdict:
        """`verdict`, and the same attack once at each other router: one may read credentials in a way of its own."""
        if not isinstance(verdict, Passed | Inconclusive):
            return verdict
        refused, violations = 0, list[Violation]()
        others = [Witness(operation, "") for operation in self.other_routers(undeclared=True)]
        for witness in (*self.witnesses[1:], *others):
            with contextlib.suppress(Unclear):  # it lets nobody in, and shows nothing
                baseline = await self.baseline(witness, live)
                if baseline.open_to_strangers:
                    continue  # what everybody is shown says nothing of a credential
                outcome = await self._settle(
                    witness, attempt, await self.attempt(witness, attempt, baseline), baseline
                )
                refused += outcome is None
                violations += [outcome] if isinstance(outcome, Violation) else []
        if isinstance(verdict, Passed) and refused:
            verdict = replace(
                verdict, reason=f"{verdict.reason} {refused} other operation(s) refused one of them, too."
            )
        return self.joined(replace(verdict, evidence=tuple(self.evidence)), violations)

    async def must_accept(
        self, attempts: Sequence[Attempt], *, credential: Credential, severity: Severity, passed: Passed
    ) -> Verdict:
        """Every harmless variation of a good request gets in, else Failed with `severity`; else `passed`."""
        baseline = await self.baseline(self.witness, credential)
        violations: list[Violation] = []
        for attempt in attempts:
            answers = [
                await self.attempt(self.witness, attempt, baseline, role=Role.CONTROL, fresh=fresh)
                for fresh in (False, True)
            ]
            if all(answer.rejected for answer in answers):
                message = f"{self.witness.operation.name} refuses a live credential with {attempt.label}."
                evidence = tuple(answer.exchange for answer in answers)
                violations.append(Violation(self.witness.operation.name, message, severity, evidence))
            elif not any(answer.accepted for answer in answers):
                return Inconclusive(f"{attempt.label}: {answers[0].why}", "", tuple(self.evidence))
        await self.must_live(self.witness, credential, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        return (
            Failed(tuple(violations), evidence, notes) if violations else replace(passed, evidence=evidence)
        )

    async def _controlled(
        self,
        witness: Witness,
        live: Credential,
        baseline: Baseline,
        controls: tuple[Sequence[Attempt], tuple[Attempt, ...], Sequence[Attempt]],
        *,
        bland: bool,
    ) -> Masked | None:
        """The controls between the two good requests. Raises Unclear; Masked when a root cause shows."""
        accepted, twins, refused = controls
        for control in (*accepted, *twins):
            answer = await self.attempt(witness, control, baseline, role=Role.CONTROL)
            if not answer.accepted and not (control in twins and self._filtered(answer)):
                told = self._control_failed(control, answer, is_twin=control in twins)
                raise Unclear(told, self._remedy_for(answer) if control in twins else "")
        masked = await self._canonical(witness, live, baseline) if bland else None
        if masked is not None:
            return masked
        for control in refused:
            answer = await self.attempt(witness, control, baseline, role=Role.CONTROL)
            if await self._again(witness, control, answer, baseline):
                root = ROOTS[Kind.KEY] if live.carrier.kind is Kind.KEY else "TOK102"
                return Masked(root, f"{control.label} is accepted already", tuple(self.evidence))
            if not answer.rejected:
                raise Unclear(f"The control {control.label} was not refused: {answer.why}.")
        return None

    def _concluded(self, tally: _Tally, where: str) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if tally.broken:
            return Failed(tuple(self._by_operation(tally.broken)), evidence, notes)
        if tally.unclear:
            more = f" (and {len(tally.unclear) - 1} more)" if len(tally.unclear) > 1 else ""
            return Inconclusive(
                tally.unclear[0] + more,
                next(filter(None, tally.remedies), ""),
                evidence,
                notes,
            )
        if not tally.delivered:
            return Inconclusive("No attack could be delivered.", "", evidence, notes)
        reason = f"{tally.delivered} attacks on {where} refused; the live credential got in before and after."
        return Passed(reason, evidence, notes)

    def decided(
        self, violations: Sequence[Violation], doubts: Sequence[str], reason: str, remedy: str = ""
    ) -> Verdict:
        """Failed with all violations, else Inconclusive with the first doubt, else Passed for that reason."""
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if doubts:
            return Inconclusive(doubts[0], remedy, evidence, notes)
        return Passed(reason, evidence, notes)

    @staticmethod
    def gravest(verdicts: Sequence[Verdict]) -> Verdict:
        """The one that counts where a check asked several times: FAIL before INCONCLUSIVE before PASS."""
        order = (Failed, Masked, Inconclusive)
        ranked = sorted(
            verdicts,
            key=lambda verdict: next(
                (place for place, kind in enumerate(order) if isinstance(verdict, kind)), len(order)
            ),
        )
        return ranked[0]

    def joined(self, verdict: Verdict, more: Sequence[Violation]) -> Verdict:
        """A verdict with violations that were found besides; none leaves it as it is."""
        if not more:
            return verdict
        first = verdict.violations if isinstance(verdict, Failed) else ()
        return Failed((*first, *more), tuple(self.evidence), tuple(self.notes))

    async def must_live(
        self,
        witness: Witness,
        live: Credential,
        baseline: Baseline,
        when: str,
        moved: float = 0.0,
    ) -> Answer:
        """SW: the live credential gets in, as its owner. Raises Unclear."""
        witness = self.witness_for(live, witness)
        answer = await self.call(
            witness.operation,
            live,
            label=f"control {when}: live {live.carrier.kind.value} credential of {live.owner}",
            role=Role.CONTROL,
            baseline=baseline,
            pointer=witness.identity or None,
            moved=moved,
        )
        if not answer.accepted or answer.exchange.reply.principal != baseline.principal:
            raise Unclear(
                f"The control failed: {witness.operation.name} did not accept the live credential "
                f"{when} the attack ({answer.why}).",
            )
        return answer

    async def must_answer(self, when: str = "before") -> None:
        """The target lives: the witness names its caller, or something public answers. Raises Unclear."""
        if self.target.witness is not None and self.kinds():
            live = await self.credential()
            await self.must_live(self.witness, live, await self.baseline(self.witness, live), when)
        elif self.target.public is not None:
            await self.must_be_reachable()
        else:
            raise Unclear(
                "Neither a protected nor a public operation is known that could show a living service."
            )

    async def paced(self) -> None:
        """Ask for the control of `must_answer` when ten requests in a row got nothing. Raises Unclear.

        To be awaited before each attack of a long series: refusals by a service that refuses everybody for a
        while prove nothing, and a control before and after the series may miss it.
        """
        if len(self.lately) == EVERY and not any(self.lately):
            await self.must_answer("between two parts of")

    async def _canonical(self, witness: Witness, live: Credential, baseline: Baseline) -> Masked | None:
        bland = Attempt("control: a bland wrong credential", self.bland(live))
        answer = await self.attempt(witness, bland, baseline, role=Role.CONTROL)
        if await self._again(witness, bland, answer, baseline):
            root = ROOTS[live.carrier.kind]
            if root == self.rule.code:
                return None
            return Masked(root, "a meaningless credential is accepted already", tuple(self.evidence))
        if not answer.rejected:
            raise Unclear(
                f"A bland wrong credential was not clearly refused: {answer.why}.", self._remedy_for(answer)
            )
        return None

    async def _again(self, witness: Witness, control: Attempt, first: Answer, baseline: Baseline) -> bool:
        """RP: whether what must not be accepted is so twice: once may be somebody else's answer. Raises Unclear."""
        if not first.accepted:
            return False
        again = await self.attempt(witness, control, baseline, role=Role.CONTROL, fresh=True)
        if not again.accepted:
            raise Unclear(f"{control.label}: accepted once, then not ({again.why}).")
        return True

    async def attempt(
        self,
        witness: Witness,
        attempt: Attempt,
        baseline: Baseline,
        *,
        role: Role = Role.ATTACK,
        fresh: bool = False,
        moved: float = 0.0,
    ) -> Answer:
        """Send one attempt at `witness` and judge it."""
        return await self.call(
            witness.operation,
            attempt.credential,
            label=attempt.label,
            role=role,
            headers=attempt.headers,
            query=attempt.query,
            baseline=baseline,
            pointer=witness.identity or None,
            fresh=fresh,
            moved=moved,
            raw_wire=attempt.wire,
            edit=attempt.edit,
        )

    async def together(
        self,
        witness: Witness,
        attempts: Sequence[Attempt],
        baseline: Baseline,
        live: Credential,
    ) -> list[Answer]:
        """Send all attempts, a few at a time; answers come in the attempts' order.

        After every ten the live credential must get in: a service that refuses everybody for a while refuses
        no attack. Raises Unclear.
        """
        gate = asyncio.Semaphore(PARALLEL)

        async def one(attempt: Attempt) -> Answer:
            async with gate:
                return await self.attempt(witness, attempt, baseline)

        answers: list[Answer] = []
        for start in range(0, len(attempts), EVERY):
            if start:
                await self.must_live(witness, live, baseline, "between two parts of")
            answers += await asyncio.gather(*(one(item) for item in attempts[start : start + EVERY]))
        return answers

    async def _settle(
        self,
        witness: Witness,
        attempt: Attempt,
        answer: Answer,
        baseline: Baseline,
    ) -> Violation | str | None:
        """A reproduced acceptance as Violation, a clean refusal as None, anything else in words."""
        if answer.rejected or self._filtered(answer):
            return None
        if not answer.accepted:
            return f"{attempt.label}: {answer.why}"
        again = await self.attempt(
            witness,
            replace(attempt, label=f"again: {attempt.label}"),
            baseline,
            fresh=True,
        )
        if not again.accepted:
            return f"{attempt.label}: accepted once, then not ({again.why})"
        if by_cache(again.reply):
            return f"{attempt.label}: a cache answered in the application's place (Age)"
        before = [item for item in self.evidence if item.role is Role.CONTROL][:2]
        return Violation(
            witness.operation.name,
            f"{witness.operation.name} let in {attempt.label} ({answer.why}).",
            attempt.severity,
            (*before, answer.exchange, again.exchange),
        )

    async def _settle_nobody(
        self, witness: Witness, attempt: Attempt, answer: Answer, baseline: Baseline
    ) -> Violation | str | None:
        """As `_settle`; a body of the live credential's kind without a name in it is an acceptance, too."""
        if not _serves_nobody(answer, baseline):
            return await self._settle(witness, attempt, answer, baseline)
        again = await self.attempt(
            witness, replace(attempt, label=f"again: {attempt.label}"), baseline, fresh=True
        )
        if not _serves_nobody(again, baseline) or by_cache(again.reply):
            return f"{attempt.label}: served once, then not ({again.why})"
        message = f"{witness.operation.name} let in {attempt.label}, as nobody."
        evidence = (answer.exchange, again.exchange)
        return Violation(witness.operation.name, message, attempt.severity, evidence)

    def _by_operation(self, broken: Sequence[tuple[Attempt, Violation]]) -> list[Violation]:
        """One violation per operation: the first way in is told, the others are named."""
        groups: dict[str | None, list[tuple[Attempt, Violation]]] = {}
        for attempt, violation in broken:
            groups.setdefault(violation.operation, []).append((attempt, violation))
        merged = []
        for operation, group in groups.items():
            first = group[0][1]
            others = "; ".join(attempt.label for attempt, _ in group[1 : 1 + _NAMED])
            if len(group) > 1 + _NAMED:
                others += f"; and {len(group) - 1 - _NAMED} more"
            merged.append(
                Violation(
                    operation,
                    first.message + (f" Likewise: {others}." if others else ""),
                    max(violation.severity or self.rule.severity for _, violation in group),
                    tuple(
                        dict.fromkeys(exchange for _, violation in group for exchange in violation.evidence),
                    ),
                ),
            )
        return merged

    def _filtered(self, answer: Answer) -> bool:
        """Whether a filter refused it which is declared as part of the defence (checklist §1.3 TC)."""
        trusted = self.target.policy.trust_waf and answer.outcome is Outcome.INTERCEPTED
        refused = trusted and answer.status is not None
        told = "something in front refused attacks, and the policy trusts it (trust_waf)"
        if refused and told not in self.notes:
            self.notes.append(told)
        return refused

    def _remedy_for(self, answer: Answer) -> str:
        if answer.outcome is Outcome.INTERCEPTED and not self.target.policy.trust_waf:
            return TRUST
        if answer.outcome is Outcome.AMBIGUOUS:
            word = "redirect" if answer.status in range(300, 400) else "envelope"
            return f'[policy]\nrefusals = ["{word}"]  # if that is how this service refuses'
        return ""

    @staticmethod
    def _control_failed(control: Attempt, answer: Answer, *, is_twin: bool) -> str:
        if is_twin:
            return f"A filter reacts to the bytes of the attack, not the application: {control.label} ({answer.why})."
        return f"The control {control.label} was not accepted ({answer.why}): refusals would prove nothing."


def _serves_nobody(answer: Answer, baseline: Baseline) -> bool:
    seen, good = answer.exchange.reply, baseline.good
    if answer.outcome is not Outcome.AMBIGUOUS or not answer.reply.ok or seen.media_type != good.media_type:
        return False
    return bool(members(good.shape)) and members(seen.shape) == members(good.shape)
