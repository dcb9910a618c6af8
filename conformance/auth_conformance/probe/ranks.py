"""Which operations ordinary users must not call: declared, named so, or seen to refuse them and not administrators."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

from auth_conformance.model import Need, Provenance
from auth_conformance.oracles.privilege import access_words, reserved_for, role_word
from auth_conformance.oracles.scopes import scopes_of
from auth_conformance.probe.core import Missing
from auth_conformance.probe.guarded import Guarded, beneath, plain_reads, privileged_lines
from auth_conformance.probe.sessions import Sessions
from auth_conformance.target import Operation, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.credentials import Credential

READING = ("GET", "HEAD")
# Changes first, then creations, then deletions from the leaves to the root: safe order.
ORDER = {"GET": 0, "HEAD": 0, "PATCH": 1, "PUT": 1, "POST": 2, "DELETE": 3}
# How many documented operations are read as administrator and as ordinary user to see whom they refuse.
MOST_READ = 20
_HIDDEN = (403, 404)
_OF_OTHERS = "it changes the account that it names"


@dataclass(frozen=True, slots=True)
class Privileged:
    """An operation that ordinary users must not call, and why we think so."""

    operation: Operation
    because: str
    declared: bool
    suspected: bool = False  # that everybody may call it is as likely: A's success is a question
    telling: bool = (
        False  # it changes an account that is not A's: whose that is sees it, and no administrator is needed
    )

    @property
    def reads(self) -> bool:
        """Whether calling it changes nothing."""
        return self.operation.method in READING


class Ranks(Sessions, Guarded):
    """Tells the operations of administrators from those of everybody."""

    # What stays untried without an administrator.
    _left_out: Sequence[Privileged] = ()

    async def privileged(self, admin: Credential | None, live: Credential) -> list[Privileged]:
        """The operations in the order in which it is safe to call them. Raises Missing when there are none.

        `live` is a credential of A, an ordinary user.
        """
        policy = self.target.policy
        flows = self.target.flows()
        granted = await self._scopes_of_a()
        of_others = {item.operation.name for item in self.switches()}
        of_others |= {item.operation.name for item in self.target.profiles}
        found: list[Privileged] = []
        for operation in self.target.operations:
            if operation.name in policy.privileged_operations:
                found.append(Privileged(operation, "declared privileged", declared=True))
            elif operation.name not in policy.public_operations | flows:
                telling = operation.name in of_others
                because = self._hint(operation, granted) or (_OF_OTHERS if telling else "")
                if because:
                    found.append(Privileged(operation, because, declared=False, telling=telling))
        known = {operation.name for operation in self.target.operations}
        for name in sorted(policy.privileged_operations - known):
            method, _, path = name.partition(" ")
            operation = Operation(method, path, provenance=Provenance.DECLARED)
            found.append(Privileged(operation, "declared privileged", declared=True))
        hinted = any(not item.declared for item in found)
        if admin is None:
            self._left_out = [item for item in found if not (item.declared or item.telling)]
            found = [item for item in found if item not in self._left_out]
        else:
            found += await self._observed(admin, live, {item.operation.name for item in found} | flows)
            found += self._guessed(known)
        if not found and not self._left_out:
            self.nothing_privileged(hinted=hinted)
        return sorted(
            found, key=lambda item: (ORDER.get(item.operation.method, 2), -item.operation.path.count("/"))
        )

    def switches(self) -> list[Switch]:
        """What is done to accounts of others, shutting them out first."""
        users = self.target.users
        found = [getattr(users, field.name) for field in fields(users)] if users is not None else []
        return [item for item in found if isinstance(item, Switch)]

    def nothing_privileged(self, *, hinted: bool) -> NoReturn:
        """Say what was found, and what is missing to judge it. Raises Missing."""
        if hinted:
            raise Missing(
                "Operations for administrators were found, but no administrator is known to compare with.",
                self.target.remedies.get(Need.ADMIN, ""),
            )
        raise Missing(
            "No operation is declared privileged, and the document names none.",
            privileged_lines(self.target),
        )

    @staticmethod
    def _hint(operation: Operation, granted: frozenset[str]) -> str:
        schemes = [name for alternative in operation.security or () for name in alternative]
        word = role_word(
            [operation.path, *operation.tags, *operation.scopes, operation.operation_id, *schemes]
        )
        word = word or reserved_for(operation.summary)
        if word is not None:
            return f"the document says {word}"
        missing = set(operation.scopes) - granted
        return f"needs the scope {min(missing)}, which an ordinary user lacks" if granted and missing else ""

    async def _observed(self, admin: Credential, live: Credential, settled: set[str]) -> list[Privileged]:
        """What refuses A and lets an administrator in, whatever it is called, and what lies beneath the same path."""
        skipped = settled | self.target.policy.public_operations | {self.witness.operation.name}
        listed = [
            item for item in plain_reads(self.target) if item.name not in skipped and item.security != ()
        ]
        found: list[Privileged] = []
        open_to_a: list[str] = [self.witness.operation.path]
        for operation in listed[:MOST_READ]:
            allowed = await self.seen_by(admin, operation)
            if not allowed.reply.ok:
                continue
            answer = await self.seen_by(live, operation)
            if answer.reply.ok:
                open_to_a.append(operation.path)
            elif answer.status in _HIDDEN:
                because = "it refuses an ordinary user, and no administrator"
                found.append(Privileged(operation, because, declared=False))
        for above in [item.operation for item in found]:
            because = f"it lies beneath {above.name}, which refuses ordinary users"
            found += [
                Privileged(item, because, declared=False, suspected=True)
                for item in self.target.operations
                if item.method not in READING
                and beneath(item.path, above.path)
                and item.name not in skipped | {other.operation.name for other in found}
                and not any(beneath(item.path, path) for path in open_to_a)
            ]
        return found

    def _guessed(self, known: set[str]) -> list[Privileged]:
        """Name undocumented places where administrators' operations often are; only GET."""
        first = self.witness.operation.path.strip("/").split("/")
        prefixes = ["", *(["/" + "/".join(first[:-1])] if len(first) > 1 else [])]
        names = [
            Operation("GET", f"{prefix}/{word}", provenance=Provenance.GUESSED)
            for prefix in prefixes
            for word in access_words("places")
        ]
        return [Privileged(item, "guessed", declared=False) for item in names if item.name not in known]

    async def _scopes_of_a(self) -> frozenset[str]:
        if not self.target.logins:
            return frozenset()
        live = await self.credential()
        token = live.jwt
        return scopes_of(dict(token.claims) if token is not None else None)


def parameters(operation: Operation) -> list[str]:
    """The names of an operation's path parameters, in order."""
    return [part.split("}")[0] for part in operation.path.split("{")[1:]]
