"""`must_not_be_shared`: whether what another user sees may be everybody's by design."""

from __future__ import annotations

import re
from collections.abc import Mapping

from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.above import shared
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.owning import Belonging, Owning
from auth_conformance.transports.recorder import BudgetExceededError

# Members by which an object says whose it is, or whose place it is in.
OWNER = re.compile(
    r"owner|author|creator|user|member|account|customer|client|assignee|tenant|org|team|_by\b|By\b",
    re.IGNORECASE,
)
# Members by which it says in whose place it is: all who belong there may work on it.
_PLACE = re.compile(
    r"(?:^|/|_)(?:tenant|org|organi[sz]ation|team|workspace|company|household|group|department)(?:_?id|/id)?$",
    re.IGNORECASE,
)

# How a change of what is somebody else's is refused.
_KEPT = (401, 403, 404)


class Sharing(Owning):
    """Tells what is one person's from what people hold in common."""

    async def must_not_be_shared(self) -> None:
        """See that these are one person's objects. Raises Unclear where people may share them by design."""
        why = shared(self.scene) or await self.scene.once(
            ("held in common", self._own_objects().create.name), self._held_in_common
        )
        if why is not None:
            raise Unclear(*why)

    async def must_not_be_read_by_all(self) -> None:
        """See that not everybody may read these objects by design. Raises Unclear."""
        why = await self.scene.once(("read by all", self._own_objects().create.name), self._read_by_all)
        if why is not None:
            raise Unclear(*why)

    async def _read_by_all(self) -> tuple[str, str] | None:
        """Why everybody may be meant to read these objects, and the lines that decide; None where nothing says so.

        B finds A's in a plain list and by its address, and may not change it: so are articles, and things for sale. Who
        forgot the owner when reading forgets it in both places more rarely than in one.
        """
        objects = self._own_objects()
        changes = [item for item in (objects.update, objects.delete) if item is not None]
        if self.target.policy.shared_objects is not None or objects.private or objects.listing is None:
            return None
        made: list[Belonging] = []
        try:
            mine, other = await self._put_down("a", made), await self.credential(owner="b")
            place = self.at(mine.identifier)
            for operation in (objects.listing, objects.read):
                label = f"control: {operation.name} as b, as it is"
                answer = await self.call(operation, other, label=label, values=place)
                if mine.canary not in answer.reply.text:
                    return None
            kept = []
            for operation in changes:
                body = dict(objects.template) if operation is objects.update else None
                label = f"control: {operation.name} as b, of what b reads"
                kept.append(await self.call(operation, other, label=label, values=place, body=body))
            seen = await self._reads_own(mine, "after what b may not do")
            if any(item.judgement is not None or item.reply.ok for item in kept) or not seen.reply.ok:
                return None
            if all(item.status not in _KEPT for item in kept):
                return None
        except (Missing, Unclear, BudgetExceededError):
            return None
        finally:
            await self._take_away(made)
        both = f"{objects.listing.name} and {objects.read.name}"
        listed = f'"{objects.listing.name}", "{objects.read.name}"'
        why = (
            f"{both} show everybody's to whoever logs in, and only who made one may change it: whether all may read "
            "them, nothing says."
        )
        lines = (
            "[policy]\nshared_objects = false  # only its maker may read one, and this is a finding; or, if all may:\n"
            f"# public_operations = [{listed}]"
        )
        return why, lines

    async def _held_in_common(self) -> tuple[str, str] | None:
        """Why these objects may be everybody's, and the lines that decide; None where they are somebody's.

        Nothing in them names an owner, or they name the place of a team and B's name the same one; and B finds A's in
        a plain list and by its address: so are the things of a team that works on the same ones. A list that nobody
        filters looks the same, so that a person has to say it.
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
            owned = any(OWNER.search(pointer) or str(value) in names for pointer, value in told.items())
            common = await self._common_place(told, made) if owned else None
            if owned and common is None:
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
        ownerless = (
            f"and {common} is the same in A's and in B's: whether the people of one place share them, nothing says."
            if common is not None
            else "and nothing in them names an owner: whether people share them, nothing says."
        )
        return (
            f"{objects.listing.name} shows everybody's, {ownerless}",
            "[policy]\nshared_objects = false  # each is its maker's, and this is a finding; true: everybody's",
        )

    async def _common_place(self, told: Mapping[str, object], made: list[Belonging]) -> str | None:
        """The member that names the place of A's object, where an object of B's names the same; else None."""
        places = {
            pointer: value
            for pointer, value in told.items()
            if _PLACE.search(pointer)
            and isinstance(value, (str, int))
            and value != ""
            and not isinstance(value, bool)
        }
        if not places:
            return None
        other = await self._put_down("b", made)
        theirs = flattened((await self._reads_own(other, "of what people may share")).reply.json)
        return next((pointer for pointer, value in places.items() if theirs.get(pointer) == value), None)
