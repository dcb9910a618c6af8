"""Whom a service writes down and whom it counts, when a request names two people (checklist MIX104)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.probe.core import Core

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.transports.message import RawReply

# Where limits say how much is left: the draft of the IETF, and what services had before it.
_LEFT = ("ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining")
_SHORTEST = 3


class Bookkeeping(Core):
    """Reads counters, and names in lines."""

    async def names_in_lines(self, owner: str, credential: Credential) -> frozenset[str]:
        """Every name under which a line may mean this person: the user name, and what the witness shows as ids."""
        answer = await self.at_witness(credential, label=f"who is {owner}?")
        shown = answer.reply.json if isinstance(answer.reply.json, dict) else {}
        told = [
            str(value)
            for key, value in shown.items()
            if key.lower().endswith(("id", "sub", "username", "email")) and isinstance(value, (str, int))
        ]
        names = [self.account(owner).username, answer.exchange.reply.principal or "", *told]
        return frozenset(name for name in names if len(name) >= _SHORTEST)

    async def left_of(self, credential: Credential) -> int | None:
        """How many requests this person has left at the witness, as the service counts; None where it says nothing."""
        answer = await self.call(
            self.witness.operation, credential, label="how much is left?", role=Role.CONTROL
        )
        return remaining(answer.reply) if answer.reply.ok else None


def remaining(reply: RawReply) -> int | None:
    """What a reply says is left of a limit."""
    found = next((value for name in _LEFT if (value := reply.header(name)) is not None), "")
    return int(found[:9]) if found.strip().isdecimal() else None


def one_named(lines: Sequence[str], names: Mapping[str, frozenset[str]]) -> str | None:
    """The one person whom these lines name; None where they name nobody, or both."""
    common = frozenset.intersection(*names.values()) if names else frozenset()
    found = {
        owner
        for owner, known in names.items()
        if any(name in line for name in known - common for line in lines)
    }
    return next(iter(found)) if len(found) == 1 else None


def one_charged(before: Mapping[str, int], after: Mapping[str, int], requests: int) -> str | None:
    """The one person whose counter these requests moved, beside one reading of each; None where it cannot be told."""
    fell = {owner: before[owner] - after[owner] for owner in before}
    charged = [owner for owner, number in fell.items() if number == requests + 1]
    spared = [owner for owner, number in fell.items() if number == 1]
    return charged[0] if len(charged) == 1 and len(spared) == len(fell) - 1 else None
