"""Objects in which no text of their maker's is shown: the whole answer that their owner gets tells whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Expectation, Failed, Passed, Role, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.identifiers import another_id
from auth_conformance.oracles.nesting import joined
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.standing import Standing, changed, flattened
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.owning import Belonging, Owning
from auth_conformance.probe.ranks import parameters
from auth_conformance.probe.sharing import OWNER

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Operation

# How an object that is not there is refused, and one that is kept from somebody.
_NOT_THERE = (400, 401, 403, 404, 410, 422)
_GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class AsRead:
    """An object as its owner reads it, without what changes from one read to the next."""

    belonging: Belonging
    standing: Standing
    view: Exchange

    def shown_whole_in(self, answer: Answer) -> bool:
        """Whether an answer shows all that its owner reads."""
        told = flattened(answer.reply.json)
        values = self.standing.values
        return (
            answer.reply.ok and bool(values) and all(told.get(key) == value for key, value in values.items())
        )


class Textless(Owning):
    """Judges the objects of one such collection: within `looking_at` it."""

    async def textless_not_revealed(self) -> Verdict:
        """B must not be answered at A's object as A is. Raises Missing or Unclear."""
        made: list[Belonging] = []
        try:
            mine, theirs = await self._both_known(made)
            await self._must_be_told_apart(mine, theirs)
            proofs = [mine.belonging.made, mine.view]
            for turn in ("", "again: "):
                answer = await self._looks(
                    theirs.belonging.owner, mine.belonging, f"{turn}b reads it", Role.ATTACK
                )
                if answer.judgement is not None:
                    raise Unclear(f"{self._own_objects().read.name} as b: {answer.why}")
                if not mine.shown_whole_in(answer):
                    self.must_have_refused(answer, proofs[2:])
                    break
                if by_cache(answer.reply):
                    raise Unclear(f"{self._own_objects().read.name}: a cache answered in its place (Age).")
                proofs.append(answer.exchange)
            else:
                await self._must_be_somebodys(mine, theirs)
                name = self._own_objects().read.name
                message = f"{name} answers another user, of A's object, all that A is answered."
                expected = Expectation("refused", about=proofs[2].number)
                violation = Violation(name, message, None, tuple(proofs), expected)
                return Failed((violation,), tuple(self.evidence), tuple(self.notes))
            await self._as_read(mine.belonging, "after")
        finally:
            await self._take_away(made)
        reason = (
            f"{self._own_objects().read.name} did not answer another user as it does the maker of an object."
        )
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def textless_not_changed(self) -> Verdict:
        """B must not change or delete A's object: what A reads afterwards decides. Raises Missing or Unclear."""
        objects = self._own_objects()
        writes: list[tuple[Operation, dict[str, Any] | None]] = []
        if objects.update is not None:
            change = changed_body(objects.update, objects.template)
            writes += [(objects.update, change)] if change is not None else []
            if change is None:
                self.notes.append(f"not judged: {objects.update.name}: what to change is not known")
        writes += [(objects.delete, None)] if objects.delete is not None else []
        if not writes:
            raise Missing("No operation is known that changes or deletes an object.", applicable=False)
        found = [await self._written_by_b(operation, body) for operation, body in writes]
        violations = tuple(item for item in found if item is not None)
        if violations:
            await self._must_not_be_everybodys()
            return Failed(violations, tuple(self.evidence), tuple(self.notes))
        names = " and ".join(operation.name for operation, _ in writes)
        reason = f"{names} left another user's object as it was, and worked on one's own."
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _written_by_b(self, operation: Operation, body: dict[str, Any] | None) -> Violation | None:
        """B writes to B's own, which is the control, and to A's: a change that A reads, twice. Raises Unclear."""
        proofs: list[Exchange] = []
        difference = None
        for turn in ("", "again: "):
            made: list[Belonging] = []
            try:
                mine, theirs = await self._both_known(made)
                owner = theirs.belonging.owner
                control = await self._writes_to(
                    operation, owner, theirs, "control: b writes to its own", body
                )
                own = await self._looks(owner, theirs.belonging, "control: b looks at its own")
                attack = await self._writes_to(operation, owner, mine, f"{turn}b writes to a's", body)
                after = await self._looks(
                    mine.belonging.owner, mine.belonging, "control: its owner looks again"
                )
            finally:
                await self._take_away(made)
            if not control.reply.ok or changed(theirs.standing, own.status, own.reply.json) is None:
                raise Unclear(f"{operation.name} does nothing to b's own ({control.why or control.status}).")
            if not after.reply.ok and after.status not in _GONE:
                raise Unclear(
                    f"{operation.name}: its owner could not look afterwards ({after.why or after.status})."
                )
            difference = changed(mine.standing, after.status, after.reply.json)
            if difference is None and (turn or attack.judgement is not None):
                raise Unclear(f"{operation.name} as b: {attack.why or 'it had an effect once, then not'}.")
            if difference is None:
                return None
            proofs += [mine.belonging.made, attack.exchange, after.exchange]
        message = f"{operation.name} worked on another user's object: {difference}."
        gone = proofs[2].reply.status in _GONE
        expected = Expectation("accepted" if gone else "refused", about=proofs[2].number if gone else 0)
        return Violation(operation.name, message, None, tuple(proofs), expected)

    async def textless_not_listed(self) -> Verdict:
        """B's list must not hold A's object, while A's does. Raises Missing or Unclear."""
        objects = self._own_objects()
        if objects.listing is None:
            raise Missing("No operation lists the objects.", applicable=False)
        made: list[Belonging] = []
        try:
            mine, theirs = await self._both_known(made)
            if not self._is_in(await self._list_of(mine.belonging.owner, "control: a lists"), mine):
                raise Unclear(f"{objects.listing.name} does not show its owner what they have just made.")
            proofs = [mine.belonging.made]
            for turn in ("", "again: "):
                answer = await self._list_of(theirs.belonging.owner, f"{turn}b lists", Role.ATTACK)
                if not self._is_in(answer, theirs):
                    raise Unclear(
                        f"{objects.listing.name} does not show b its own ({answer.why or answer.status})."
                    )
                if not self._is_in(answer, mine):
                    self.must_have_refused(answer, proofs[1:])
                    break
                if by_cache(answer.reply):
                    raise Unclear(f"{objects.listing.name}: a cache answered in its place (Age).")
                proofs.append(answer.exchange)
            else:
                await self._must_be_somebodys(mine, theirs)
                message = f"{objects.listing.name} lists another user's object."
                violation = Violation(
                    objects.listing.name, message, None, tuple(proofs), Expectation("refused")
                )
                return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        finally:
            await self._take_away(made)
        return Passed(f"{objects.listing.name} lists one's own.", tuple(self.evidence), tuple(self.notes))

    # What is known of the two objects.

    async def _both_known(self, made: list[Belonging]) -> tuple[AsRead, AsRead]:
        """An object of A and one of B, as each reads its own. Raises Unclear."""
        found = []
        for label in ("a", "b"):
            objects, owner = self._own_objects(), await self.credential(owner=label)
            answer = await self.call(
                objects.create, owner, label=f"{label} creates an object", body=dict(objects.template)
            )
            identifier = resolve(answer.reply.json, objects.identifier)
            if not answer.reply.ok or not isinstance(identifier, (str, int)) or isinstance(identifier, bool):
                raise Unclear(
                    f"{objects.create.name} made no object of {label} ({answer.why or answer.status})."
                )
            made.append(Belonging(owner, str(identifier), "", answer.exchange))
            found.append(await self._as_read(made[-1], "before"))
        return found[0], found[1]

    async def _as_read(self, belonging: Belonging, when: str) -> AsRead:
        views = [
            await self._looks(belonging.owner, belonging, f"control {when}: its owner reads it")
            for _ in range(2)
        ]
        if not all(view.reply.ok for view in views):
            bad = views[0] if not views[0].reply.ok else views[1]
            raise Unclear(
                f"{self._own_objects().read.name} did not show an object to its owner ({bad.why or bad.status})."
            )
        standing = Standing.of(views[0].status, views[0].reply.json, views[1].reply.json)
        return AsRead(belonging, standing, views[0].exchange)

    async def _must_be_told_apart(self, mine: AsRead, theirs: AsRead) -> None:
        """B's own is answered otherwise, and what is not there is refused. Raises Unclear."""
        name = self._own_objects().read.name
        if mine.standing.values == theirs.standing.values:
            raise Unclear(f"{name} answers alike for all objects: nothing tells one from another.")
        nowhere = Belonging(
            theirs.belonging.owner, another_id(mine.belonging.identifier, self.rng), "", mine.belonging.made
        )
        absent = await self._looks(nowhere.owner, nowhere, "control: b reads what does not exist")
        if absent.status not in _NOT_THERE and not absent.reply.soft:
            raise Unclear(
                f"{name} does not refuse an id that does not exist ({absent.why or absent.status})."
            )

    async def _must_not_be_everybodys(self) -> None:
        """The same of two new objects. Raises Unclear."""
        made: list[Belonging] = []
        try:
            await self._must_be_somebodys(*await self._both_known(made))
        finally:
            await self._take_away(made)

    async def _must_be_somebodys(self, mine: AsRead, theirs: AsRead) -> None:
        """B may not read A's, it names its owner, or B's list leaves it out. Raises Unclear where all may see all."""
        objects = self._own_objects()
        if self.target.policy.shared_objects is not None:
            return
        seen = await self._looks(theirs.belonging.owner, mine.belonging, "control: may b read it?")
        if seen.judgement is None and seen.status in _NOT_THERE:
            return
        names = {name for name in await Naming(self.scene, self.rule).names_of("a") if len(name) > 1}
        values: Mapping[str, object] = mine.standing.values
        owned = any(OWNER.search(pointer) or str(value) in names for pointer, value in values.items())
        if owned:
            return
        if objects.listing is not None:
            listed = [
                await self._list_of(one.belonging.owner, "control: who lists it?") for one in (mine, theirs)
            ]
            if (
                self._is_in(listed[0], mine)
                and self._is_in(listed[1], theirs)
                and not self._is_in(listed[1], mine)
            ):
                return
        raise Unclear(
            f"{objects.read.name} shows everybody's, and nothing in them names an owner: whether people share them, "
            "nothing says.",
            "[policy]\nshared_objects = false  # each is its maker's, and this is a finding; true: everybody's",
        )

    def _is_in(self, answer: Answer, known: AsRead) -> bool:
        """Whether a list holds this object: its identifier stands where the object has its own."""
        member = self._own_objects().identifier.rpartition("/")[2]
        return answer.reply.ok and any(
            pointer.rpartition("/")[2] == member and str(value) == known.belonging.identifier
            for pointer, value in flattened(answer.reply.json).items()
        )

    async def _list_of(self, credential: Credential, label: str, role: Role = Role.CONTROL) -> Answer:
        listing = self._own_objects().listing
        if listing is None:
            raise Unclear("No operation lists the objects.")
        return await self.call(listing, credential, label=label, role=role, fresh=label.startswith("again"))

    async def _looks(
        self, credential: Credential, belonging: Belonging, label: str, role: Role = Role.CONTROL
    ) -> Answer:
        return await self.call(
            self._own_objects().read,
            credential,
            label=label,
            role=role,
            values=self.at(belonging.identifier),
            fresh=label.startswith("again"),
        )

    async def _writes_to(
        self,
        operation: Operation,
        credential: Credential,
        aim: AsRead,
        label: str,
        body: dict[str, Any] | None,
    ) -> Answer:
        role = Role.CONTROL if label.startswith("control") else Role.ATTACK
        values = dict.fromkeys(parameters(operation), aim.belonging.identifier)
        fresh = label.startswith("again")
        return await self.call(
            operation, credential, label=label, role=role, values=values, body=body, fresh=fresh
        )


def changed_body(operation: Operation, template: Mapping[str, Any]) -> dict[str, Any] | None:
    """A body that changes one number, switch or choice of what was made as `template`; None where there is none."""
    schema = next((item for media, item in operation.bodies.items() if media.endswith("json")), {})
    listed = joined(schema).get("properties") or {}
    body = {name: value for name, value in template.items() if name in listed}
    for name, inner in listed.items():
        member, value = joined(inner), body.get(name)
        choices = [item for item in member.get("enum") or () if item not in (value, None)]
        if choices:
            return {**body, name: choices[0]}
        if isinstance(value, bool) or (value is None and member.get("type") == "boolean"):
            return {**body, name: not value}
        if isinstance(value, int | float) and name.rpartition("_")[2] not in ("id", "version"):
            return {**body, name: value + 1}
    return None
