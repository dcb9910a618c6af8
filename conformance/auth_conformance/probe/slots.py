"""`race_slots`: the last API key that an account may have, asked for many times at the same moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Need, Role, Verdict, Violation
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.volleys import ROUNDS, TOGETHER, Race, Volleys
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import KeyManagement, Operation

# A limit beyond so many keys is not looked for.
MOST_SLOTS = 25


class SlotRaces(Volleys):
    """Fills an account with keys, and asks for more than there is room for."""

    async def race_slots(self) -> Verdict:
        """Where an account may have so many keys, the last place is given once. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None or keys.revoke is None or keys.identifier is None:
            raise Missing("No keys can be made and revoked here.", self._remedy(Need.KEY_MANAGEMENT))
        login = (await self.log_in(await self.another_victim())).credential
        held: list[str] = []
        try:
            return await self._slots_raced(keys, keys.revoke, login, held)
        finally:
            for identifier in held:
                await self._free(keys.revoke, login, identifier)

    async def _slots_raced(
        self, keys: KeyManagement, revoke: Operation, login: Credential, held: list[str]
    ) -> Verdict:
        solo = await self._filled_up(keys, login, held)
        name, limit = keys.create.name, len(held)
        # The controls: one place that is free again is given once, and then there is none.
        await self._free(revoke, login, held.pop())
        if self._key_kept(keys, await self._one_more(keys, login), held) is None:
            await self._holder_lives(login)
            raise Missing(f"Not applicable: a key that is revoked makes no room at {name}.", applicable=False)
        if self._key_kept(keys, await self._one_more(keys, login), held) is not None:
            raise Unclear(f"{name} refused one key, and then made one: its limit is not one of places.")
        races: list[Race] = []
        doubts: list[str] = []
        request = keys.create.carrying(keys.create.request(), dict(keys.template))
        request = request.with_headers(*login.headers).with_query(*login.query)
        for number in range(ROUNDS):
            await self._free(revoke, login, held.pop())
            race = await self.together_now(
                [request] * TOGETHER, f"round {number + 1}: the last key", name, solo
            )
            races.append(race)
            made = [item for item in race.answers if self._key_kept(keys, item, held) is not None]
            living = [item for item in made if await self._key_lives(keys, item)]
            if len(living) > 1:
                message = (
                    f"{name} made {len(made)} keys where an account of {limit} had room for one, when it was asked "
                    f"{TOGETHER} times at once ({race.at_once} in work together); {len(living)} of them work."
                )
                proofs = tuple(item.exchange for item in living[:4])
                return Failed(
                    (Violation(name, message, None, proofs),), tuple(self.evidence), tuple(self.notes)
                )
            doubts += self.crashes_of(race)
            if len(held) < limit and self._key_kept(keys, await self._one_more(keys, login), held) is None:
                return Inconclusive(
                    f"{name} made no key any more although there was room.", "", tuple(self.evidence)
                )
        return self.raced(races, doubts, f"{TOGETHER} requests for the last of {limit} keys made one")

    async def _filled_up(self, keys: KeyManagement, login: Credential, held: list[str]) -> float:
        """Make keys until one is refused in order, twice; returns what one takes, in seconds. Raises Missing."""
        quickest = 1.0
        for _ in range(MOST_SLOTS):
            answer = await self._one_more(keys, login)
            if self._key_kept(keys, answer, held) is not None:
                quickest = min(quickest, answer.reply.took)
                continue
            again = await self._one_more(keys, login)
            await self._holder_lives(login)
            refused = answer.judgement is None and again.judgement is None and not again.reply.ok
            if not held or not refused:
                raise Unclear(
                    f"{keys.create.name} stopped making keys without saying so twice ({answer.status}, {again.status})."
                )
            return max(0.001, quickest)
        raise Missing(f"Not applicable: {MOST_SLOTS} keys of one account met no limit.", applicable=False)

    async def _holder_lives(self, login: Credential) -> None:
        """See that it is keys that are refused, and not their maker. Raises Unclear."""
        await self.must_live(self.witness, login, await self.baseline(self.witness, login), "beside the keys")

    async def _one_more(self, keys: KeyManagement, login: Credential) -> Answer:
        return await self.call(
            keys.create, login, label="one more key", role=Role.CONTROL, body=dict(keys.template)
        )

    def _key_kept(self, keys: KeyManagement, answer: Answer, held: list[str]) -> str | None:
        """Remember the key that an answer made by its identifier; None where it made none."""
        body = answer.reply.json
        value, identifier = resolve(body, keys.value), resolve(body, keys.identifier or "")
        if not answer.reply.ok or not isinstance(value, str) or not isinstance(identifier, (str, int)):
            return None
        self.scene.recorder.redactor.learn(Secret(value))
        held.append(str(identifier))
        return held[-1]

    async def _key_lives(self, keys: KeyManagement, answer: Answer) -> bool:
        live = await self.credential(keys.carriers[0].kind)
        value = Secret(str(resolve(answer.reply.json, keys.value)))
        shown = await self._replay_once(
            self.witness, replace(live, value=value, companions=()), "use a key of the race"
        )
        return shown.accepted

    async def _free(self, revoke: Operation, login: Credential, identifier: str) -> None:
        values = revoke.naming(identifier)
        await self.call(revoke, login, label="revoke a key, which makes room", values=values)
