"""Reads that are behind: a cache of each caller's answers, a replica that lags, a queue whose work is done later.

What an owner reads after an attack shows that nothing was changed only where reads show what somebody else has just
written. Two logins of one person are somebody else to such a cache, and no attack.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from auth_conformance.model import Inconclusive, Passed, Role, Verdict
from auth_conformance.probe.answers import Missing, Unclear
from auth_conformance.probe.core import Core
from auth_conformance.probe.objects import object_of
from auth_conformance.probe.tampering import plain_change

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.probe.answers import Answer
    from auth_conformance.target import Objects

REMEDY = (
    "# point the run at the application itself: behind no cache, on one database that reads what was written"
)


async def outdated(probe: Core) -> tuple[Exchange, ...]:
    """What proves that reads are behind; nothing where they are not, or that cannot be seen. Asked once per run."""
    asking, objects = Core(probe.scene, probe.rule), probe.target.objects

    async def ask() -> tuple[Exchange, ...]:
        try:
            return () if objects is None else tuple(await _behind(asking, objects))
        except (Missing, Unclear):
            return ()

    return await probe.scene.once("outdated reads", ask)


async def _behind(probe: Core, objects: Objects) -> list[Exchange]:
    """One login changes an object, or deletes it, and another one of the same person reads it as before. Twice."""
    change = objects.update or objects.delete
    reader = await probe.credential()
    if change is None or (writer := await probe.credential(fresh=True)).value == reader.value:
        return []
    proofs: list[Exchange] = []
    for turn in ("", "again: "):
        mark = probe.canary()
        values = probe.at(await object_of(probe, "a", mark))
        body = (
            plain_change(probe.scene, objects, change, f"changed {probe.canary()}")
            if objects.update
            else None
        )

        async def reads(words: str, turn: str = turn, values: dict[str, str] = values) -> Answer:
            label = f"control: {turn}{words}"
            return await probe.call(objects.read, reader, label=label, role=Role.CONTROL, values=values)

        first = await reads("A reads what A has just made")
        label = f"control: {turn}another login of A changes it"
        done = await probe.call(change, writer, label=label, role=Role.CONTROL, values=values, body=body)
        then = await reads("A reads it again")
        kept = first.reply.ok and then.reply.ok and mark in first.reply.text and mark in then.reply.text
        if not done.reply.ok or not kept:
            return []
        proofs += [first.exchange, done.exchange, then.exchange]
    return proofs


async def as_of_now(probe: Core, verdict: Verdict) -> Verdict:
    """The verdict; none where attacks were answered with success, and what was read afterwards may be of before."""
    if not isinstance(verdict, Passed) or not _rests_on_reads(verdict):
        return verdict
    if not (proofs := await outdated(probe)):
        return verdict
    reason = (
        f"{proofs[-1].operation} shows what was there before another login of the same person had changed it: a cache "
        "answers in the service's place, or what is answered as done is done later, or never. That nothing was seen "
        "to change after the attack says nothing."
    )
    return Inconclusive(reason, REMEDY, (*proofs, *verdict.evidence), verdict.notes)


def _rests_on_reads(verdict: Passed) -> bool:
    """Whether something was read both before and after attacks that were answered with success."""
    done = [
        item.number
        for item in verdict.evidence
        if item.role is Role.ATTACK and 200 <= (item.reply.status or 0) < 400
    ]
    reads = [
        item for item in verdict.evidence if item.role is not Role.ATTACK and item.request.method == "GET"
    ]
    return bool(done) and any(
        first.number < done[-1] and done[0] < second.number and first.request.url == second.request.url
        for first, second in combinations(reads, 2)
    )
