"""What somebody whom an owner has let in to look does to what is kept there: changes it, deletes it, adds to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Expectation, Role, Severity, Violation
from auth_conformance.oracles.privilege import access_words
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.memberships import Membership, Memberships, below, last_of, memberships
from auth_conformance.probe.owning import Belonging, shown_in
from auth_conformance.probe.tampering import plain_change

if TYPE_CHECKING:
    from auth_conformance.target import Account, Objects, Operation

# So many collections below one that people are let into are tried.
_BELOW = 3


@dataclass(frozen=True, slots=True)
class Deed:
    """What one who only looks tries: in which collection (that of the membership, or one below), and by what."""

    objects: Objects
    operation: Operation
    done: str
    severity: Severity = Severity.HIGH


class Looking(Memberships):
    """Lets B into an object of A's as somebody who only looks, and has B do more than look."""

    async def done_by_looking(self) -> list[Violation]:
        """B, whom A let in to look, changes what A reads, twice. Raises nothing: what is unclear is no finding."""
        found = []
        for item in list(memberships(self.target))[:2]:
            for deed in self._deeds(item):
                with contextlib.suppress(Missing, Unclear):
                    seen = [*await self._does(item, deed, ""), *await self._does(item, deed, "again: ")]
                    found.append(self._by_looking(item, deed.operation.name, deed.done, deed.severity, seen))
        return found

    async def invited_by_looking(self) -> list[Violation]:
        """B, whom A let in to look, lets somebody in as more than that, and A reads who it is, twice."""
        found = []
        for item in list(memberships(self.target))[:2]:
            listings = [f"GET {item.invite.path}"]
            listings += [f"GET {item.change.path.rpartition('/{')[0]}"] if item.change is not None else []
            shown = [each for name in listings if (each := self.target.operation(name)) is not None]
            if not item.given or item.person.lower().endswith("id"):
                continue
            with contextlib.suppress(Missing, Unclear), self.looking_at(item.objects):
                guest = await self._guest(item.person)
                did = f"let somebody in as {item.given[-1]}"
                seen = [
                    *await self._invites(item, guest, shown, ""),
                    *await self._invites(item, guest, shown, "again: "),
                ]
                found.append(self._by_looking(item, item.invite.name, did, Severity.CRITICAL, seen))
        return found

    async def put_out_by_looking(self) -> list[Violation]:
        """B, whom A let in to look, puts somebody else out, who reads on until then, twice."""
        found = []
        for item in list(memberships(self.target))[:2]:
            away = self.target.operation(f"DELETE {item.change.path}") if item.change is not None else None
            guest = await self.disposable("another user")
            if away is None or guest is None or item.person.lower().endswith("id"):
                continue
            with contextlib.suppress(Missing, Unclear), self.looking_at(item.objects):
                seen = [
                    *await self._puts_out(item, away, guest, ""),
                    *await self._puts_out(item, away, guest, "again: "),
                ]
                found.append(self._by_looking(item, away.name, "put somebody else out", Severity.HIGH, seen))
        return found

    @staticmethod
    def _by_looking(
        item: Membership, name: str, did: str, severity: Severity, proofs: list[Exchange]
    ) -> Violation:
        message = (
            f"{name} let another user, whom the owner had let in as {item.looks}, {did}: "
            "nobody looked at the role of who asks."
        )
        attack = next(proof for proof in proofs if proof.role is Role.ATTACK)
        return Violation(name, message, severity, tuple(proofs), Expectation("refused", about=attack.number))

    async def _puts_out(self, item: Membership, away: Operation, guest: Account, turn: str) -> list[Exchange]:
        """What shows that B put somebody else out once. Raises Unclear."""
        made: list[Belonging] = []
        try:
            mine = await self._put_down("a", made)
            await self._let_in(item, mine)
            third = (await self.log_in(guest)).credential
            invited = await self._invite(item, mine, await self._guest(item.person))
            if not (await self._looks_at(mine, "a third looks", third)).reply.ok:
                await self._accept(invited, mine, third)
            number = await self._number_of(third, guest.username)
            before = await self._looks_at(mine, "control: a third looks", third)
            attack = await self.call(
                away,
                await self.credential(owner="b"),
                label=f"{turn}b, who only looks, puts a third out",
                role=Role.ATTACK,
                values={**item.placed(away, self.at(mine.identifier)), last_of(away): number},
                fresh=bool(turn),
            )
            after = await self._looks_at(mine, "control: the third looks afterwards", third)
            there = await self._reads_own(mine, "afterwards")
            if before.reply.ok and attack.reply.ok and after.judgement is None and after.status in (403, 404):
                return [before.exchange, attack.exchange, after.exchange, there.exchange]
        finally:
            await self._take_away(made)
        raise Unclear(f"{away.name} put nobody out for b.")

    async def _invites(
        self, item: Membership, guest: str, shown: list[Operation], turn: str
    ) -> list[Exchange]:
        """What shows that B let somebody in once as more than B is. Raises Unclear."""
        made: list[Belonging] = []
        try:
            mine = await self._put_down("a", made)
            invited = await self._let_in(item, mine)
            values = item.placed(item.invite, self.at(mine.identifier))
            attack = await self.call(
                item.invite,
                await self.credential(owner="b"),
                label=f"{turn}b, who only looks, lets somebody in as {item.given[-1]}",
                role=Role.ATTACK,
                values=values,
                body={item.role: item.given[-1], item.person: guest},
                fresh=bool(turn),
            )
            for listing in shown if attack.reply.ok else ():
                label = "control: who is let in, as the owner reads it"
                told = await self.call(listing, mine.owner, label=label, role=Role.CONTROL, values=values)
                if told.reply.ok and guest.lower() in told.reply.text.lower():
                    return [mine.made, invited.exchange, attack.exchange, told.exchange]
        finally:
            await self._take_away(made)
        raise Unclear(f"{item.invite.name} let nobody in for b.")

    def _deeds(self, item: Membership) -> Iterator[Deed]:
        for objects in (item.objects, *self._below(item)):
            if objects.update is not None:
                yield Deed(objects, objects.update, "change what the owner reads")
            if objects.delete is not None:
                yield Deed(objects, objects.delete, "delete what the owner had made")
            # Remarks are what people who only look may leave: a comment changes nothing of what they look at.
            remarks = set(objects.create.path.lower().strip("/").split("/")) & set(access_words("remarks"))
            if objects is not item.objects and not remarks:
                yield Deed(objects, objects.create, "add to what the owner reads", Severity.MEDIUM)

    def _below(self, item: Membership) -> list[Objects]:
        """The collections whose objects lie below the one that people are let into."""
        known = [each for each in (self.target.objects, *self.target.further) if each is not None]
        return [
            each
            for each in known
            if below(each.read.path, item.objects.read.path) is not None and len(each.parents) == 1
        ][:_BELOW]

    async def _does(self, item: Membership, deed: Deed, turn: str) -> list[Exchange]:
        """What shows that B did it once. Raises Unclear."""
        made: list[Belonging] = []
        with self.looking_at(item.objects):
            try:
                mine = await self._put_down("a", made)
                invited = await self._let_in(item, mine)
                proofs = [mine.made, invited.exchange]
                if deed.objects is item.objects:
                    return proofs + await self._upon(deed, mine, self.at(mine.identifier), turn)
                above = {deed.objects.parents[0].parameter: mine.identifier}
                with self.looking_at(deed.objects):
                    return proofs + await self._within(deed, mine, above, turn)
            finally:
                await self._take_away(made)

    async def _within(self, deed: Deed, mine: Belonging, above: dict[str, str], turn: str) -> list[Exchange]:
        """Try it on what lies below what A has made. Raises Unclear."""
        visitor = await self.credential(owner="b")
        if deed.operation.name == deed.objects.create.name:
            label = f"{turn}b, who only looks, adds to it"
            attack, put_there = await self.creates(visitor, label, role=Role.ATTACK, above=above)
            if put_there is None:
                raise Unclear(f"{deed.operation.name} let b add nothing ({attack.status}).")
            after = await self._read_by_owner(
                deed, mine, {**above, deed.objects.id_parameter: put_there.identifier}
            )
            if after.reply.ok and shown_in(put_there.canary, after):
                return [attack.exchange, after.exchange]
            raise Unclear(f"{deed.operation.name} added nothing that the owner reads.")
        answer, theirs = await self.creates(mine.owner, "a makes one in it", above=above)
        if theirs is None:
            raise Unclear(f"{deed.objects.create.name} made nothing ({answer.why or answer.status}).")
        return [
            answer.exchange,
            *await self._upon(deed, theirs, {**above, deed.objects.id_parameter: theirs.identifier}, turn),
        ]

    async def _upon(self, deed: Deed, theirs: Belonging, values: dict[str, str], turn: str) -> list[Exchange]:
        """Let B change or delete what is the owner's, and the owner look before and after. Raises Unclear."""
        deletes = deed.objects.delete is not None and deed.operation.name == deed.objects.delete.name
        text = self.canary()
        before = await self._read_by_owner(deed, theirs, values)
        attack = await self.call(
            deed.operation,
            await self.credential(owner="b"),
            label=f"{turn}b, who only looks, {'deletes' if deletes else 'changes'} it",
            role=Role.ATTACK,
            values=values,
            body=None if deletes else plain_change(self.scene, deed.objects, deed.operation, text),
            fresh=bool(turn),
        )
        after = await self._read_by_owner(deed, theirs, values)
        gone = after.judgement is None and after.status in (404, 410)
        done = gone if deletes else after.reply.ok and text in after.reply.text
        if not (before.reply.ok and attack.reply.ok and done):
            raise Unclear(f"{deed.operation.name} did nothing for b.")
        return [before.exchange, attack.exchange, after.exchange]

    async def _read_by_owner(self, deed: Deed, theirs: Belonging, values: dict[str, str]) -> Answer:
        label = "control: the owner reads it"
        return await self.call(deed.objects.read, theirs.owner, label=label, role=Role.CONTROL, values=values)
