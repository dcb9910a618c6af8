"""Accounts that have one API key each: what makes another one takes the place of the first, and nothing revokes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.discovery.access import adopt
from auth_conformance.discovery.doors import stranger
from auth_conformance.discovery.names import mentions, names
from auth_conformance.discovery.sampling import with_body
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import resolve
from auth_conformance.secret import Secret
from auth_conformance.transports.loopback import is_loopback

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import KeyManagement, Operation


def named_a_roll(operation: Operation) -> bool:
    """Whether an operation says that it makes a key in the place of another."""
    return mentions(operation.path.rstrip("/").rpartition("/")[2], names("keys", "rolls"))


def ends_what_others_use(known: Knowledge) -> bool:
    """Whether a new key of A could end one from before the run: accounts that it has registered have none."""
    allowed = known.settings.allow_disruptive or known.kind == "app" or is_loopback(known.address)
    return "a" in known.settings.accounts and not allowed


async def rolls(scout: Scout, known: Knowledge, keys: KeyManagement) -> bool:
    """Whether a new key of A is to end the one before: it does, or what makes it is named so."""
    witness = known.key_witness or known.witness
    owner = known.credential("a")
    if witness is None or owner is None:
        return False
    made = [await _made(scout, keys, owner) for _ in range(2)]
    nobody = await stranger(scout, known, witness.operation)
    opened = []
    for number, value in enumerate(made):
        if value is None:
            return False
        label = f"{witness.operation.name} with the {('first', 'second')[number]} of two keys of a"
        key = Credential(keys.carriers[0], Secret(value), "a")
        opened.append(scout.let_in(await scout.call(witness.operation, label, credential=key), nobody))
    said = named_a_roll(keys.create)
    if opened not in ([False, True], [True, True] if said else []):
        return False
    known.say(
        "API keys",
        f"{keys.create.name} makes one in the place of the one before, sent as {keys.carriers[0]}",
        Provenance.OBSERVED,
        "it says so, and what it made opened a protected operation"
        if said
        else "of two keys in a row the second opened a protected operation, and the first did not",
    )
    return True


async def keep_rolled(scout: Scout, known: Knowledge) -> None:
    """Give A and B the key that each has from now on, where nothing told it to them: A's of before has ended."""
    keys = known.key_roll
    if keys is None or known.told_key is not None:
        return
    for label in ("a", "b"):
        if label == "b" and (label, Kind.KEY) in known.credentials:
            continue  # nothing has ended that one
        owner = known.credential(label)
        value = await _made(scout, keys, owner) if owner is not None else None
        if value is not None:
            adopt(known, label, keys.carriers[0], value)
            account = known.accounts[label]
            known.accounts[label] = replace(account, ready={**account.ready, Kind.KEY: Secret(value)})


async def _made(scout: Scout, keys: KeyManagement, owner: Credential) -> str | None:
    media = next(iter(keys.create.bodies), "application/json")
    bare = keys.create.request()
    request = with_body(bare, media, dict(keys.template)) if keys.create.bodies else bare
    reply = (await scout.ask(request, f"create an API key of {owner.owner}", credential=owner)).reply
    value = resolve(reply.json, keys.value)
    if not reply.ok or not isinstance(value, str):
        return None
    scout.learn(value)
    return value
