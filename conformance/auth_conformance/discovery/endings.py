"""Operations that end a login without being called so: tried with an account of the run's own, and observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.discovery.lifecycle import deletion_operations, is_logout, log_out
from auth_conformance.discovery.names import mentions, names
from auth_conformance.discovery.schemas import fields
from auth_conformance.model import Provenance
from auth_conformance.target import Login, Operation

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Account

_MOST = 4


async def find_unnamed_logout(scout: Scout, known: Knowledge, doorman: Doorman, account: Account) -> None:
    """Fill in `logouts` where no operation is called one. `account` is thrown away: what is tried may delete it.

    A logout is what ends the credential that called it, while the account can log in again; or the DELETE of the
    path where a login is a POST (RFC 9110 §9.3.5), whatever it ends.
    """
    if known.settings.logout or known.witness is None:
        return
    for login in known.logins:
        if any(is_logout(item) for item in known.by_method("POST", "DELETE", "GET", "PUT")):
            return
        for operation in _candidates(known, login)[:_MOST]:
            reply = await doorman.send(login, account)
            credential = login.read(reply, account.label) if reply is not None else None
            if reply is None or credential is None:
                return
            found = await log_out(scout, operation, credential, login.read_refresh(reply))
            if found is None:
                continue
            logout, _ = found
            over = await _is_over(scout, known, operation, credential)
            if not over and not _undoes(operation, login):
                continue
            again = await doorman.send(login, account)
            fresh = login.read(again, account.label) if again is not None else None
            if fresh is None:
                return  # the account is gone, or logins are limited: that was no logout for sure
            known.credentials[account.label, login.carrier.kind] = fresh
            known.logouts.append(logout)
            known.say(
                "logout",
                f"{operation.name} ends a {login.carrier.kind.value} login",
                Provenance.OBSERVED,
                "after it the credential was refused, and the account could log in again"
                if over
                else "it deletes what the login makes, and answered with success",
            )
            break


def _candidates(known: Knowledge, login: Login) -> list[Operation]:
    """What may end this login: the deletion of what a login makes first, then what stands beside it.

    Nothing else is tried: what it does nobody has said.
    """
    beside = login.operation.path.rstrip("/").rpartition("/")[0]
    found = [
        item
        for item in wordless(known)
        if _undoes(item, login) or (beside and item.path.startswith(f"{beside}/"))
    ]
    return sorted(found, key=lambda item: (not _undoes(item, login), item.method != "DELETE"))


def _undoes(operation: Operation, login: Login) -> bool:
    """Whether it is the deletion of what the login makes, by its place."""
    same = operation.path.rstrip("/") == login.operation.path.rstrip("/")
    return operation.method == "DELETE" and login.operation.method == "POST" and same


async def _is_over(scout: Scout, known: Knowledge, operation: Operation, credential: Credential) -> bool:
    if known.witness is None:
        return False
    witness = known.witness.operation
    reply = await scout.call(witness, f"{witness.name} after {operation.name}", credential=credential)
    return not scout.let_in(reply, known.strangers[witness.name])


def wordless(known: Knowledge) -> list[Operation]:
    """Operations that might end a login, whatever they are called: a caller, and nothing told.

    A creation of an object or a key takes a body, and what is done to one thing names it in its path. What is done to
    all things of a kind (`DELETE /flows/` beside `/flows/{id}`, `POST /flows/upload`) ends no login, and a line that
    offered it would have people empty their own account; logins are such things themselves.
    """
    many = _collections(known)
    return [
        operation
        for operation in known.by_method("POST", "DELETE")
        if operation.security != ()
        and "{" not in operation.path
        and not any(item.required for schema in operation.bodies.values() for item in fields(schema))
        and not any(item.required and item.place == "query" for item in operation.parameters)
        and operation.name not in _flows(known)
        and operation not in deletion_operations(known)
        and not _of_many(operation, many)
    ]


def _collections(known: Knowledge) -> dict[str, bool]:
    """The paths of what is many and can be named one by one, logins left out; and whether people log in below it."""
    logins = {f"{login.operation.path.rstrip('/')}/" for login in known.logins}
    ended = frozenset((*names("sessions"), *names("logout")))
    above = {item.path.partition("/{")[0] for item in known.operations.values() if "/{" in item.path}
    return {
        path: any(login.startswith(f"{path}/") for login in logins)
        for path in above
        if path and f"{path}/" not in logins and not mentions(path.rpartition("/")[2], ended)
    }


def _of_many(operation: Operation, many: dict[str, bool]) -> bool:
    """Whether it is done to a collection, or stands in one where nobody logs in."""
    path = operation.path.rstrip("/")
    return path in many or any(path.startswith(f"{kind}/") for kind, logs_in in many.items() if not logs_in)


def _flows(known: Knowledge) -> set[str]:
    """The names of the operations whose part is known."""
    flows = {login.operation.name for login in known.logins}
    flows |= {item.operation.name for item in (known.register, known.refresh) if item is not None}
    flows |= {known.keys.create.name} if known.keys is not None else set()
    return flows | ({known.objects.create.name} if known.objects is not None else set())
