"""`must_not_be_shared`: whether what another user sees may be everybody's by design."""

from __future__ import annotations

import re

from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.above import shared
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.owning import Belonging, Owning
from auth_conformance.transports.recorder import BudgetExceededError

# Members by which an object says whose it is, or whose place it is in.
_OWNER = re.compile(
    r"owner|author|creator|user|member|account|customer|client|assignee|tenant|org|team|_by\b|By\b",
    re.IGNORECASE,
)


class Sharing(Owning):
    """Tells what is one person's from what people hold in common."""

    async def must_not_be_shared(self) -> None:
        """See that these are one person's objects. Raises Unclear where people may share them by design."""
        why = shared(self.scene) or await self.scene.once(
            ("held in common", self._own_objects().create.name), self._held_in_common
        )
        if why is not None:
            raise Unclear(*why)

    async def _held_in_common(self) -> tuple[str, str] | None:
        """Why these objects may be everybody's, and the lines that decide; None where they are somebody's.

        Nothing in them names an owner, and B finds A's in a plain list and by its address: so are the things of a
        team that works on the same ones. A list that nobody filters looks the same, so that a person has to say it.
        """
        objects, policy = self._own_objects(), self.target.policy
        if policy.shared_objects is not None or objects.private or objects.listing is None:
            return None
        made: list[Belonging] = []
        try:
            mine, other = await self._put_down("a", made), await self.credential(owner="b")
            seen = (await self._reads_own(mine, "of what people may share")).reply
            names = {name for name in await Naming(self.scene, self.rule).names_of("a") if len(name) > 1} - {
                mine.identifier
            }
            told = flattened(seen.json)
            if any(_OWNER.search(pointer) or str(value) in names for pointer, value in told.items()):
                return None
            place = self.at(mine.identifier)
            for operation in (objects.listing, objects.read):
                answer = await self.call(
                    operation, other, label=f"control: {operation.name} as b, as it is", values=place
                )
                if mine.canary not in answer.reply.text:
                    return None
        except (Missing, Unclear, BudgetExceededError):
            return None
        finally:
            await self._take_away(made)
        ownerless = "and nothing in them names an owner: whether people share them, nothing says."
        return (
            f"{objects.listing.name} shows everybody's, {ownerless}",
            "[policy]\nshared_objects = false  # each is its maker's, and this is a finding; true: everybody's",
        )
