"""`must_not_reveal`: one user's object, asked for by another in every way that the document offers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Provenance,
    Role,
    Severity,
    Skipped,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.oracles.identifiers import another_id, is_uuid, spellings
from auth_conformance.oracles.normalise import masked
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.hanging import Hook, read_at, several_at_once, typed
from auth_conformance.probe.owning import Belonging, shown_in
from auth_conformance.probe.sharing import Sharing
from auth_conformance.probe.textless import Textless
from auth_conformance.transports.recorder import BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Objects, Operation, Parameter

# How an id that nobody has is refused.
NOT_THERE = (400, 403, 404, 410)
# Operations besides the one that reads the object; each costs a request.
MOST_OPERATIONS = 25


@dataclass(frozen=True, slots=True)
class Reach:
    """One way to ask for an object. Without `core` a crash on the way is noted and decides nothing."""

    label: str
    operation: Operation
    credential: Credential | None
    values: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    core: bool = True
    body: object = None


class Isolation(Sharing, Textless):
    """Makes objects of two users and asks for the first as the second."""

    async def must_not_reveal(self) -> Verdict:
        """B and strangers must not get what A wrote into A's objects. Needs objects and two users."""
        return await self.in_each_collection(self._nothing_revealed, self.textless_not_revealed)

    async def in_each_collection(
        self,
        judge: Callable[[], Awaitable[Verdict]],
        of_textless: Callable[[], Awaitable[Verdict]] | None = None,
    ) -> Verdict:
        """What `judge` says of the objects, and of those of each further collection. Raises Missing or Unclear.

        `of_textless` says it of objects without a text.

        A finding in one is a finding. What is unclear in a further one is told, and decides nothing: it may be no
        collection of people's own objects at all.
        """
        verdict = await self._said_of_one(judge)
        others = [(objects, judge) for objects in self.target.further]
        others += [(objects, of_textless) for objects in self.target.textless if of_textless is not None]
        for objects, way in others:
            try:
                with self.looking_at(objects):
                    more = await self._said_of_one(way)
            except BudgetExceededError as error:
                # What the first collection said stands: the others are told, and decide nothing but findings.
                more = Inconclusive(f"{error}.")
            alone = self.target.objects is None and isinstance(verdict, Skipped)
            verdict = more if alone else self._together(verdict, more, objects)
        return verdict

    def _none_such(self, what: str, lines: str) -> Missing:
        """No operation does `what` to the objects; where no document lists them, the line that would name one."""
        objects = self._own_objects()
        if objects.read.provenance is not Provenance.DECLARED:
            return Missing(f"No operation {what}.", applicable=False)
        named = lines.format(read=objects.read.path, create=objects.create.path)
        return Missing(f"No operation is known that {what}.", f"[objects]\n{named}")

    async def _said_of_one(self, judge: Callable[[], Awaitable[Verdict]]) -> Verdict:
        try:
            return await judge()
        except (Missing, Unclear) as unclear:
            return unclear.verdict

    def _together(self, verdict: Verdict, more: Verdict, objects: Objects) -> Verdict:
        """Two verdicts as one; `more` is on a further collection."""
        if isinstance(more, Inconclusive | Skipped):
            self.notes.append(f"not judged: the objects of {objects.create.name}: {more.reason}")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        match verdict, more:
            case Failed(), Failed():
                known = {item.operation for item in verdict.violations}
                new = [item for item in more.violations if item.operation not in known]
                return Failed((*verdict.violations, *new), evidence, notes)
            case _, Failed():
                return Failed(more.violations, evidence, notes)
            case Passed(), Passed():
                reason = f"{verdict.reason} Likewise the objects of {objects.create.name}."
                return Passed(reason, evidence, notes)
            case ((Passed() | Failed() | Inconclusive()), _):
                return replace(verdict, evidence=evidence, notes=notes)
            case Skipped(applicable=False), Skipped():
                return more if more.applicable else verdict
            case Skipped(applicable=False), (Passed() | Inconclusive()):
                # The first collection has nothing of the kind: then the others are all that there is to judge.
                notes = (*notes, f"not judged: the first collection: {verdict.reason}")
                return replace(more, evidence=evidence, notes=notes)
        return verdict

    async def _nothing_revealed(self) -> Verdict:
        objects = self._own_objects()
        made: list[Belonging] = []
        try:
            mine = await self._put_down("a", made)
            theirs = await self._put_down("b", made)
            self._owners_view = await self._reads_own(mine, "before")
            await self._reads_own(theirs, "before")
            refusals = await self._ways_to_refuse(theirs)
            violations, doubts, tried = await self._strangers_read(mine, objects)
            for reach in await self._reaches(mine, theirs):
                await self.paced()
                tried += 1
                outcome = await self._reach(reach, mine, refusals)
                if isinstance(outcome, Violation):
                    if all(outcome.operation != known.operation for known in violations):
                        violations.append(outcome)
                elif outcome and reach.core:
                    doubts.append(outcome)
                elif outcome:
                    self.notes.append(f"not judged: {outcome}")
            if not violations and not doubts:
                violations += await self._hangs_open(mine, theirs)
            await self._reads_own(mine, "after")
            await self._reads_own(theirs, "after")
        finally:
            await self._take_away(made)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            await self.must_not_be_shared()
            if all(item.operation in self._plain_reads() for item in violations):
                await self.must_not_be_read_by_all()
            return Failed(tuple(violations), evidence, notes)
        if doubts:
            more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
            return Inconclusive(doubts[0] + more, "", evidence, notes)
        reason = (
            f"{tried} requests by another user and by strangers did not show what A had written; "
            f"A read it at {objects.read.name} before and after."
        )
        return Passed(reason, evidence, notes)

    def _plain_reads(self) -> set[str]:
        """The names of what reads one object, and of what lists them."""
        objects = self._own_objects()
        return {item.name for item in (objects.read, objects.listing) if item is not None}

    async def _ways_to_refuse(self, theirs: Belonging) -> list[Fingerprint]:
        """Return how the application says no to B: for what does not exist, and for what is forbidden."""
        objects = self._own_objects()
        self._nobodys = self._absent_id(theirs.identifier)
        absent = await self.call(
            objects.read,
            theirs.owner,
            label="control: b reads what does not exist",
            role=Role.CONTROL,
            values=self.at(self._nobodys, theirs.identifier),
        )
        if absent.judgement is not None:
            raise Unclear(
                f"{objects.read.name} gave no orderly answer to an id that does not exist ({absent.why})."
            )
        self._absent = absent
        known = (
            list((await self.baseline(self.witness, theirs.owner)).refusals) if self.target.witness else []
        )
        return [*known, Fingerprint.of(absent.exchange.reply)]

    def _absent_id(self, identifier: str) -> str:
        return another_id(identifier, self.rng)

    async def _strangers_read(
        self, mine: Belonging, objects: Objects
    ) -> tuple[list[Violation], list[str], int]:
        """Ask without a credential. What everybody may read is declared so, or it is a finding."""
        reach = Reach("a stranger reads it", objects.read, None, self.at(mine.identifier))
        outcome = await self._reach(reach, mine, None)
        if isinstance(outcome, Violation) and not objects.read.protected:
            raise Unclear(
                f"Everybody may read objects at {objects.read.name}, and nothing says that this is wrong.",
                f'[policy]\npublic_operations = ["{objects.read.name}"]  # if it is meant to be so',
            )
        if isinstance(outcome, Violation):
            return [outcome], [], 1
        return [], [outcome] if outcome else [], 1

    async def _reaches(self, mine: Belonging, theirs: Belonging) -> list[Reach]:
        """List the ways in which B may ask for A's object."""
        objects = self._own_objects()
        values = self.at(mine.identifier)
        found = [
            Reach(f"b reads it with a {theirs.owner.carrier.kind.value}", objects.read, theirs.owner, values)
        ]
        for kind in self.kinds():
            if kind is theirs.owner.carrier.kind:
                continue
            with contextlib.suppress(Missing, Unclear):
                other = await self.credential(kind, "b")
                if other.carrier.place != "query":
                    found.append(Reach(f"b reads it with a {kind.value}", objects.read, other, values))
        if any(not parent.in_body for parent in objects.parents):
            # Who looks at what stands above the object, and not at the object, lets B in below what is B's own.
            below = self.at(mine.identifier, theirs.identifier)
            found.append(Reach("b reads it below what is b's own", objects.read, theirs.owner, below))
        found += self._elsewhere(mine, theirs)
        found += [
            Reach(
                f"b reads it, id {how}",
                objects.read,
                theirs.owner,
                self.at(text, mine.identifier),
                core=False,
            )
            for how, text in spellings(mine.identifier).items()
        ]
        return found

    def _elsewhere(self, mine: Belonging, theirs: Belonging) -> list[Reach]:
        """List other operations that only read and take an id, and those that list the collection."""
        objects = self._own_objects()
        collection = objects.create.path.rstrip("/")
        known = {operation.name: operation for operation in self.target.reads()}
        if objects.listing is not None:
            known = {objects.listing.name: objects.listing, **known}
        found = self._by_what_is_above(mine, theirs)
        ids = [typed(theirs.identifier), typed(mine.identifier)]
        found += [
            Reach(
                f"b asks {operation.name} for its own and this one",
                operation,
                theirs.owner,
                self.at(theirs.identifier),
                core=False,
                body={member: ids} if member else ids,
            )
            for operation, member in several_at_once(self.target, objects)
        ]
        for operation in known.values():
            if operation.name == objects.read.name:
                continue
            place = self.at(mine.identifier)
            above = {name: value for name, value in place.items() if name != objects.id_parameter}
            names = [part.split("}")[0] for part in operation.path.split("{")[1:]]
            declared = {item.name: item for item in operation.parameters if item.place == "path"}
            names = [name for name in names if name not in above]
            if names:
                if all(_may_hold(declared.get(name), mine.identifier) for name in names):
                    values = {**above, **dict.fromkeys(names, mine.identifier)}
                    found.append(
                        Reach(f"b asks {operation.name} for its id", operation, theirs.owner, values)
                    )
                continue
            if operation.path.startswith(collection) or operation is objects.listing:
                found.append(Reach(f"b calls {operation.name}", operation, theirs.owner, above))
            found += [
                Reach(
                    f"b asks {operation.name} with its id as {item.name}",
                    operation,
                    theirs.owner,
                    above,
                    query=((item.name, mine.identifier),),
                )
                for item in operation.parameters
                if item.place == "query" and _may_hold(item, mine.identifier)
            ]
        if len(found) > MOST_OPERATIONS:
            self.notes.append(f"{len(found) - MOST_OPERATIONS} further ways to send the id were left out")
        return found[:MOST_OPERATIONS]

    def _by_what_is_above(self, mine: Belonging, theirs: Belonging) -> list[Reach]:
        """List operations that read below what A's object names in its body: the tasks of A's project."""
        place = self.at(mine.identifier)
        found = []
        for parent in self._own_objects().parents:
            start = parent.operation.path.rstrip("/") + "/{"
            if not parent.in_body or not parent.makes or parent.parameter not in place:
                continue
            for operation in self.target.reads():
                if operation.path.startswith(start) and operation.path.count("{") == 1:
                    name = operation.path[len(start) :].split("}")[0]
                    values = {name: place[parent.parameter]}
                    label = f"b asks {operation.name} for what it belongs to"
                    found.append(Reach(label, operation, theirs.owner, values))
            member, value = parent.parameter.rpartition("/")[2], place[parent.parameter]
            found += [
                Reach(
                    f"b asks {operation.name} for what has its {member}",
                    operation,
                    theirs.owner,
                    query=((member, value),),
                )
                for operation in self.target.reads()
                if "{" not in operation.path
                and any(item.place == "query" and item.name == member for item in operation.parameters)
            ]
        return found

    async def _hangs_open(self, mine: Belonging, theirs: Belonging) -> list[Violation]:
        """What is read below an object: its members, its history. B gets there exactly what A gets, and not at B's own.

        Asked only where the object itself was kept from B: what hangs on it is then no more B's than the object.
        """
        found = []
        for hook in list(read_at(self.target, self._own_objects())):
            operation = hook.operation
            owners = await self._below(hook, mine.owner, mine.identifier, "control: its owner at")
            own = await self._below(hook, theirs.owner, theirs.identifier, "control: b, of b's own, at")
            if not owners.reply.ok or not own.reply.ok:
                continue
            if owners.reply.text == own.reply.text:
                found += await self._answers_for_what_is_shut(hook, mine, theirs, owners)
                continue
            tries = await self._tries_below(hook, mine, theirs)
            if all(item.reply.ok and item.reply.text == owners.reply.text for item in tries):
                message = f"{operation.name} answers another user as it does the owner, who alone may see the object."
                proofs = (mine.made, owners.exchange, *(item.exchange for item in tries))
                expected = Expectation("refused", about=tries[0].exchange.number)
                found.append(Violation(operation.name, message, Severity.HIGH, proofs, expected))
        return found

    async def _answers_for_what_is_shut(
        self, hook: Hook, mine: Belonging, theirs: Belonging, owners: Answer
    ) -> list[Violation]:
        """Where nothing is below either object yet: B is answered at A's as A is, and refused where no object is."""
        absent = self._absent_id(mine.identifier)
        nowhere = await self._below(hook, theirs.owner, absent, "control: b, where no object is, at")
        if nowhere.status not in NOT_THERE:
            return []
        tries = await self._tries_below(hook, mine, theirs)
        if not all(item.reply.ok and item.reply.text == owners.reply.text for item in tries):
            return []
        name = hook.operation.name
        message = (
            f"{name} answers another user as it does the owner, who alone may see the object, and refuses "
            "an id that nobody has: nobody looked whose the object is (nothing is there yet)."
        )
        proofs = (mine.made, owners.exchange, nowhere.exchange, *(item.exchange for item in tries))
        expected = Expectation("refused", about=tries[0].exchange.number)
        return [Violation(name, message, Severity.MEDIUM, proofs, expected)]

    async def _tries_below(self, hook: Hook, mine: Belonging, theirs: Belonging) -> list[Answer]:
        return [
            await self._below(hook, theirs.owner, mine.identifier, how) for how in ("b at", "again: b at")
        ]

    async def _below(self, hook: Hook, credential: Credential, identifier: str, how: str) -> Answer:
        return await self.call(
            hook.operation,
            credential,
            label=f"{how} {hook.operation.name}",
            role=Role.CONTROL if how.startswith("control") else Role.ATTACK,
            values=self.at(identifier),
            query=hook.query(identifier),
        )

    async def _reach(
        self, reach: Reach, mine: Belonging, refusals: list[Fingerprint] | None
    ) -> Violation | str | None:
        """Ask; a leak seen twice is a Violation, an unclear answer is told in words, anything else is None."""
        answer = await self._ask(reach, reach.label, fresh=False)
        how = shown_in(mine.canary, answer)
        if how is None:
            return self._not_shown(reach, answer, refusals)
        again = await self._ask(reach, f"again: {reach.label}", fresh=True)
        if shown_in(mine.canary, again) is None:
            return f"{reach.label}: shown once, then not"
        if by_cache(again.reply):
            return f"{reach.label}: a cache answered in the application's place (Age)"
        who = "a stranger" if reach.credential is None else "another user"
        message = f"{reach.operation.name} showed {who} what A had written ({reach.label}; the text is there {how})."
        beside = self._owners_view.exchange  # what the owner reads, to be compared with
        return Violation(
            reach.operation.name,
            message,
            None,
            (mine.made, beside, answer.exchange, again.exchange),
            Expectation("no text", value=mine.canary),
        )

    async def _ask(self, reach: Reach, label: str, *, fresh: bool) -> Answer:
        return await self.call(
            reach.operation,
            reach.credential,
            label=label,
            role=Role.ATTACK,
            values=reach.values,
            query=reach.query,
            body=reach.body,
            fresh=fresh,
        )

    def _not_shown(self, reach: Reach, answer: Answer, refusals: list[Fingerprint] | None) -> str | None:
        if answer.judgement is not None:
            return f"{reach.label}: {answer.why}"
        if (
            reach.operation.name == self._own_objects().read.name
            and reach.core
            and reach.credential is not None
        ):
            self._tell_existence(answer, reach)
        refused = (answer.status or 0) >= 400
        seen = Fingerprint.of(answer.exchange.reply)
        if (
            refused
            and refusals is not None
            and not any(seen.akin(known) for known in refusals)
            and reach.core
        ):
            return f"{reach.label}: a {answer.status} unlike this application's own refusals"
        return None

    def _tell_existence(self, answer: Answer, reach: Reach) -> None:
        """Note when the refusal tells that the object exists."""
        absent = self._absent
        given, missing = reach.values.values(), self._nobodys
        same = masked(answer.reply.text, tuple(given)) == masked(absent.reply.text, (missing,))
        if answer.status != absent.status or not same:
            note = f"{reach.operation.name} tells that a foreign object exists: {answer.status}, not {absent.status}"
            if note not in self.notes:
                self.notes.append(note)


def _may_hold(parameter: Parameter | None, identifier: str) -> bool:
    """Whether a parameter's type takes this identifier; an undeclared one may."""
    if parameter is None:
        return True
    schema = parameter.schema
    options = [schema, *(item for item in schema.get("anyOf", ()) if isinstance(item, dict))]
    kinds = {item.get("type") for item in options if item.get("type")}
    if any(
        item.get("enum") or (item.get("format") == "uuid" and not is_uuid(identifier)) for item in options
    ):
        return False
    if kinds & {"integer", "number"} and not kinds & {"string"}:
        return identifier.isdecimal()
    return not kinds or "string" in kinds or "array" in kinds
