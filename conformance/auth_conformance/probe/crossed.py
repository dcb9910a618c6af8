"""A cache in front that looks at the path alone: whoever asks next is given what somebody else was answered.

A shared cache must not do so (RFC 9111 §3.5). One check reports it; to all others it is no word of the service's: what
strangers are shown then says nothing about who is let in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Masked, Passed, Role, Verdict
from auth_conformance.probe.answers import Missing, Unclear
from auth_conformance.probe.core import Core
from auth_conformance.probe.objects import object_of

if TYPE_CHECKING:
    from auth_conformance.model import Exchange, Violation
    from auth_conformance.target import Objects

BEHIND = "# point the run at the application itself, behind no cache"
WHY = "a cache in front gives what one person was answered to whoever asks for the same path next"
# Which check reports it.
CODE = "WEB108"
_READS = ("GET", "HEAD")


async def crossed(probe: Core) -> tuple[Exchange, ...]:
    """What proves such a cache; nothing where there is none, or it cannot be seen. Asked once per run."""
    asking, objects = Core(probe.scene, probe.rule), probe.target.objects

    async def ask() -> tuple[Exchange, ...]:
        try:
            found = await (_by_names(asking) if objects is None else _by_objects(asking, objects))
        except (Missing, Unclear):
            return ()
        return tuple(found)

    return await probe.scene.once("crossed answers", ask)


async def _by_objects(probe: Core, objects: Objects) -> list[Exchange]:
    """A stranger is refused a new object of A, until A has read it. Twice."""
    live = await probe.credential()
    proofs: list[Exchange] = []
    for turn in ("", "again: "):
        mark = probe.canary()
        values = probe.at(await object_of(probe, "a", mark))
        for who, shown, words in (
            (None, False, "a stranger asks for what A has just made"),
            (live, True, "A reads it"),
            (None, True, "the stranger asks once more"),
        ):
            answer = await probe.call(
                objects.read, who, label=f"{turn}{words}", role=Role.CONTROL, values=values
            )
            if answer.reply.status is None or (answer.reply.ok and mark in answer.reply.text) is not shown:
                return []
            proofs.append(answer.exchange)
    return proofs


async def _by_names(probe: Core) -> list[Exchange]:
    """A, B and nobody are all told one name. Twice."""
    people = [await probe.credential(), await probe.credential(owner="b"), None]
    witness = probe.witness
    answers = [
        await probe.call(
            witness.operation,
            who,
            label=f"whose name {'nobody' if who is None else who.owner.upper()} is told",
            role=Role.CONTROL,
            pointer=witness.identity or None,
        )
        for who in people * 2
    ]
    names = {answer.exchange.reply.principal for answer in answers}
    return [answer.exchange for answer in answers] if len(names) == 1 and None not in names else []


async def uncrossed(probe: Core, verdict: Verdict) -> Verdict:
    """The verdict without what such a cache has said in the service's place."""
    if isinstance(verdict, Failed):
        kept = [item for item in verdict.violations if not _may_be_kept(item)]
        if len(kept) == len(verdict.violations):
            return verdict
        proof = {item.number for item in await crossed(probe)}
        kept = [
            item
            for item in verdict.violations
            if item in kept or not proof or proof & {seen.number for seen in item.evidence}
        ]
        if kept:
            return Failed(tuple(kept), verdict.evidence, verdict.notes)
    elif not _open_to_doubt(verdict, probe) or not await crossed(probe):
        return verdict
    reason = f"{WHY[0].upper()}{WHY[1:]}: what others see says nothing of the service. {CODE} says more."
    return Inconclusive(reason, BEHIND, tuple(probe.evidence))


def _open_to_doubt(verdict: Verdict, probe: Core) -> bool:
    """Whether such a cache may be why nothing was decided, or why a change was not seen that an attack has made."""
    changed = any(
        item.role is Role.ATTACK and item.request.method not in _READS and (item.reply.status or 500) < 300
        for item in probe.evidence
    )
    doubtful = isinstance(verdict, Inconclusive | Masked) or (isinstance(verdict, Passed) and changed)
    return doubtful and any(map(_is_kept, probe.evidence))


def _may_be_kept(violation: Violation) -> bool:
    """Whether it rests on a read, which a cache may have answered: one in its proof, or one that told it an id."""
    return any(_is_kept(item) or "{" in item.operation for item in violation.evidence)


def _is_kept(exchange: Exchange) -> bool:
    return exchange.request.method in _READS and exchange.reply.status == 200
