"""What administrators do to accounts, and what people do to their own logins; and where WebSockets are spoken.

Changing an account cannot be tried here, on people who are needed: the checks do it to expendable accounts,
and see for themselves that it was done.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import mentions, names, plain, rank
from auth_conformance.discovery.patterns import listed
from auth_conformance.discovery.routes import seen_websockets
from auth_conformance.discovery.sampling import body_type, free_text, sample
from auth_conformance.discovery.schemas import merged, type_of
from auth_conformance.model import Provenance
from auth_conformance.notation import filled
from auth_conformance.oracles.privilege import role_word
from auth_conformance.target import SessionManagement, Switch, UserManagement, WebSocketRoute, Writing

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.tables import CallSettings
    from auth_conformance.target import Operation

_MOST = 3
# Members that two pages have in common are those of people from this number on.
_TELLING = 3
PURPOSES = ("disable", "enable", "promote", "demote", "delete", "end_sessions")
_CHANGING = ("PATCH", "PUT", "POST")
_BECAUSE = "its path names an account, and its body or name says what it does"


def account_operations(known: Knowledge) -> list[Operation]:
    """Operations on one account that its path names: `DELETE /users/{id}`, `POST /users/{id}/ban`."""
    people = _of_people(known)
    return [
        operation
        for operation in known.by_method("PATCH", "PUT", "POST", "DELETE")
        if _after(operation, people) is not None
    ]


def changes_by_body(known: Knowledge) -> bool:
    """Whether something may change the account that its body names: `POST /users/delete`."""
    return any(
        len(parts) > 1
        and not any(part.startswith("{") for part in parts)
        and mentions(parts[-2], names("accounts"))
        and mentions(parts[-1], (*names("accounts", "disable"), *names("accounts", "changes")))
        for operation in known.by_method("PATCH", "PUT", "POST", "DELETE")
        for parts in [[part for part in operation.path.split("/") if part]]
    )


def _after(operation: Operation, people: Collection[str]) -> str | None:
    """What follows the account's parameter in the path: "" or one segment; None when no account is named.

    `people` are paths that list people, whatever they are called.
    """
    parts = [part for part in operation.path.split("/") if part]
    places = [place for place, part in enumerate(parts) if part.startswith("{")]
    if len(places) != 1 or places[0] == 0:
        return None
    above = parts[: places[0]]
    if not mentions(above[-1], names("accounts")) and "/" + "/".join(above) not in people:
        return None
    rest = parts[places[0] + 1 :]
    return None if len(rest) > 1 else (rest[0] if rest else "")


def _of_people(known: Knowledge) -> list[str]:
    """The path that lists what has the documented members of the page that names its caller.

    A service calls its people what it likes: staff, patients, Mitglieder. Where several lists have those members,
    they are the envelope of every answer, and tell nothing.
    """
    mine = _documented(known.witness.operation) if known.witness is not None else frozenset[str]()
    if known.witness is None or len(mine) < _TELLING:
        return []
    alike = {
        operation.path.rstrip("/")
        for operation in known.by_method("GET")
        if "{" not in operation.path
        and operation.name != known.witness.operation.name
        and _documented(operation) == mine
    }
    return list(alike) if len(alike) == 1 else []


def _documented(operation: Operation) -> frozenset[str]:
    """The members of what an operation answers, or of what it lists."""
    for status, response in operation.responses.items():
        content = response.get("content") if isinstance(response, Mapping) else None
        for media in content.values() if str(status).startswith("2") and isinstance(content, Mapping) else ():
            schema = media.get("schema") if isinstance(media, Mapping) else None
            return _members_of(schema) if isinstance(schema, Mapping) else frozenset()
    return frozenset()


def _members_of(schema: Mapping[str, Any]) -> frozenset[str]:
    plainly = merged(schema)
    if isinstance(plainly.get("items"), Mapping):
        return _members_of(plainly["items"])
    members = plainly.get("properties") or {}
    lists = [item for item in map(_listed, members.values()) if item is not None]
    if len(members) == 1 and not lists:
        wrapped = merged(inner) if isinstance(inner := next(iter(members.values())), Mapping) else {}
        return _members_of(wrapped) if wrapped.get("properties") else frozenset(map(str, members))
    return _members_of(lists[0]) if len(lists) == 1 else frozenset(map(str, members))


def _listed(schema: Any) -> Mapping[str, Any] | None:
    """What an array of objects holds; None for anything else."""
    items = merged(schema).get("items") if isinstance(schema, Mapping) else None
    return items if isinstance(items, Mapping) and merged(items).get("properties") else None


def find_user_management(known: Knowledge) -> None:
    """Fill in `users` from the configuration, else from paths and schemas, and `profiles`. Nothing is sent."""
    _find_switches(known)
    _find_profiles(known)


def _find_switches(known: Knowledge) -> None:
    given = known.settings.users
    if given is not None:

        def call(settings: CallSettings | None) -> Switch | None:
            if settings is None:
                return None
            return Switch(known.operation(settings.operation, Provenance.DECLARED), filled(settings.body))

        calls = {purpose: call(getattr(given, purpose)) for purpose in PURPOSES}
        found: dict[str, Switch] = {
            purpose: switch for purpose, switch in calls.items() if switch is not None
        }
        known.users = _managed(known, found, Provenance.DECLARED)
        for purpose, switch in found.items():
            known.say(
                f"accounts: {purpose}", switch.operation.name, Provenance.DECLARED, "your configuration"
            )
        return
    operations, people = account_operations(known), _of_people(known)
    # An administrators' router goes before one that others may use as well.
    # Users go before service accounts: a word by itself says more than one in a longer name.
    operations.sort(
        key=lambda item: (
            role_word([item.path, *item.tags, *item.scopes]) is None,
            item.path.partition("/{")[0].rpartition("/")[2].lower() not in names("accounts"),
        )
    )
    found = {}
    for operation in operations:
        for purpose, switch in _switches(operation, people):
            found.setdefault(purpose, switch)
    if not found:
        return
    known.users = _managed(known, found, Provenance.OPENAPI)
    for purpose, switch in found.items():
        known.say(f"accounts: {purpose}", switch.operation.name, Provenance.OPENAPI, _BECAUSE)


def _find_profiles(known: Knowledge) -> None:
    """What changes the account that its path names, and is no call that administrators make.

    What follows the account in the path may be meant for others: `PUT /users/{id}/follow`.
    """
    users = known.users
    calls = [getattr(users, purpose) for purpose in PURPOSES] if users is not None else []
    managing = {call.operation.name for call in calls if call is not None}
    people = _of_people(known)
    for operation in known.by_method("PATCH", "PUT"):
        media = body_type(operation)
        if _after(operation, people) != "" or operation.name in managing or media is None:
            continue
        text = free_text(operation.bodies[media])
        if text is not None:
            made = _required(operation) if operation.method == "PUT" else {}
            known.profiles.append(Writing(operation, made, text.pointer))
            because = "it changes the account that its path names"
            known.say("profile of others", f"{operation.name} ({text.pointer})", Provenance.OPENAPI, because)


def _managed(known: Knowledge, found: Mapping[str, Switch], provenance: Provenance) -> UserManagement:
    """The calls, and the operation that reads the account which they change."""
    path = next((switch.operation.path for switch in found.values() if "}" in switch.operation.path), "")
    read = known.operations.get(f"GET {path[: path.index('}') + 1]}") if path else None
    return UserManagement(**found, read=read, provenance=provenance)


def _switches(operation: Operation, people: Collection[str]) -> list[tuple[str, Switch]]:
    rest = _after(operation, people) or ""
    if operation.method == "DELETE" and not rest:
        return [("delete", Switch(operation))]
    if rest:
        found = []
        for purpose in ("disable", "enable", "end_sessions"):
            deletes = operation.method == "DELETE"
            if mentions(rest, names("accounts", purpose)) and (
                deletes == (purpose == "end_sessions") or not deletes
            ):
                found.append((purpose, Switch(operation, _required(operation))))
        if operation.method == "DELETE" and mentions(rest, names("accounts", "disable")):
            found.append(("enable", Switch(operation)))  # a suspension that is deleted is over
        if rest and not found:
            found += _by_members(operation)
        return found
    return _by_members(operation) if operation.method in _CHANGING else []


def _required(operation: Operation) -> dict[str, Any]:
    """The members that the body needs, or that a PUT takes the place of."""
    media = body_type(operation)
    made = sample(operation.bodies[media], random.Random(0)) if media is not None else {}
    return made if isinstance(made, dict) else {}


def _by_members(operation: Operation) -> list[tuple[str, Switch]]:
    media = body_type(operation)
    schema = merged(operation.bodies[media]) if media is not None else {}
    found: list[tuple[str, Switch]] = []
    for name, inner in (schema.get("properties") or {}).items():
        member = merged(inner) if isinstance(inner, Mapping) else {}
        for purpose, value in _meanings(plain(str(name)), member):
            found.append((purpose, Switch(operation, {**_required(operation), str(name): value})))
    return found


def _meanings(name: str, member: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Which values of a member shut an account out, let it in, raise it and lower it."""
    kind, told = type_of(member), member.get("enum") or listed(member.get("pattern"))
    words = [item for item in told if isinstance(item, str)]
    if kind == "boolean":
        if rank(name, names("accounts", "on")) is not None:
            return [("disable", False), ("enable", True)]
        if rank(name, names("accounts", "off")) is not None:
            return [("disable", True), ("enable", False)]
        if rank(name, names("accounts", "flags")) is not None:
            return [("promote", True), ("demote", False)]
    if rank(name, names("accounts", "state")) is not None and words:
        off = next((item for item in words if item.lower() in names("accounts", "states_off")), None)
        on = next((item for item in words if item.lower() in names("accounts", "states_on")), None)
        return [("disable", off), ("enable", on)] if off is not None and on is not None else []
    if rank(name, names("accounts", "role")) is not None and kind in ("string", ""):
        # Words that nobody knows are more often listed from the lowest rank up; what people really have goes before.
        high = next(
            (item for item in words if role_word([item]) is not None), words[-1] if words else "admin"
        )
        low = next((item for item in words if role_word([item]) is None), "user")
        return [("promote", high), ("demote", low)]
    return []


