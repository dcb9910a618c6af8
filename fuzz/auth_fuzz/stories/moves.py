"""What else a service lets its users do to their credentials: found in its operations by shape and name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Kind
from auth_conformance.discovery.names import likeness, names, words
from auth_fuzz.documents import placeholders
from auth_fuzz.people import collection_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance import target as targets
    from auth_conformance.target import Operation, Target

_EVERYWHERE = {"all", "everywhere", "logoutall", "revokeall", "everything"}
# What all of is ended where no logout is named: `POST /tokens/revoke-all`.
_LOGINS = {"session", "sessions", "token", "tokens", "login", "logins", "device", "devices"}
_ROTATE = {"rotate", "roll", "regenerate", "renew", "rotation"}
_CHANGES = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True)
class Switch:
    """What administrators do to turn an account off and on again, or to take a role away and to give it."""

    off: targets.Switch
    on: targets.Switch


@dataclass(frozen=True, slots=True)
class Edit:
    """How the name of an API key is changed: the operation, and the member of its body that takes it."""

    operation: Operation
    member: str


@dataclass(frozen=True, slots=True)
class Moves:
    """What can be played here. `missing` names what cannot, with what would be needed."""

    logout_all: Operation | None = None
    change: targets.PasswordChange | None = None
    rotate: Operation | None = None
    edit: Edit | None = None
    block: Switch | None = None
    role: Switch | None = None
    reset: targets.Recovery | None = None
    confirmation: targets.Verification | None = None
    missing: tuple[str, ...] = field(default=())


def find_moves(target: Target) -> Moves:
    """The moves that the target's operations allow."""
    users = target.users
    found = Moves(
        logout_all=_first(target, _is_logout_all),
        change=target.password_change,
        rotate=_first(target, _is_rotation) if target.keys is not None else None,
        edit=next(_edits(target), None),
        block=_both(users.disable, users.enable) if users is not None else None,
        role=_both(users.demote, users.promote) if users is not None else None,
        # What is mailed can be redeemed where the mail can be read.
        reset=target.recovery if target.mailbox is not None else None,
        confirmation=target.verification if target.mailbox is not None else None,
    )
    known: dict[str, object] = {
        "register": target.register,
        "refresh": target.refresh,
        "log out": target.logouts,
        "log out everywhere": found.logout_all,
        "change the password": found.change,
        "create API keys": target.keys,
        "revoke API keys": target.keys is not None and target.keys.revoke,
        "rotate API keys": found.rotate,
        "rename API keys": found.edit,
        "delete the account": target.delete_account,
        "block an account": found.block if "admin" in target.accounts else None,
        "change a role": found.role if "admin" in target.accounts else None,
        "reset the password": found.reset,
        "confirm the address": found.confirmation,
        "move the clock": target.in_process,
        "restart": target.in_process,
    }
    missing = tuple(name for name, value in known.items() if not value)
    return replace(found, missing=missing)


def _first(target: Target, fits: Any) -> Operation | None:
    return next((operation for operation in target.operations if fits(operation, target)), None)


def _is_logout_all(operation: Operation, target: Target) -> bool:
    if operation.method not in {"POST", "DELETE"} or placeholders(operation.path) or not operation.protected:
        return False
    ways_out = {logout.operation.name for logout in target.logouts}
    listed = target.sessions.end_all if target.sessions is not None else None
    if operation.name in ways_out or (target.keys is not None and _below(operation, target.keys.create.path)):
        return False
    named = words(operation.path) | words(operation.operation_id)
    revokes = bool(named & {*names("logout", "revocations")}) and bool(named & _LOGINS)
    ends = likeness(operation, "logout") > 1 or revokes
    return (ends and bool(named & _EVERYWHERE)) or (listed is not None and operation.name == listed.name)


def _below(operation: Operation, path: str) -> bool:
    return operation.path == path or operation.path.startswith(f"{path}/")


def _edits(target: Target) -> Iterator[Edit]:
    """Changes of an API key that take a name for it, as its creation does: they change nothing else."""
    keys = target.keys
    if keys is None:
        return
    for operation in target.operations:
        own = operation.path.startswith(f"{keys.create.path}/{{") and operation.path.endswith("}")
        schema = next((value for media, value in operation.bodies.items() if media.endswith("json")), {})
        members = schema.get("properties")
        if operation.method not in {"PUT", "PATCH"} or len(placeholders(operation.path)) != 1 or not own:
            continue
        for name, shape in members.items() if isinstance(members, dict) else ():
            if isinstance(keys.template.get(name), str) and not (isinstance(shape, dict) and "enum" in shape):
                yield Edit(operation, name)


def _is_rotation(operation: Operation, target: Target) -> bool:
    keys = target.keys
    return (
        keys is not None
        and operation.method in _CHANGES
        and len(placeholders(operation.path)) == 1
        and collection_of(operation) == keys.create.path
        and bool((words(operation.path) | words(operation.operation_id)) & _ROTATE)
    )


def _both(off: targets.Switch | None, on: targets.Switch | None) -> Switch | None:
    return Switch(off, on) if off is not None and on is not None else None


def kinds_of_login(target: Target) -> list[Kind]:
    """The kinds of credential that a login gives."""
    return [kind for kind in Kind if target.login(kind) is not None]
