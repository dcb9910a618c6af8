"""Credentials that may do less than their owner: tokens and keys that were asked for with few scopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.discovery.names import words
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.scopes import may_include, only_reads, speaks_of

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.scopes import ScopeMember
    from auth_conformance.target import Login, Operation
    from auth_fuzz.people import Person, Searcher

# So many different scopes are asked for per operation, of each door; services limit how many keys somebody has.
_SCOPES = 2


@dataclass(frozen=True, slots=True)
class Lesser:
    """A credential with few scopes. `lacks` is one that the operation demands; "" where it names none."""

    label: str
    credential: Credential
    lacks: str


class Rights:
    """Which credentials with fewer scopes people can have here; each is asked for once."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher, self.target = searcher, searcher.target
        self._made: dict[tuple[str, str, str], tuple[Credential, frozenset[str]] | None] = {}
        self._names: list[str] | None = None

    async def lessers(self, person: Person, operation: Operation) -> list[Lesser]:
        """Credentials of the person that an operation must refuse for their scopes, the nearest misses first.

        Where the operation names no scope and changes something, those that say that they only read.
        """
        found: list[Lesser] = []
        for door in self._doors():
            names = await self._known(person)
            about = frozenset(word for scope in operation.scopes for word in speaks_of(scope)) or words(
                operation.path
            )
            near = sorted(
                (name for name in names if self._falls_short(operation, {name})),
                key=lambda name: -len(speaks_of(name) & about),
            )
            for name in near[:_SCOPES]:
                made = await self._one(person, door, name)
                if made is None or not (lacks := self._falls_short(operation, made[1])):
                    continue
                what = "key" if door is None else f"{door.carrier.kind.value} login"
                lacking = next(iter(operation.scopes), "") and lacks
                found.append(
                    Lesser(f"{person.label}'s {what} with only {' '.join(sorted(made[1]))}", made[0], lacking)
                )
        return found

    def forget(self, person: Person) -> None:
        """What was made for the person has ended."""
        for key in [key for key in self._made if key[0] == person.account.username]:
            del self._made[key]

    @property
    def known(self) -> bool:
        """Whether there is a door here that gives credentials with fewer scopes."""
        return bool(self._doors())

    def _doors(self) -> list[Login | None]:
        """The logins that can be asked for fewer scopes, and None for keys that can."""
        found: list[Login | None] = [item for item in self.target.logins if self.searcher.takes_scope(item)]
        return found + ([None] if self._member() is not None else [])

    def _member(self) -> ScopeMember | None:
        return self.searcher.scopes_of_keys(self.target.keys)

    def _falls_short(self, operation: Operation, held: frozenset[str] | set[str]) -> str:
        """A scope that the operation demands and none of these may hold; "" when they suffice, or that is unknown.

        Where it demands none, and changes something: what is held, when that only reads.
        """
        if operation.scopes:
            short = (scope for scope in operation.scopes if not any(may_include(one, scope) for one in held))
            return next(short, "")
        if operation.method in {"GET", "HEAD", "OPTIONS"} or not held or not all(map(only_reads, held)):
            return ""
        return " ".join(sorted(held)) if self._governed(operation) else ""

    def _governed(self, operation: Operation) -> bool:
        """Whether a scope is about what the operation changes: ending one's own logins is nobody's scope, as a rule."""
        about = {word.rstrip("s") for word in words(operation.path)}
        target = self.target
        kept = {item.create.path for item in (target.objects, *target.further) if item is not None}
        for name in self._names or ():
            if only_reads(name):
                continue
            of = {word.rstrip("s") for word in speaks_of(name)}
            if of & about or (not of and operation.path.split("/{")[0] in kept):
                return True
        return False

    async def _known(self, person: Person) -> list[str]:
        if self._names is None:
            member, keys, login = self._member(), self.target.keys, person.login()
            if member is not None and keys is not None and login is not None:
                self._names = await self.searcher.scope_names(keys, member, login)
            else:
                declared = [scope for item in self.target.operations for scope in item.scopes]
                self._names = list(dict.fromkeys(declared))
        return self._names

    async def _one(
        self, person: Person, door: Login | None, name: str
    ) -> tuple[Credential, frozenset[str]] | None:
        """A credential with one scope and what it says that it holds; None where none is given, or none says so."""
        kind = "key" if door is None else door.operation.name
        known = (person.account.username, kind, name)
        if known not in self._made:
            self._made[known] = (
                await self._key(person, name) if door is None else await self._login(person, door, name)
            )
        return self._made[known]

    async def _login(
        self, person: Person, door: Login, name: str
    ) -> tuple[Credential, frozenset[str]] | None:
        label = f"{person.label} logs in with only {name}"
        credential, granted = await self.searcher.narrow_login(door, person.account, [name], label)
        # What is asked for is only a request (RFC 6749 §3.3): what was granted counts.
        return (credential, granted) if credential is not None and granted else None

    async def _key(self, person: Person, name: str) -> tuple[Credential, frozenset[str]] | None:
        member, keys = self._member(), self.target.keys
        # Of levels only their names tell which holds which: one that only reads holds no other.
        if member is None or keys is None or (member.single and not only_reads(name)):
            return None
        made = await self.searcher.issue_key(person, {member.name: member.written([name])})
        if made is None:
            return None
        record = resolve(made[2].reply.json, keys.value.rpartition("/")[0])
        stated = member.stated(record) or member.stated(made[2].reply.json)
        # Where the reply says nothing the service took what was asked for.
        return made[0], stated or frozenset({name})
