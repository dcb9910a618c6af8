"""Keys of which each has one level out of several: none may make or become a key of a higher one (KEY110)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential
from auth_conformance.model import Exchange, Expectation, Role, Violation
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.gaps import outlasted
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.stored import Stored
from auth_conformance.secret import Secret
from auth_conformance.target.operations import HOLE

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


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The scopes that the owner reads of a key after it has asked `operation` for others, and both exchanges."""

    operation: str
    stated: frozenset[str]
    proof: tuple[Exchange, Exchange]


class KeyLevels(Holdings, Stored):
    """Knows keys by their records, and tries to lift a key to another level.

    Nothing tells which of two levels is the higher one. But of two different ones, one is: keys of either that
    make or become keys of the other show that nobody looks.
    """

    async def by_key(self, operation: Operation, key: Credential, **parts: Any) -> Answer:
        """What a live key is answered at an operation; not what everybody is just then (401 for a moment)."""

        async def once() -> Answer:
            return await self.call(operation, key, role=Role.ATTACK, **parts)

        return await outlasted(self, await once(), once)

    async def levels_kept(
        self,
        keys: KeyManagement,
        member: ScopeMember,
        narrow: list[Narrow],
        made: list[Answer],
        doubts: list[str],
    ) -> list[Violation]:
        """Keys of two levels ask for a key of each other's, and then to become one."""
        chosen = narrow[:MOST_LEVELS]
        for one, other in combinations(chosen, 2):
            proof = await self._made_across(keys, member, (one, other), made, doubts)
            proof += await self._made_across(keys, member, (other, one), made, doubts) if proof else []
            if len(proof) == 4:
                ways = f"a key with {other.scope} for one with {one.scope}, and the reverse"
                message = f"{keys.create.name} makes {ways}."
                return [Violation(keys.create.name, message, None, tuple(proof), Expectation("refused"))]
            if len(proof) == 2:
                self.notes.append(f"a key with {one.scope} can make one with {other.scope}, not the reverse")
        return await self._changed_across(keys, member, chosen, doubts)

    async def _made_across(
        self,
        keys: KeyManagement,
        member: ScopeMember,
        pair: tuple[Narrow, Narrow],
        made: list[Answer],
        doubts: list[str],
    ) -> list[Exchange]:
        """A key with the scope of the second, asked for by the first, twice; nothing unless both were made."""
        (one, other), proof = pair, list[Exchange]()
        body = put(dict(keys.template), member.name, member.written([other.scope]))
        for again in ("", "again: "):
            answer = await self.by_key(
                keys.create,
                one.credential,
                label=f"{again}a key with {one.scope} makes one with {other.scope}",
                body=body,
            )
            self.unjudged(answer, doubts)
            stated = member.stated(answer.reply.json)
            if self.made_by(keys, answer, made) is None or stated not in (None, frozenset({other.scope})):
                return []
            proof.append(answer.exchange)
        return proof

    async def _changed_across(
        self, keys: KeyManagement, member: ScopeMember, narrow: list[Narrow], doubts: list[str]
    ) -> list[Violation]:
        """Each key changes itself into the next one; what the owner reads afterwards counts (RR)."""
        proof: list[Exchange] = []
        for one, other in zip(narrow, [*narrow[1:], narrow[0]], strict=True):
            changed = await self.rewritten_by_key(keys, member, one, [other.scope], doubts)
            if changed is None or changed.stated != frozenset({other.scope}):
                return []
            proof += changed.proof
        if not proof:
            return []
        name = proof[0].operation
        message = f"{name} gave each of {len(narrow)} keys the scope of the next one, on its own word."
        return [Violation(name, message, None, tuple(proof), Expectation("refused"))]

    async def rewritten_by_key(
        self, keys: KeyManagement, member: ScopeMember, item: Narrow, scopes: list[str], doubts: list[str]
    ) -> Rewritten | None:
        """A key gives its own record other scopes; what the owner reads afterwards (RR), None where nothing is seen."""
        change = self.key_record(keys, ("PATCH", "PUT"))
        values = self.key_values(keys, change, item.answer)
        if change is None or values is None:
            return None
        answer = await self.by_key(
            change,
            item.credential,
            label=f"a key with only {item.scope} changes its scopes",
            values=values,
            body={member.name: member.written(scopes)},
        )
        self.unjudged(answer, doubts)
        seen, stated = await self.stated_afterwards(keys, member, item.answer)
        if stated is None and answer.reply.ok:
            doubts.append(f"{change.name} answers a key {answer.status}, and nothing shows its scopes.")
        if seen is None:
            return None
        return Rewritten(change.name, stated or frozenset(), (answer.exchange, seen.exchange))

    def made_by(self, keys: KeyManagement, answer: Answer, made: list[Answer]) -> Credential | None:
        """The key that a creation answered with, None where it made none; `made` collects what has to be revoked."""
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str) or not value:
            return None
        self.scene.recorder.redactor.learn(Secret(value))
        made.append(answer)
        return Credential(keys.carriers[0], Secret(value), "a")

    @staticmethod
    def unjudged(answer: Answer, doubts: list[str]) -> None:
        """Leave a doubt where an attack met a limit or a crash: that is no refusal."""
        if answer.judgement is not None:
            doubts.append(f"{answer.exchange.operation}: {answer.exchange.label}: {answer.why}.")

    @staticmethod
    def key_values(
        keys: KeyManagement, operation: Operation | None, created: Answer
    ) -> dict[str, str] | None:
        """The path values that lead to a key at the record of it; None where they are not known."""
        number = resolve(created.reply.json, keys.identifier) if keys.identifier else None
        if operation is None or number is None:
            return None
        left = [name for name in HOLE.split(operation.path)[1::2] if name != keys.owner_parameter]
        return dict.fromkeys(left, str(number))

    async def stated_afterwards(
        self, keys: KeyManagement, member: ScopeMember, created: Answer
    ) -> tuple[Answer | None, frozenset[str] | None]:
        """RR: what the owner reads of a key, and the scopes that stand there; None where nothing says them."""
        read = self.key_record(keys, ("GET",)) or keys.listing
        values = self.key_values(keys, read, created)
        if read is None or values is None:
            return None, None
        owner = await self.credential(self._login_kind())
        seen = await self.call(read, owner, label="the owner reads the key", values=values)
        number = str(resolve(created.reply.json, keys.identifier or ""))
        record = seen.reply.json if values else record_in(seen.reply.json, number)
        return seen, member.stated(record)

    def key_record(self, keys: KeyManagement, methods: tuple[str, ...]) -> Operation | None:
        """The operation at the record of one key, by these methods."""
        start = f"{keys.create.path.rstrip('/')}/{{"
        return next(
            (
                operation
                for operation in self.target.operations
                if operation.method in methods
                and operation.path.startswith(start)
                and operation.path.rstrip("/").endswith("}")
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
