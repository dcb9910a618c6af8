"""What administrators may read and ordinary users may not: found by asking both."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.oracles.privilege import reserved_for, role_word
from auth_conformance.probe.core import Answer, Core, Missing
from auth_conformance.target import Operation, Target

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential

# Operations that nothing names as administrators' and that are asked all the same.
_MOST_UNNAMED = 10
# How many operations of a service are offered in a line of configuration.
_MOST_OFFERED = 3


def plain_reads(target: Target) -> Iterator[Operation]:
    """Operations that read, end no login and take no parameter in the path."""
    return (item for item in target.reads() if "{" not in item.path)


def privileged_reads(target: Target) -> Iterator[Operation]:
    """Operations that read, take no parameter in the path, and are for administrators: by policy, or by name."""
    for operation in plain_reads(target):
        declared = operation.name in target.policy.privileged_operations
        named = role_word([operation.path, *operation.tags, *operation.scopes])
        if declared or named is not None or reserved_for(operation.summary) is not None:
            yield operation


def perhaps_privileged(target: Target) -> Iterator[Operation]:
    """Those, and then further operations that read and want a caller: who they are for, their answers tell."""
    named = list(privileged_reads(target))
    yield from named
    known = {item.name for item in named} | ({target.witness.operation.name} if target.witness else set())
    others = (item for item in plain_reads(target) if item.security and item.name not in known)
    yield from islice(others, _MOST_UNNAMED)


def privileged_lines(target: Target) -> str:
    """The lines that say what only administrators may call, with operations of this service where it has such."""
    own = [item.create.path for item in (target.objects, *target.further, target.keys) if item is not None]
    own += [target.witness.operation.path] if target.witness is not None else []
    others = (
        item.name
        for item in target.operations
        if item.security
        and item.name not in target.policy.public_operations | target.flows()
        and not any(beneath(item.path, path) for path in own)
    )
    listed = ", ".join(f'"{name}"' for name in islice(others, _MOST_OFFERED)) or '"GET /admin/users"'
    return f"[policy]\nprivileged_operations = [{listed}]  # those that only administrators may call"


def beneath(path: str, above: str) -> bool:
    """Whether a path is that of a collection or of something in it."""
    return path == above or path.startswith(above.rstrip("/") + "/")


class Guarded(Core):
    """Finds operations that ask for more than a login."""

    async def seen_by(self, credential: Credential, operation: Operation) -> Answer:
        """What the owner of a credential gets at an operation."""
        who = "an administrator" if credential.owner == "admin" else credential.owner.upper()
        return await self.call(
            operation, credential, label=f"control: {who} at {operation.name}", role=Role.CONTROL
        )

    async def guarded_read(self) -> tuple[Operation, Answer]:
        """Return an operation that an administrator may read and A may not, with its answer. Raises Missing."""
        admin, live = await self.credential(owner="admin"), await self.credential()
        for operation in perhaps_privileged(self.target):
            allowed = await self.seen_by(admin, operation)
            refused = await self.seen_by(live, operation)
            if allowed.reply.ok and refused.judgement is None and not refused.reply.ok:
                return operation, allowed
        raise Missing(
            "No operation was found that an administrator may read and an ordinary user may not.",
            privileged_lines(self.target),
        )