def session_listings(known: Knowledge) -> list[Operation]:
    """Operations that may list one's own logins."""
    return [
        operation
        for operation in known.by_method("GET")
        if "{" not in operation.path
        and mentions(operation.path.rstrip("/").rpartition("/")[2], names("sessions"))
        and not mentions(operation.path, names("sessions", "avoid"))
        and not mentions(operation.path, set(names("logout", "avoid")).difference(names("sessions")))
    ]


async def find_sessions(scout: Scout, known: Knowledge) -> None:
    """Fill in `sessions`: A asks for a list of logins, and each has an identifier."""
    given = known.settings.sessions
    if given is not None:
        end, end_all = (
            known.operation(name, Provenance.DECLARED) if name else None
            for name in (given.end, given.end_all)
        )
        listing = known.operation(given.listing, Provenance.DECLARED)
        known.sessions = SessionManagement(listing, given.identifier, end, end_all, Provenance.DECLARED)
        known.say(
            "logins",
            f"{listing.name}, each with {given.identifier}",
            Provenance.DECLARED,
            "your configuration",
        )
        return
    owner = known.credential("a")
    if owner is None:
        return
    for listing in session_listings(known)[:_MOST]:
        reply = await scout.call(listing, f"list logins: {listing.name}", credential=owner)
        listed = listed_items(reply.json) if reply.ok else []
        first = listed[0] if listed else {}
        member = next(
            (name for name in first if rank(name, names("sessions", "identifier")) is not None), None
        )
        if member is None:
            continue
        known.sessions = SessionManagement(listing, member, *_endings(known, listing))
        known.say("logins", f"{listing.name}, each with {member}", Provenance.OBSERVED, "A was shown a list")
        return


