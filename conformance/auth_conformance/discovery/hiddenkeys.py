"""Keys that no described operation makes: told to their owner by what he reads, or managed where nobody says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery.access import adopt
from auth_conformance.discovery.doors import slashed, stranger, usual_paths
from auth_conformance.discovery.names import IN_PATH, likeness, mentions, names
from auth_conformance.discovery.tokens import opaque
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.secret import Secret
from auth_conformance.target import Operation, ToldKey

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

# Usual places that are asked for a list of keys, and operations that are read for a key.
_PLACES = 14
_READ = 3


def key_carriers(known: Knowledge) -> list[Carrier]:
    """The declared places of keys that no login uses."""
    taken = {(login.carrier.place, login.carrier.name.lower()) for login in known.logins}
    return [
        item
        for item in known.carriers
        if item.kind is Kind.KEY and (item.place, item.name.lower()) not in taken
    ]


def _of_programs(known: Knowledge) -> bool:
    """Whether nothing is described and people log in for a token: pages have no keys."""
    return not known.has_document and known.credential("a", [Kind.COOKIE]) is None


async def find_told_keys(scout: Scout, known: Knowledge) -> None:
    """Keep the key of each account that what it reads about itself tells, where that key opens something.

    Such a service makes one key with the account, and describes no operation that makes another.
    """
    if known.witness is None or any(kind is Kind.KEY for _, kind in known.credentials):
        return
    if not (known.has_document or _of_programs(known)):
        return
    carriers = key_carriers(known) or [Carrier(Kind.KEY, "header", name) for name in names("keys", "headers")]
    own = known.witness.operation
    named = [item for item in known.opened if item.name != own.name and likeness(item, "keys") >= IN_PATH]
    for operation in [own, *named][:_READ]:
        told = await _told(scout, known, operation, carriers)
        if told is not None:
            await _keep(scout, known, operation, *told)
            return


async def _told(
    scout: Scout, known: Knowledge, operation: Operation, carriers: list[Carrier]
) -> tuple[str, Carrier] | None:
    """Where the reply of `operation` holds a key of A, and the carrier in which that opens what A's login opens."""
    login = known.credential("a")
    if login is None or known.witness is None:
        return None
    reply = await scout.call(operation, f"{operation.name}: does it tell a key?", credential=login)
    of_keys = likeness(operation, "keys") >= IN_PATH
    nobody = await stranger(scout, known, known.witness.operation)
    for pointer, value in strings(reply.json).items():
        called = pointer.rsplit("/", 1)[-1]
        like = mentions(called, names("keys")) or (of_keys and called in names("keys", "secret"))
        if not like or not isinstance(value, str) or not opaque(value) or value == login.value.reveal():
            continue
        for carrier in carriers:
            key = Credential(carrier, Secret(value), "a")
            label = f"{known.witness.operation.name} with the key in {pointer}"
            if scout.let_in(await scout.call(known.witness.operation, label, credential=key), nobody):
                return pointer, carrier
    return None


async def _keep(scout: Scout, known: Knowledge, operation: Operation, pointer: str, carrier: Carrier) -> None:
    told = []
    for label in ("a", "b", "admin"):
        login = known.credential(label)
        if login is None:
            continue
        reply = await scout.call(operation, f"{operation.name}: the key of {label}", credential=login)
        value = resolve(reply.json, pointer)
        if reply.ok and isinstance(value, str) and opaque(value):
            scout.learn(value)
            adopt(known, label, carrier, value)
            account = known.accounts[label]
            ready = {**account.ready, Kind.KEY: Secret(value)}
            known.accounts[label] = replace(account, ready=ready)
            told.append(label)
    if told:
        known.told_key = ToldKey(operation, pointer)
        known.say(
            "credential",
            f"{operation.name} tells {' and '.join(told)} a key at {pointer}, sent as {carrier}",
            Provenance.OBSERVED,
            f"the key of a opened {known.witness.operation.name if known.witness else 'an operation'}",
        )


async def hidden_creations(scout: Scout, known: Knowledge) -> list[Operation]:
    """Where keys may be made though no document says so: a usual place that lists something to A and not to nobody.

    Asked where a place of keys is declared, and no described operation makes one; and where nothing is described.
    """
    owner = known.credential("a")
    if owner is None or known.complete or not (key_carriers(known) or _of_programs(known)):
        return []
    for path in usual_paths("keys", [login.operation.path for login in known.logins])[:_PLACES]:
        listing = Operation("GET", path, provenance=Provenance.GUESSED)
        if listing.name in known.operations or f"POST {path}" in known.operations:
            continue
        nobody = await stranger(scout, known, listing)
        if slashed(path, nobody):
            listing = replace(listing, path=f"{path}/")
            nobody = await stranger(scout, known, listing)
        if not scout.exists(nobody, path):
            continue
        label = f"{listing.name}: are keys managed here?"
        if scout.let_in(await scout.call(listing, label, credential=owner), nobody):
            return [replace(listing, method="POST")]
    return []
