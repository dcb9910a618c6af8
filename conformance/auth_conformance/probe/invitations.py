"""What an invitation is good for: once, for whom it names, until it is taken back, and while nobody is put out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role, Severity, Violation
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.memberships import Membership, Memberships, below, last_of, told_by

if TYPE_CHECKING:
    from auth_conformance.probe.owning import Belonging
    from auth_conformance.target import Operation

# A moment in which a service may tell its other processes who has been put out.
PAUSE = 1.0
OPEN = "[policy]\nopen_invitations = false  # they are for whom they name, and this is a finding; true: for anybody"


@dataclass(frozen=True, slots=True)
class Taken:
    """What an invitation did that it should not have done: the operation that let it, what it was, the proof."""

    operation: str
    message: str
    proof: tuple[Exchange, ...]
    severity: Severity | None = None

    def violation(self) -> Violation:
        """As a finding."""
        return Violation(self.operation, self.message, self.severity, self.proof)


class Invitations(Memberships):
    """Invites B and others into what is A's, and has B take more than that."""

    async def used_again(self, item: Membership) -> Taken | None:
        """Whether B comes back whom A has put out, or never goes. Raises Missing or Unclear."""
        made: list[Belonging] = []
        away = self.target.operation(f"DELETE {item.change.path}") if item.change is not None else None
        if away is None:
            raise Missing(f"Not applicable: nobody is put out of {item.objects.read.name}.", applicable=False)
        with self.looking_at(item.objects):
            try:
                mine = await self._put_down("a", made)
                await self._must_be_shut(mine)
                invited = await self._invite(item, mine)
                taker, member = await self._accept(invited, mine)
                values = {
                    **item.placed(away, self.at(mine.identifier)),
                    last_of(away): await self._number_of_b(),
                }
                out = await self.call(away, mine.owner, label="a puts b out", values=values)
                if not out.reply.ok:
                    raise Unclear(f"{away.name} put nobody out ({out.why or out.status}).")
                seen = await self._looks_at(mine, "b looks when put out")
                if seen.reply.ok:
                    await asyncio.sleep(PAUSE)
                    seen = await self._looks_at(mine, "b looks once more, a moment later")
                if seen.reply.ok:
                    message = f"{away.name} was granted, and whom the owner has put out goes on reading."
                    return Taken(away.name, message, (invited.exchange, out.exchange, seen.exchange))
                self.must_have_refused(seen)
                again = await self._take(taker, member, told_by(invited)[member], Role.ATTACK)
                seen = await self._looks_at(mine, "b looks with the invitation of before")
                if not seen.reply.ok:
                    self.must_have_refused(again)
                    self.must_have_refused(seen)
                    return None
                message = (
                    f"{taker.name} took an invitation that had been used: whom the owner puts out comes back."
                )
                return Taken(
                    taker.name, message, (invited.exchange, out.exchange, again.exchange, seen.exchange)
                )
            finally:
                await self._take_away(made)

    async def withdrawn(self, item: Membership) -> Taken | None:
        """Whether an invitation lets B in that A has taken back. Raises Missing or Unclear."""
        made: list[Belonging] = []
        back = self._taking_back(item)
        with self.looking_at(item.objects):
            try:
                mine = await self._put_down("a", made)
                await self._must_be_shut(mine)
                invited = await self._invite(item, mine)
                told = told_by(invited)
                number = next((told[name] for name in (last_of(back), "id", "uuid") if name in told), None)
                if number is None:
                    raise Missing(f"Not tested: {item.invite.name} does not say what {back.name} calls it.")
                values = {**item.placed(back, self.at(mine.identifier)), last_of(back): number}
                gone = await self.call(back, mine.owner, label="a takes the invitation back", values=values)
                if not gone.reply.ok:
                    raise Unclear(f"{back.name} took nothing back ({gone.why or gone.status}).")
                taker = await self._taken_by(invited, mine)
                if taker is None:
                    return None
                message = f"{taker.name} took an invitation that {back.name} had taken back."
                return Taken(taker.name, message, (invited.exchange, gone.exchange, self.evidence[-1]))
            finally:
                await self._take_away(made)

    def _taking_back(self, item: Membership) -> Operation:
        for operation in self.target.operations:
            rest = below(operation.path, item.invite.path)
            if operation.method == "DELETE" and rest is not None and rest == "{}":
                return operation
        raise Missing("Not applicable: nothing takes an invitation back.", applicable=False)

    async def of_another(self, item: Membership) -> Taken | None:
        """Whether B comes by an invitation that names somebody else. Raises Missing or Unclear."""
        made: list[Belonging] = []
        if item.person.lower().endswith("id"):
            raise Missing("Not tested: people are invited by their number.")
        with self.looking_at(item.objects):
            try:
                mine = await self._put_down("a", made)
                await self._must_be_shut(mine)
                invited = await self._invite(item, mine, await self._guest(item.person))
                taker = await self._taken_by(invited, mine)
                if taker is None:
                    return None
                message = f"{taker.name} let another user in by an invitation that names somebody else."
                return Taken(taker.name, message, (invited.exchange, self.evidence[-1]), Severity.MEDIUM)
            finally:
                await self._take_away(made)

    async def _taken_by(self, invited: Answer, mine: Belonging) -> Operation | None:
        try:
            taker, _ = await self._accept(invited, mine)
        except Unclear:
            return None
        return taker
