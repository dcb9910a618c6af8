"""Another user at what is not theirs: reads by what shows, changes by what the owner sees afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Outcome
from auth_fuzz import rules
from auth_fuzz.operations.ground import SAFE, Ground
from auth_fuzz.things import filled

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.model import Rule
    from auth_conformance.probe import Answer
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.things import Thing


class Others(Ground):
    """Attacks by somebody who has an account, and nothing to do with the object."""

    async def _as_other(self, request: HttpRequest, good: Answer) -> None:
        owner, other, thing = self._caller, self.world.b, self._thing
        if other is None or thing is None or owner is self.world.admin:
            return
        credential = other.login()
        if credential is None or not await self.world.keeps_apart(thing):
            return
        if self.operation.method in SAFE:
            await self._read_by_other(request, credential, good, thing)
        else:
            await self._changed_by_other(request, credential)

    async def _read_by_other(
        self, request: HttpRequest, credential: Credential, good: Answer, thing: Thing
    ) -> None:
        word = self.world.things.words.get(f"{filled(thing.collection, thing.above)}/{thing.identifier}")

        def showed(answer: Answer) -> bool:
            same = answer.exchange.reply.digest == good.exchange.reply.digest
            text = answer.reply.text
            named = thing.identifier in text or (word is not None and word in text)
            return answer.reply.ok and ((same and named) or self._shows(answer, self._caller))

        answer = await self._send(request, (credential,), "another user asks for it by its id")
        if answer.outcome is not None:
            return
        if not showed(answer):
            self.ledger.tried(rules.FOREIGN_READ, answer.exchange)
            return
        again = await self._send(request, (credential,), "again: another user", fresh=True)
        if showed(again):
            message = f"{self.operation.name} shows another user what is hidden from them elsewhere."
            self._broken(rules.FOREIGN_READ, message, (good, answer, again))

    async def _changed_by_other(self, request: HttpRequest, credential: Credential) -> None:
        evidence = await self._changes(request, credential, "another user's request", rules.FOREIGN_WRITE)
        if evidence:
            done = f"by another user changed what its owner sees (answered {evidence[1].status})"
            message = f"{self.operation.name} {done}."
            self._broken(rules.FOREIGN_WRITE, message, evidence)

    async def _changes(
        self, request: HttpRequest, credential: Credential, label: str, rule: Rule
    ) -> list[Answer]:
        """What proves that the request changes what the owner sees, twice; [] when nothing does."""
        evidence: list[Answer] = []
        for prefix in ("", "again: "):
            mine = await self._fresh(request)
            before, steady = await self._owner_looks(), await self._owner_looks()
            if before is None or steady is None or not before.reply.ok or _seen(before) != _seen(steady):
                return []
            answer = await self._send(mine, (credential,), f"{prefix}{label}", fresh=bool(evidence))
            after = await self._owner_looks()
            if after is None or answer.outcome is Outcome.THROTTLED or after.outcome is not None:
                return []
            if _seen(after) == _seen(before):
                self.ledger.tried(rule, answer.exchange)
                return []
            evidence += [before, answer, after]
        return evidence

    async def _owner_looks(self) -> Answer | None:
        thing = self._thing
        return await self.world.things.owner_view(self._caller, thing) if thing is not None else None


def _seen(answer: Answer) -> tuple[int | None, str]:
    return answer.status, answer.exchange.reply.digest
