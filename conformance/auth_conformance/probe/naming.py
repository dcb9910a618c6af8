"""What a service and its users call a user: the words that issued values and answers may be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import strings
from auth_conformance.probe.core import Core, Missing, Unclear

if TYPE_CHECKING:
    from auth_conformance.transports.message import RawReply

_IDS = ("id", "uid", "user_id", "userid", "sub", "uuid")


class Naming(Core):
    """Knows the names of an account."""

    async def names_of(self, owner: str = "a") -> tuple[str, ...]:
        """User name, its part before the @, and the ids that the witness tells, most telling first."""
        return await self.scene.once(
            ("names", owner), lambda: Naming(self.scene, self.rule).ask_for_names(owner)
        )

    async def told_of(self, owner: str = "a") -> RawReply:
        """What the witness answers to an account, asked once per run. Raises Missing or Unclear."""
        return await self.scene.once(
            ("told of", owner), lambda: Naming(self.scene, self.rule).ask_the_witness(owner)
        )

    async def ask_the_witness(self, owner: str) -> RawReply:
        """Ask the witness. Called once per run, on a probe of its own."""
        credential = await self.credential(owner=owner)
        return (await self.at_witness(credential, label=f"how does the service call {owner}?")).reply

    async def ask_for_names(self, owner: str) -> tuple[str, ...]:
        """Read them. Called once per run, on a probe of its own."""
        account = self.account(owner)
        names = [account.username, account.username.partition("@")[0]]
        try:
            reply = await self.told_of(owner)
        except (Missing, Unclear):
            return tuple(dict.fromkeys(names))
        told = [found_at(reply, self.witness.identity)] if self.witness.identity else []
        told += [
            value
            for pointer, value in strings(reply.json).items()
            if pointer.rpartition("/")[2].lower() in _IDS
        ]
        names += [str(value) for value in told if isinstance(value, str | int) and str(value)]
        return tuple(dict.fromkeys(filter(None, names)))
