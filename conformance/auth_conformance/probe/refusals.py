"""How the application refuses: the challenge, the status, and one body for every error."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Outcome,
    Passed,
    Reply,
    Role,
    Severity,
    Skipped,
    Verdict,
    Violation,
)
from auth_conformance.oracles.challenge import parse_challenges
from auth_conformance.oracles.contract import (
    ErrorCase,
    breach_of,
    contract_among,
    disagreements,
    read_error,
)
from auth_conformance.oracles.entry import sends_strangers_away
from auth_conformance.oracles.refusing import IN_BODIES, refuses
from auth_conformance.probe.core import Answer, Missing
from auth_conformance.probe.gallery import (
    HIDDEN_OR_UNKNOWN,
    NO_RIGHT,
    Gallery,
    Provoking,
    Refused,
)
from auth_conformance.probe.minting import Minting

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENOUGH_CAUSES = 3
_INJECTED = "Injected"
_REDACTED = re.compile("\u2039[^\u203a]*\u203a")  # how the redactor marks what it took out


def _as_asked(exchange: Exchange) -> str:
    """The operation, by the method that was sent: what tries other methods than its own is told as what it did."""
    method, _, path = exchange.operation.partition(" ")
    return (
        exchange.operation
        if not path or method == exchange.request.method
        else f"{exchange.request.method} {path}"
    )


def _refused_otherwise(gallery: Gallery) -> list[Refused]:
    """What strangers and wrong credentials got in place of a 401: a redirect, or another refusal."""
    return [
        item
        for item in gallery.hung
        if item.group == "credential" and (300 <= item.status < 400 or item.status in NO_RIGHT)
    ]


class Refusals(Minting):
    """Sentences about how the application refuses."""

    async def gallery(self) -> Gallery:
        """Every refusal that can be provoked without harm, provoked once per run. Raises Unclear."""
        gallery = await self.scene.once("gallery of refusals", Provoking(self.scene, self.rule).all)
        self.evidence += [item.answer.exchange for item in gallery.hung]
        return gallery

    async def must_challenge(self) -> Verdict:
        """Every 401 of the run so far carries a well-formed challenge, and none that the caller wrote."""
        gallery = await self.gallery()
        causes = {item.cause for item in gallery.refusals if item.status == HTTPStatus.UNAUTHORIZED}
        seen = self._unchallenged(gallery)
        unsure: list[str] = []
        violations = []
        for operation, faults in seen.items():
            again = next(
                (item for item in gallery.refusals if _as_asked(item.answer.exchange) == operation), None
            )
            proof = [exchange for exchange, _ in faults]
            if again is not None:
                answer = await self._refused_again(again)
                if (
                    challenge_fault(answer.exchange.reply) is not None
                    and answer.status == HTTPStatus.UNAUTHORIZED
                ):
                    proof.append(answer.exchange)
            if len(proof) < 2:
                unsure.append(f"{operation}: {faults[0][1]}, but seen once only")
                continue
            message = f"{operation} answers 401, and {faults[0][1]}."
            scheme = challenge_fault(proof[0].reply)
            missing = (
                scheme is not None
                and proof[0].reply.headers
                and not any(name.lower() == "www-authenticate" for name, _ in proof[0].reply.headers)
            )
            expected = Expectation("header", "WWW-Authenticate") if missing else None
            # No client waits for the challenge of a page with a form, and a browser would ask for a password over it.
            pages = all("html" in exchange.reply.media_type for exchange in proof)
            severity = Severity.LOW if missing and pages else None
            violations.append(Violation(operation, message, severity, tuple(proof[:6]), expected))
        injected = await self._injected_challenge()
        if injected is not None:
            violations.append(injected)
        count = len({exchange.number for exchange in self.scene.refusals_seen})
        if violations or unsure:
            return self._concluded_refusals(violations, unsure, "")
        otherwise = _refused_otherwise(gallery)
        if not count and not causes and len(otherwise) >= _ENOUGH_CAUSES:
            # Whether that is right is the business of ERR103.
            said = ", ".join(str(status) for status in sorted({item.status for item in otherwise}))
            return Skipped(
                f"Not applicable: nothing answers 401: {len(otherwise)} causes got {said}.", "", False
            )
        in_bodies = any(refuses(item.answer.status, item.answer.reply.json) for item in gallery.hung)
        if len(causes) < _ENOUGH_CAUSES and in_bodies:
            return Skipped(f"Not applicable: {IN_BODIES}.", "", False)
        if len(causes) < _ENOUGH_CAUSES:
            return Inconclusive(
                f"Only {len(causes)} causes were answered 401 ({', '.join(sorted(causes)) or 'none'}).",
                "",
                tuple(self.evidence),
            )
        return self._concluded_refusals(
            [], [], f"{count} answers of 401, of {len(causes)} causes, carry a challenge."
        )

    def _unchallenged(self, gallery: Gallery) -> dict[str, list[tuple[Exchange, str]]]:
        """Each 401 of the run without a proper challenge, by operation, with what is wrong with it."""
        seen: dict[str, dict[int, tuple[Exchange, str]]] = {}
        for exchange in (*self.scene.refusals_seen, *(item.answer.exchange for item in gallery.hung)):
            own = gallery.own(exchange) and exchange.outcome is not Outcome.INTERCEPTED
            fault = challenge_fault(exchange.reply)
            if exchange.reply.status == HTTPStatus.UNAUTHORIZED and own and fault is not None:
                seen.setdefault(_as_asked(exchange), {})[exchange.number] = (exchange, fault)
        return {operation: list(faults.values()) for operation, faults in seen.items()}

    async def _injected_challenge(self) -> Violation | None:
        """Look for a challenge that the caller has written into the answer; it must show twice."""
        value = f'Bearer x", {_INJECTED} realm="x'
        answers = [
            await self.call(
                self.witness.operation,
                label="a bearer value that ends a quoted string",
                role=Role.ATTACK,
                headers=(("Authorization", value),),
                fresh=number == 1,
            )
            for number in range(2)
        ]
        for answer in answers:
            lines = answer.reply.header_lines("www-authenticate")
            if not any(_INJECTED.lower() in line.lower() and f'"{_INJECTED}' not in line for line in lines):
                return None
            if not any(_splits(line) for line in lines):
                return None
        return Violation(
            self.witness.operation.name,
            "What the caller sends is written into the challenge unescaped.",
            None,
            tuple(answer.exchange for answer in answers),
        )

    async def must_mean_its_status(self) -> Verdict:
        """401 for who is unknown, 403 or 404 for who may not, and nothing else for either."""
        gallery = await self.gallery()
        violations: list[Violation] = []
        unsure: list[str] = []
        remedy = ""
        right: list[str] = []
        for item in (item for item in gallery.hung if item.expected is not None):
            fault = self._status_fault(item, item.answer, gallery)
            if fault is None:
                right.append(item.cause)
            elif fault is not _NOT_JUDGED:
                again = await self._refused_again(item)
                if (
                    self._status_fault(item, again, gallery) in (None, _NOT_JUDGED)
                    or again.status != item.status
                ):
                    unsure.append(f"{item.cause}: {fault}, then {again.status}")
                    continue
                proof = (*item.after, item.answer.exchange, again.exchange)
                violations.append(
                    Violation(
                        item.answer.exchange.operation,
                        f"{_sentence(item.cause)}: {fault}.",
                        None,
                        proof,
                        Expectation("status", value=" ".join(map(str, sorted(item.expected or ())))),
                    )
                )
            elif item.core:
                status = item.answer.status or 0
                told = f"answered {status}"
                if 200 <= status < 300:
                    told += ": let in and not refused, which another check judges"
                    remedy = _SHARED if item.group == "right" and self.target.objects is not None else remedy
                unsure.append(f"{_sentence(item.cause)}: {item.answer.why or told}")
            else:
                self.notes.append(f"not judged: {item.cause} ({item.answer.why or item.answer.status})")
        self.notes += [f"not provoked: {reason}" for reason in gallery.absent]
        if any(300 <= int(item.evidence[0].reply.status or 0) < 400 for item in violations if item.evidence):
            self.notes.append(
                'if strangers are meant to be redirected, declare: [policy] refusals = ["redirect"]'
            )
        groups = {item.group for item in gallery.hung if item.cause in right}
        if self.target.objects is not None and "right" not in groups and not violations:
            unsure.append("No answer to a caller without the right could be judged")
        return self._concluded_refusals(
            violations, unsure, f"{len(right)} kinds of refusal have a status that says why.", remedy
        )

    def _status_fault(self, item: Refused, answer: Answer, gallery: Gallery) -> str | None:
        expected = item.expected or frozenset()
        status = answer.status or 0
        words = " or ".join(map(str, sorted(expected)))
        policy = self.target.policy.refusals
        if status in expected:
            return None
        if answer.judgement is not None or status == 0 or not gallery.own(answer.exchange):
            # Crashes are judged by ERR108, throttles say nothing, and others answer for themselves.
            return _NOT_JUDGED
        form = item.answer.exchange.operation in {login.operation.name for login in self.target.logins}
        if form and status < 400 and ("html" in answer.reply.media_type or status >= 300):
            return _NOT_JUDGED  # the form again, for people: which status it has, no client asks
        if refuses(status, answer.reply.json):
            return None  # by its protocol the body says no, under a 200
        if 200 <= status < 300:
            # What is open although the document protects it is for DOC101 to say.
            elsewhere = item.group == "right" or item.expected is HIDDEN_OR_UNKNOWN
            let_in = answer.exchange.reply.principal is not None or elsewhere
            # Who was let in is not refused: that is for the checks of that credential to say.
            same = answer.exchange.reply.digest == gallery.good.digest
            return (
                _NOT_JUDGED if let_in or same or "envelope" in policy else f"answered {status}, not {words}"
            )
        if 300 <= status < 400:
            # Whoever has no live session is shown where to get one: as declared, or as pages do it.
            meant = "redirect" in policy
            if item.group == "credential" and (meant or self._shown_the_login(answer, gallery)):
                return None
            if meant:
                return _NOT_JUDGED
        return f"answered {status}, not {words}"

    def _shown_the_login(self, answer: Answer, gallery: Gallery) -> bool:
        """Whether a page refuses by a redirect to the one page of this origin to which it sends all strangers."""
        asked = self.witness.operation.name
        first = next((item.answer for item in gallery.hung if item.answer.exchange.operation == asked), None)
        if first is None or "html" not in gallery.good.media_type:
            return False
        return sends_strangers_away(
            gallery.good,
            first.exchange.reply,
            answer.exchange.reply,
            path=answer.request.path,
            origin=self.scene.origin,
        )

    async def must_share_one_error_body(self) -> Verdict:
        """Every error has the members of the others, in one place, with codes that tell causes apart.

        Which members these are is declared, or what most errors hold. Raises Missing where errors are pages.
        """
        gallery = await self.gallery()
        unsure: list[str] = []
        pairs = []
        for item in gallery.refusals:
            answer = await self._refused_again(item) if _cut(item.answer) else item.answer
            if _cut(answer):
                unsure.append(f"{item.cause}: the body was cut short on its way, and so it says nothing")
            else:
                whole = replace(item, answer=answer)
                pairs.append((whole, _case(whole, answer)))
        cases = [case for _, case in pairs]
        if cases and all(
            "html" in media_type
            for media_type in (gallery.good.media_type, *(case.media_type for case in cases))
        ):
            raise Missing(
                "Not applicable: this service answers with pages for people, its errors included.",
                applicable=False,
            )
        contract = contract_among(cases, self.target.policy.error_members)
        together = {id(case): fault for case, fault in disagreements(cases)} if contract.common else {}
        violations: list[Violation] = []
        confirmed: set[int] = set()
        for item, case in pairs:
            breach = breach_of(case, contract)
            fault = breach.words if breach is not None else together.get(id(case))
            if fault is None or item.status in confirmed:
                continue
            again = await self._refused_again(item)
            if _cut(again) or not _same_answer(item.answer, again):
                unsure.append(f"{item.cause}: {fault}, then {again.status}")
                continue
            confirmed.add(item.status)
            message = f"{item.status} ({item.cause}): {fault}."
            proof = (*item.after, item.answer.exchange, again.exchange)
            names = " ".join(contract.members)
            # A regression test looks for texts: a list in their place is not shown by it.
            shown = breach is not None and breach.body and contract.kind in {"", "a text"}
            expected = Expectation("members", value=names) if shown else None
            severity = breach.severity if breach is not None else None
            violations.append(Violation(item.answer.exchange.operation, message, severity, proof, expected))
        if not violations and contract.common:
            unsure += await self._unstable_codes(gallery)
        statuses = {item.status for item, _ in pairs}
        groups = {item.group for item, _ in pairs}
        wanted = {
            "a refused credential": "credential" in groups,
            "a refused right or an unknown thing": bool(groups & {"right", "unknown"}),
            "a wrong verb": "verb" in groups,
            "bad input": "input" in groups or self._takes_no_body(),
        }
        unsure += [f"No error answer to {name} was seen" for name, was_seen in wanted.items() if not was_seen]
        usual = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500)
        missing = [str(status) for status in usual if status not in statuses]
        self.notes.append(f"not provoked: {', '.join(missing)}")
        if not contract.common and not self.target.policy.error_members:
            self.notes.append(
                f"the errors of this service have {contract}: its own names are the rule (error_members sets others)"
            )
        seen = ", ".join(map(str, sorted(statuses)))
        return self._concluded_refusals(
            violations, unsure, f"{len(pairs)} errors ({seen}) share one body of {contract}."
        )

    def _takes_no_body(self) -> bool:
        """Whether the document shows that nothing can be badly put in: no operation takes a body."""
        operations = self.target.operations
        logins = any(login.encoding in {"json", "form"} for login in self.target.logins)
        return bool(operations) and not logins and not any(operation.bodies for operation in operations)

    async def _unstable_codes(self, gallery: Gallery) -> list[str]:
        """Codes that change from one time to the next, in words."""
        changing = []
        for group in ("credential", "unknown", "verb", "input"):
            item = next((item for item in gallery.refusals if item.group == group), None)
            if item is None:
                continue
            again = await self._refused_again(item)
            codes = {
                read_error(answer.reply.json).code for answer in (item.answer, again) if _readable(answer)
            }
            if len(codes) != 1:
                changing.append(f"{item.cause}: the code changes from one time to the next")
        return changing

    async def _refused_again(self, item: Refused) -> Answer:
        """RP: the same request on a new connection."""
        request = replace(item.answer.request, fresh=True).with_headers(("Cache-Control", "no-cache"))
        return await self.send(
            request,
            label=f"again: {item.cause}",
            role=Role.ATTACK,
            operation=item.answer.exchange.operation,
            pointer=self.witness.identity or None,
        )

    def _concluded_refusals(
        self, violations: Sequence[Violation], unsure: Sequence[str], proven: str, remedy: str = ""
    ) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if len(unsure) > 1 else ""
            return Inconclusive(f"{unsure[0]}{more}.", remedy, evidence, notes)
        return Passed(proven, evidence, notes)


_NOT_JUDGED = "not judged"
# Whom an object was shown to may be let in by design.
_SHARED = "[policy]\nshared_objects = true  # people share these objects; if they should not, mend what AUZ101 finds"


def challenge_fault(reply: Reply) -> str | None:
    """Say what is wrong with the challenges of a 401, None when nothing is. Redacted parts count as text."""
    lines = reply.header_lines("www-authenticate")
    if not lines:
        return "it carries no WWW-Authenticate"
    for line in lines:
        try:
            parse_challenges(_REDACTED.sub("x", line))
        except ValueError as error:
            return f"its WWW-Authenticate is malformed: {error}"
    return None


def _splits(line: str) -> bool:
    try:
        return _INJECTED.lower() in {challenge.scheme for challenge in parse_challenges(line)}
    except ValueError:
        return True


def _case(item: Refused, answer: Answer) -> ErrorCase:
    reply = answer.reply
    return ErrorCase(item.cause, item.group, item.status, reply.media_type, reply.json, dict(reply.headers))


def _cut(answer: Answer) -> bool:
    return answer.request.method != "HEAD" and answer.reply.cut_short


def _readable(answer: Answer) -> bool:
    try:
        read_error(answer.reply.json)
    except ValueError:
        return False
    return True


def _same_answer(first: Answer, second: Answer) -> bool:
    one, other = first.exchange.reply, second.exchange.reply
    return (one.status, one.media_type, one.shape) == (other.status, other.media_type, other.shape)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