def listed_items(document: object) -> list[dict[str, Any]]:
    """The objects of a list, which may be the document itself or stand in one member of it."""
    if isinstance(document, list):
        return [item for item in document if isinstance(item, dict)]
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        return listed_items(lists[0]) if len(lists) == 1 else []
    return []


def _endings(known: Knowledge, listing: Operation) -> tuple[Operation | None, Operation | None]:
    """The operations that end one login of the list, and all others."""
    base = listing.path.rstrip("/")
    end: Operation | None = None
    end_all: Operation | None = None
    for operation in known.by_method("DELETE", "POST"):
        if _ends_one(operation, base):
            end = end or operation
        elif operation.path.rstrip("/") == base and operation.method == "DELETE":
            end_all = operation
        elif "{" not in operation.path and _ends_all(operation, base):
            end_all = end_all or operation
    return end, end_all


def _ends_one(operation: Operation, base: str) -> bool:
    if not operation.path.startswith(f"{base}/{{"):
        return False
    rest = operation.path.removeprefix(base).strip("/").split("/")
    if len(rest) == 1:
        return operation.method == "DELETE"
    return len(rest) == len(("{id}", "revoke")) and mentions(rest[1], names("sessions", "end"))


def _ends_all(operation: Operation, base: str) -> bool:
    beside = operation.path.startswith(base.rpartition("/")[0] or "/")
    last = operation.path.rpartition("/")[2]
    logout = mentions(operation.path, (*names("logout"), *names("sessions")))
    return beside and logout and mentions(last, names("sessions", "end_all"))


def find_websockets(known: Knowledge) -> None:
    """Fill in `websockets` from the configuration and the application: no document can list them."""
    for given in known.settings.websockets:
        known.websockets.append(WebSocketRoute(given.path, given.message, Provenance.DECLARED))
        known.say("WebSocket", given.path, Provenance.DECLARED, "your configuration")
    declared = {route.path for route in known.websockets}
    for path in seen_websockets(known.app) if known.kind == "app" else ():
        if path not in declared:
            known.websockets.append(WebSocketRoute(path))
            known.say("WebSocket", path, Provenance.OBSERVED, "a route of the application")
