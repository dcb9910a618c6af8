"""The document held against itself, and against every answer of the run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.metadata import Lack, lacks
from auth_conformance.oracles.schemas import CREDENTIAL, Fit, at, fit, json_schema_of
from auth_conformance.probe.above import values_of
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.infront import intercepted
from auth_conformance.probe.objects import object_of
from auth_conformance.probe.refusals import Refusals
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.recorder import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from auth_conformance.target import Operation, Published
    from auth_conformance.transports.message import RawReply

# Documented operations that are read to see their answers; the run's own answers count as well.
_READ = 30
# Refusals that belong to an operation; 405, 413 and 415 come from the framework wherever one asks.
_OF_OPERATIONS = {401, 403, 409, 422, 429}
_MOST = 40


class Described(Refusals):
    """Sentences about what the document says."""

    def account_name(self) -> str:
        """The user name of A; "" when no account is known."""
        account = self.target.accounts.get("a")
        return account.username if account is not None else ""

    async def must_describe_itself(self) -> Verdict:
        """Every operation of the document has tags, summary, id, a typed success and an error."""
        await self.must_answer()
        documents = self._documents()
        found: dict[str, Lack] = {}
        count = 0
        for document in documents:
            await self._still_says(document)
            count += len(document.raw["paths"])
            for lack in lacks(document.raw):
                found.setdefault(lack.operation, lack)
        await self.must_answer("after")
        notes = [
            f"{lack.operation or 'the document'}: {note}" for lack in found.values() for note in lack.notes
        ]
        self.notes += notes[:_MOST]
        proof = tuple(self.evidence)
        violations = [
            Violation(
                lack.operation or None,
                f"{lack.operation or 'The document'} lacks {', '.join(lack.missing)}.",
                None,
                proof,
            )
            for lack in found.values()
            if lack.missing
        ]
        if violations:
            return Failed(tuple(violations[:_MOST]), proof, tuple(self.notes))
        reason = f"The operations of {count} paths have tags, a summary, an id, a typed success and an error."
        return Passed(reason, proof, tuple(self.notes))

    def _documents(self) -> tuple[Published, ...]:
        if not self.target.documents:
            raise Missing("No OpenAPI document is known.", self.target.remedies.get(Need.OPENAPI, ""))
        return self.target.documents

    async def _still_says(self, document: Published) -> None:
        """Read the document again: what is judged is what the service says now. Raises Unclear."""
        if document.path is None:
            return
        operation = self.target.operation(f"GET {document.path}")
        request = operation.request() if operation is not None else HttpRequest("GET", document.path)
        if not document.openly:
            live = await self.credential()
            request = request.with_headers(*live.headers).with_query(*live.query)
        answer = await self.send(request, label="control: the document", role=Role.CONTROL)
        said = answer.reply.json
        if isinstance(said, dict) and "swagger" in said:
            # What is kept of it is written in the words of OpenAPI 3.
            changed = set(said.get("paths") or ()) != set(document.raw["paths"])
        else:
            changed = said is not None and said != document.raw
        if not answer.reply.ok or changed:
            raise Unclear(
                f"{document.where} does not say any more what it said ({answer.why or answer.status})."
            )

    # Answers of the run beside what is documented.

    async def must_refuse_as_described(self) -> Verdict:
        """Refusals are documented where they happen, and look as documented."""
        gallery = await self.gallery()
        documented = [item for item in self.target.operations if item.responses]
        violations = [self._undocumented_401(item) for item in documented if item.protected]
        found = [violation for violation in violations if violation is not None]
        judged = 0
        by_name = {item.name: item for item in documented}
        seen: dict[tuple[str, int], list[tuple[Kept, str]]] = {}
        for kept in self.scene.recorder.archive:
            operation, status = by_name.get(kept.exchange.operation), kept.reply.status or 0
            if operation is None or not 400 <= status < 500 or not gallery.own(kept.exchange):
                continue
            judged += 1
            fault = _error_fault(operation, status, kept.reply)
            if fault is not None:
                seen.setdefault((operation.name, status), []).append((kept, fault))
        filtered: list[str] = []
        for (name, status), faults in list(seen.items())[:_MOST]:
            first = faults[0][0]
            in_front = await intercepted(self, first.request, first.exchange)
            if in_front is not None:
                filtered.append(f"{name} answered {status} to {first.exchange.label}: {in_front.why}")
                continue
            again = await self._answered_again(faults[0][0])
            proof = (faults[0][0].exchange, again.exchange)
            if again.reply.status != status or _error_fault(by_name[name], status, again.reply) is None:
                self.notes.append(f"not judged: {name}, {status}: {faults[0][1]}, but only once")
                continue
            found.append(Violation(name, f"{name} answers {status}, and {faults[0][1]}.", None, proof))
        await self.must_answer("after")
        if not judged and not found:
            return Inconclusive("No refusal of a documented operation was seen.", "", tuple(self.evidence))
        return self._concluded_refusals(
            _merged(found),
            filtered,
            f"{judged} refusals look as documented, and 401 is documented where it is due.",
        )

    @staticmethod
    def _undocumented_401(operation: Operation) -> Violation | None:
        if at(operation.responses, 401) is not None:
            return None
        return Violation(operation.name, f"{operation.name} demands a credential and does not document 401.")

    async def _answered_again(self, kept: Kept) -> Kept:
        """RP: the same request on a new connection."""
        request = replace(kept.request, fresh=True)
        answer = await self.send(
            request,
            label=f"again: {kept.exchange.label}",
            role=Role.ATTACK,
            operation=kept.exchange.operation,
        )
        return Kept(request, answer.reply, answer.exchange)

    async def must_answer_as_described(self) -> Verdict:
        """Successful answers fit their documented schema and hold nothing else."""
        await self.must_answer()
        doubts = await self._read_documented()
        seen: dict[tuple[str, str], list[tuple[Exchange, str, Severity | None]]] = {}
        vague: dict[str, None] = {}
        judged = 0
        by_name = {item.name: item for item in self.target.operations}
        for kept in self.scene.recorder.archive:
            operation = by_name.get(kept.exchange.operation)
            fitted = _fit_of(operation, kept.reply) if operation is not None and operation.responses else None
            if fitted is None or operation is None:
                continue
            if fitted.vague:
                vague[operation.name] = None
            judged += not fitted.vague
            for text, severity in _faults(fitted):
                seen.setdefault((operation.name, text), []).append((kept.exchange, text, severity))
        await self.must_answer("after")
        found: list[Violation] = []
        for (name, text), times in seen.items():
            if len(times) < 2:
                self.notes.append(f"seen only once: {name}: {text}")
                continue
            proof = tuple(exchange for exchange, _, _ in times[:2])
            found.append(Violation(name, f"{name}: {text}.", times[0][2], proof))
        if found:
            return Failed(_merged(found), tuple(self.evidence), tuple(self.notes))
        return self._nothing_hidden(doubts, vague, judged)

    def _nothing_hidden(self, doubts: list[str], vague: Mapping[str, None], judged: int) -> Verdict:
        """What is concluded where every answer that was judged is as documented."""
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if doubts:
            return Inconclusive(doubts[0], "", evidence, (*notes, *doubts[1:]))
        if vague:
            some = ", ".join(list(vague)[:5])
            many = f"{len(vague)} operations do not say what they answer"
            one = "One operation does not say what it answers"
            reason = f"{one if len(vague) == 1 else many} ({some}), so that nothing is too much."
            remedy = (
                "# in the code of these operations: response_model=… or a return annotation\n"
                'ignore = ["DOC110"]  # or without this check'
            )
            return Inconclusive(reason, remedy, evidence, notes)
        if not judged:
            return Inconclusive("No answer with a documented schema was seen.", "", evidence, notes)
        return Passed(f"{judged} answers have what is documented, and nothing else.", evidence, notes)

    async def _read_documented(self) -> list[str]:
        """Read what can be read without an id, twice, so that there are answers to judge; what gave none, in words."""
        doubts: list[str] = []
        await self._read_one_of_its_own()
        live = await self.credential()
        readable = [item for item in self.target.reads() if "{" not in item.path and item.responses]
        for operation in readable[:_READ]:
            required = [item for item in operation.parameters if item.required and item.place == "query"]
            if required:
                continue
            answers = [
                await self.call(
                    operation, live, label=label, role=Role.ATTACK, fresh=label.startswith("again")
                )
                for label in (f"read {operation.name}", f"again: read {operation.name}")
            ]
            if all(answer.judgement is not None for answer in answers):
                doubts.append(f"{operation.name} gave no answer to judge ({answers[-1].why}).")
        return doubts

    async def _read_one_of_its_own(self) -> None:
        """Make an object and read it twice: a list in which nothing is, as on a new account, shows no member."""
        objects = self.target.objects
        if objects is None:
            return
        try:
            identifier = await object_of(self, "a")
            live = await self.credential()
            for label in ("read what A made", "again: read what A made"):
                await self.call(
                    objects.read,
                    live,
                    label=label,
                    role=Role.ATTACK,
                    values=values_of(self.scene, identifier),
                    fresh=label.startswith("again"),
                )
        except (Missing, Unclear) as reason:
            self.notes.append(f"no object was read: {reason}")


def _fit_of(operation: Operation, reply: RawReply) -> Fit | None:
    if not reply.ok or reply.json is None or reply.truncated:
        return None
    response = at(operation.responses, reply.status or 0)
    schema = json_schema_of(response, reply.media_type) if response is not None else None
    return None if schema is None else fit(reply.json, schema)


def _faults(fitted: Fit) -> Iterable[tuple[str, Severity | None]]:
    for text in fitted.mismatches:
        # Nothing is shown that the document hides: a client that trusts the type stumbles, and that is all.
        severity = Severity.LOW if text in fitted.blank else None
        yield f"{_without_numbers(text)}, against its schema", severity
    for pointer in fitted.extras:
        severity = Severity.HIGH if CREDENTIAL.search(pointer.rsplit("/", 1)[-1]) else None
        yield f"the member {_without_numbers(pointer)} is not documented", severity


def _without_numbers(text: str) -> str:
    """Places in lists differ from one answer to the next; the fault does not."""
    return re.sub(r"/\d+(?=/|\b)", "/*", text)


def _error_fault(operation: Operation, status: int, reply: RawReply) -> str | None:
    """What is wrong with an error beside what is documented for it; None when nothing is."""
    response = at(operation.responses, status)
    if response is None:
        return "does not document that" if status in _OF_OPERATIONS else None
    headers: Mapping[str, object] = response.get("headers") or {}
    for name in headers if isinstance(headers, dict) else ():
        if reply.header(str(name)) is None:
            return f"lacks the documented header {name}"
    schema = json_schema_of(response, reply.media_type)
    if schema is None or reply.json is None:
        return None
    fitted = fit(reply.json, schema)
    if fitted.mismatches:
        return f"its body does not fit: {fitted.mismatches[0]}"
    top = [pointer for pointer in fitted.extras if pointer.count("/") == 1]
    if isinstance(reply.json, dict) and reply.json and len(top) == len(reply.json):
        return f"its body has none of the documented members, but {', '.join(sorted(top))}"
    return None


def _merged(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """One violation per operation: the gravest is told, the others are counted."""
    groups: dict[str | None, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.operation, []).append(violation)
    merged = []
    for group in groups.values():
        group.sort(key=lambda item: -(item.severity or Severity.INFO).rank)
        more = f" And {len(group) - 1} more." if len(group) > 1 else ""
        merged.append(replace(group[0], message=group[0].message + more))
    return tuple(merged)
