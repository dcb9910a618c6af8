"""`must_guard_verbs`: unusual methods, and headers that claim another method, in place of the usual ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Expectation,
    Outcome,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.standing import changed
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.tampering import Tampering
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.owning import Belonging
    from auth_conformance.target import Operation

# Methods that a guard may not know, each with the reason to try it.
METHODS = {
    "OPTIONS": "answered before the guard, for the sake of CORS",
    "TRACE": "answers with what it was sent (RFC 9110 §9.3.8)",
    "CONNECT": "for proxies only (RFC 9110 §9.3.6)",
    "get": "methods are case-sensitive (RFC 9110 §9.1)",
    "GETX": "no method at all",
    "PROPFIND": "WebDAV reads with it",
    "QUERY": "reads with a body",
}
NOT_ALLOWED = (405, 501)
OVERRIDING = ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method")


@dataclass(frozen=True, slots=True)
class Override:
    """A request of one method that claims to be another; `raw` where a client would mend its spelling."""

    label: str
    request: HttpRequest
    raw: bool = False


class Verbs(Tampering):
    """Sends methods that nobody has thought of."""

    async def must_guard_verbs(self) -> Verdict:
        """No method, and no claim of another method, may read or write for strangers. Raises Unclear."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        violations, doubts = await self._strange_methods(live, baseline)
        violations += await self._head(live, baseline)
        violations += await self._trace_echoes(live)
        found, unclear = await self._claimed_reads(baseline)
        violations += found
        doubts += unclear
        if self.target.objects is not None and {"a", "b"} <= self.target.accounts.keys():
            found, unclear = await self._claimed_writes()
            violations += found
            doubts += unclear
        else:
            self.notes.append(
                "no objects of two users are known: claimed methods were tried at the witness only"
            )
        await self.must_live(self.witness, live, baseline, "after")
        reason = (
            f"{len(METHODS) + 1} unusual methods and {len(OVERRIDING) + 1} ways to claim another one showed strangers "
            "nothing and changed nothing."
        )
        return self.decided(violations, doubts, reason)

    async def _ask_as(
        self,
        request: HttpRequest,
        label: str,
        baseline: Baseline | None,
        credential: Credential | None = None,
        *,
        raw: bool = False,
        role: Role = Role.ATTACK,
    ) -> Answer:
        if credential is not None:
            request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self.send(
            request,
            label=label,
            role=role,
            operation=self.witness.operation.name,
            baseline=baseline,
            pointer=self.witness.identity or None,
            raw_wire=raw,
        )

    async def _strange_methods(
        self, live: Credential, baseline: Baseline
    ) -> tuple[list[Violation], list[str]]:
        violations: list[Violation] = []
        doubts: list[str] = []
        path = self.witness.operation.address
        for method, why in METHODS.items():
            await self.paced()
            request = HttpRequest(method, path)
            for who, credential in (("a stranger", None), ("a wrong credential", self.bland(live))):
                answer = await self._ask_as(
                    request, f"{method} by {who} ({why})", baseline, credential, raw=True
                )
                if answer.accepted:
                    again = await self._ask_as(
                        request, f"again: {method} by {who}", baseline, credential, raw=True
                    )
                    if again.accepted:
                        message = f"{method} {path} let in {who} ({answer.why})."
                        proofs = (answer.exchange, again.exchange)
                        violations.append(Violation(self.witness.operation.name, message, None, proofs))
                        break
                    doubts.append(f"{method} by {who}: accepted once, then not")
                elif answer.reply.undelivered:
                    self.notes.append(f"{method} was not tried: {answer.reply.error}")
                    break
                elif answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED) and method != "CONNECT":
                    doubts.append(f"{method} by {who}: {answer.why}")
            self._note_refusal(method, answer)
        return violations, doubts

    def _note_refusal(self, method: str, answer: Answer) -> None:
        status = answer.status or 0
        if method in ("OPTIONS", "TRACE", "CONNECT") or status in (0, 401, 403, 404, 400):
            return
        if status not in NOT_ALLOWED:
            self.notes.append(f"{method} is answered {status}, not 405 or 501")
        elif status == 405 and answer.reply.header("allow") is None:
            self.notes.append(f"{method} is answered 405 without Allow (RFC 9110 §15.5.6)")

    async def _head(self, live: Credential, baseline: Baseline) -> list[Violation]:
        """HEAD shows no body: what it says about the body tells whether the caller got in."""
        path = self.witness.operation.address
        unknown = HttpRequest("HEAD", f"{path.rpartition('/')[0]}/{self.word(12)}")
        nowhere = await self._ask_as(unknown, "control: HEAD of an unknown path", None, role=Role.CONTROL)
        proofs: list[Exchange] = []
        for prefix in ("", "again: "):
            answer = await self._ask_as(HttpRequest("HEAD", path), f"{prefix}HEAD by a stranger", None)
            length = answer.reply.header("content-length") or ""
            content = length.isdecimal() and int(length) not in (0, baseline.anonymous.size)
            same_kind = answer.reply.media_type == baseline.good.media_type
            if not (answer.reply.ok and content and same_kind and not nowhere.reply.ok):
                if answer.reply.ok and not nowhere.reply.ok:
                    self.notes.append("HEAD is answered 2xx to strangers, without telling a length")
                return []
            proofs.append(answer.exchange)
        theirs = await self._ask_as(
            HttpRequest("HEAD", path), "control: HEAD by A", None, live, role=Role.CONTROL
        )
        kind = baseline.good.media_type
        message = f"HEAD {path} answered a stranger as GET answers its caller: {length} bytes of {kind}."
        return [
            Violation(
                self.witness.operation.name, message, None, (theirs.exchange, *proofs), Expectation("refused")
            )
        ]

    async def _trace_echoes(self, live: Credential) -> list[Violation]:
        proofs: list[Exchange] = []
        for prefix in ("", "again: "):
            request = HttpRequest("TRACE", self.witness.operation.address)
            answer = await self._ask_as(request, f"{prefix}TRACE by A", None, live, raw=True)
            if not answer.reply.ok or live.value.reveal() not in answer.reply.text:
                return []
            proofs.append(answer.exchange)
        message = f"TRACE {self.witness.operation.address} answers with the credential that it was sent."
        return [
            Violation(
                self.witness.operation.name,
                message,
                Severity.MEDIUM,
                tuple(proofs),
                Expectation("refused"),
            )
        ]

    def _overrides(self, bare: HttpRequest, claimed: str, carriers: tuple[str, ...]) -> list[Override]:
        found = []
        for carrier in carriers:
            request = replace(bare, method=carrier)
            found += [
                Override(f"{carrier} with {name}: {claimed}", request.with_headers((name, claimed)))
                for name in OVERRIDING
            ]
            found.append(
                Override(f"{carrier} with _method={claimed}", request.with_query(("_method", claimed)))
            )
            if carrier == "POST":
                form = request.with_form((("_method", claimed),))
                found.append(Override(f"{carrier} with _method={claimed} in a form", form))
        return found

    async def _claimed_reads(self, baseline: Baseline) -> tuple[list[Violation], list[str]]:
        """POST that claims to be GET, by a stranger at the witness."""
        violations: list[Violation] = []
        doubts: list[str] = []
        for override in self._overrides(
            HttpRequest("POST", self.witness.operation.address), "GET", ("POST",)
        ):
            answer = await self._ask_as(override.request, f"{override.label} by a stranger", baseline)
            if answer.accepted:
                again = await self._ask_as(override.request, f"again: {override.label}", baseline)
                if again.accepted:
                    message = f"{override.label} at {self.witness.operation.address} let in a stranger."
                    proofs = (answer.exchange, again.exchange)
                    violations.append(Violation(self.witness.operation.name, message, None, proofs))
            elif answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED):
                doubts.append(f"{override.label}: {answer.why}")
        return violations, doubts

    async def _claimed_writes(self) -> tuple[list[Violation], list[str]]:
        """GET and POST that claim to delete or change A's object, by B and by a stranger; A looks afterwards."""
        objects = self._own_objects()
        made: list[Belonging] = []
        doubts: list[str] = []
        changes = [item for item in (objects.update, objects.delete) if item is not None]
        # A procedure is a POST itself: sent as one it is no claim of another verb, and AUZ102's business.
        verbs = [item for item in changes if item.method != "POST"]
        try:
            mine = await self._put_down("a", made)
            for operation in verbs:
                for who in ("b", ""):
                    live = await self.credential(owner="b") if who else None
                    overrides = self._claims_to_be(operation, mine)
                    before = await self._known_to_owner(mine)
                    for override in overrides:
                        label = f"{override.label} by {who or 'a stranger'}"
                        answer = await self._ask_as(override.request, label, None, live, raw=override.raw)
                        doubts += self._without_answer(label, answer)
                    after = await self._looks_again(mine, "control: the owner reads it again")
                    difference = changed(before, after.status, after.reply.json)
                    if difference is None and not after.reply.ok:
                        raise Unclear(f"The owner could not look afterwards ({after.why or after.status}).")
                    if difference is None:
                        continue
                    # Which of them it was is asked one by one, with objects of their own: that is the second time.
                    for number in range(len(overrides)):
                        mine = await self._put_down("a", made)
                        found = await self._one_claim(self._claims_to_be(operation, mine)[number], mine, live)
                        if found is not None and who:
                            await self.must_not_be_shared()
                        if found is not None:
                            return [replace(found, evidence=(after.exchange, *found.evidence))], doubts
                    raise Unclear(
                        f"An object of A's changed on the way, and did not change again ({difference})."
                    )
        finally:
            await self._take_away(made)
        return [], doubts

    def _claims_to_be(self, operation: Operation, mine: Belonging) -> list[Override]:
        """Requests that change or delete the object without the method that does: claimed, or in lower case."""
        verb, bare = operation.method, operation.request(self.at(mine.identifier))
        lower = Override(f"the method {verb.lower()}", replace(bare, method=verb.lower()), raw=True)
        if verb == "DELETE":
            return [*self._overrides(bare, verb, ("GET", "POST")), lower]
        body = self._change(operation)
        return [
            replace(item, request=operation.carrying(item.request, body))
            if item.request.body is None and item.request.method != "GET"
            else item
            for item in (*self._overrides(bare, verb, ("GET", "POST")), lower)
        ]

    @staticmethod
    def _without_answer(label: str, answer: Answer) -> list[str]:
        """What the wire could not carry is noted; what the service broke over or put off was not refused."""
        if answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED) and not answer.reply.undelivered:
            return [f"{label}: {answer.why}"]
        return []

    async def _one_claim(
        self, override: Override, mine: Belonging, live: Credential | None
    ) -> Violation | None:
        objects = self._own_objects()
        before = await self._known_to_owner(mine)
        answer = await self._ask_as(
            override.request, f"again: {override.label}", None, live, raw=override.raw
        )
        after = await self._looks_again(mine, "control: the owner reads it again")
        difference = changed(before, after.status, after.reply.json)
        if difference is None:
            return None
        who = "another user" if live is not None else "a stranger"
        message = f"{override.label} at {objects.read.path} by {who}: {difference}."
        return Violation(objects.read.name, message, None, (answer.exchange, after.exchange))
