"""Keys of which each has one level out of several: none may make or become a key of a higher one (KEY110)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential
from auth_conformance.model import Exchange, Expectation, Role, Violation
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.stored import Stored
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.oracles.scopes import ScopeMember
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import KeyManagement, Operation

# So many levels are compared with each other.
MOST_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Narrow:
    """A key with one scope (or as it comes, where keys have none), and the answer that it came in."""

    scope: str
    credential: Credential
    answer: Answer


class KeyLevels(Holdings, Stored):
    """Knows keys by their records, and tries to lift a key to another level.

    Nothing tells which of two levels is the higher one. But of two different ones, one is: keys of either that
    make or become keys of the other show that nobody looks.
    """

    async def levels_kept(
        self, keys: KeyManagement, member: ScopeMember, narrow: list[Narrow], made: list[Answer]
    ) -> list[Violation]:
        """Keys of two levels ask for a key of each other's, and then to become one."""
        chosen = narrow[:MOST_LEVELS]
        for one, other in combinations(chosen, 2):
            proof = await self._made_across(keys, member, one, other, made)
            proof += await self._made_across(keys, member, other, one, made) if proof else []
            if len(proof) == 4:
                ways = f"a key with {other.scope} for one with {one.scope}, and the reverse"
                message = f"{keys.create.name} makes {ways}."
                return [Violation(keys.create.name, message, None, tuple(proof), Expectation("refused"))]
            if len(proof) == 2:
                self.notes.append(f"a key with {one.scope} can make one with {other.scope}, not the reverse")
        return await self._changed_across(keys, member, chosen)

    async def _made_across(
        self, keys: KeyManagement, member: ScopeMember, one: Narrow, other: Narrow, made: list[Answer]
    ) -> list[Exchange]:
        """A key with the scope of `other`, asked for by `one`, twice; nothing unless both were made."""
        proof: list[Exchange] = []
        body = put(dict(keys.template), member.name, member.written([other.scope]))
        for again in ("", "again: "):
            answer = await self.call(
                keys.create,
                one.credential,
                label=f"{again}a key with {one.scope} makes one with {other.scope}",
                role=Role.ATTACK,
                body=body,
            )
            stated = member.stated(answer.reply.json)
            if self.made_by(keys, answer, made) is None or stated not in (None, frozenset({other.scope})):
                return []
            proof.append(answer.exchange)
        return proof

    async def _changed_across(
        self, keys: KeyManagement, member: ScopeMember, narrow: list[Narrow]
    ) -> list[Violation]:
        """Each key changes itself into the next one; what the owner reads afterwards counts (RR)."""
        change = self.key_record(keys, ("PATCH", "PUT"))
        read = self.key_record(keys, ("GET",)) or keys.listing
        if change is None or read is None or not keys.identifier:
            return []
        owner = await self.credential(self._login_kind())
        parameter = change.path.partition("{")[2].partition("}")[0]
        proof: list[Exchange] = []
        for one, other in zip(narrow, [*narrow[1:], narrow[0]], strict=True):
            number = str(resolve(one.answer.reply.json, keys.identifier))
            answer = await self.call(
                change,
                one.credential,
                label=f"a key with {one.scope} takes {other.scope}",
                role=Role.ATTACK,
                values={parameter: number},
                body={member.name: member.written([other.scope])},
            )
            seen = await self.call(read, owner, label="the owner reads the key", values={parameter: number})
            record = seen.reply.json if "{" in read.path else record_in(seen.reply.json, number)
            if member.stated(record) != frozenset({other.scope}):
                return []
            proof += [answer.exchange, seen.exchange]
        message = f"{change.name} gave each of {len(narrow)} keys the scope of the next one, on its own word."
        return [Violation(change.name, message, None, tuple(proof), Expectation("refused"))]

    def made_by(self, keys: KeyManagement, answer: Answer, made: list[Answer]) -> Credential | None:
        """The key that a creation answered with, None where it made none; `made` collects what has to be revoked."""
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str) or not value:
            return None
        self.scene.recorder.redactor.learn(Secret(value))
        made.append(answer)
        return Credential(keys.carriers[0], Secret(value), "a")

    def key_record(self, keys: KeyManagement, methods: tuple[str, ...]) -> Operation | None:
        """The operation at the record of one key, by these methods."""
        start = f"{keys.create.path.rstrip('/')}/{{"
        return next(
            (
                operation
                for operation in self.target.operations
                if operation.method in methods
                and operation.path.startswith(start)
                and operation.path.endswith("}")
            ),
            None,
        )


def records_in(listed: Any) -> list[Any]:
    """The entries of a list of keys, whether it stands alone or in an object."""
    if isinstance(listed, dict):
        return next((value for value in listed.values() if isinstance(value, list)), [])
    return listed if isinstance(listed, list) else []


def record_in(listed: Any, number: str) -> Any:
    """The entry of that key in a list of keys."""
    return next(
        (item for item in records_in(listed) if isinstance(item, dict) and number in map(str, item.values())),
        None,
    )
