"""Operations that keys open and logins do not: people manage the keys, and machines use them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.discovery.doors import doors, shut, stranger
from auth_conformance.model import Provenance, Role
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.secret import Secret
from auth_conformance.target import Witness

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest, RawReply

# Operations that a key is tried at beside the witness.
_MOST = 6


def machine_doors(known: Knowledge) -> list[Operation]:
    """Reading operations that a login did not open, those first whose declared credential is a key."""
    schemes = {carrier.scheme for carrier in known.carriers if carrier.kind is Kind.KEY}
    rest = [item for item in doors(known) if item not in known.opened]
    wanting = [item for item in rest if any(schemes & set(entry) for entry in item.security or ())]
    silent = [] if wanting else [item for item in rest if not item.security]
    return [*wanting, *silent][:_MOST]


async def find_key_witness(
    scout: Scout, known: Knowledge, key: Credential, creation: HttpRequest, value: str
) -> list[tuple[Credential, RawReply]]:
    """Fill in `key_witness` where the witness refuses keys: an operation that takes one, and names its owner.

    A second key of A and one of B are made with `creation`: what the replies to A's two keys have in common and
    B's has not names the owner, whatever it is called. `value` is where the reply to `creation` holds the key.
    Returns the replies that made keys, each with the login that asked.
    """
    if (
        known.witness is None
        or known.key_witness is not None
        or await _takes(scout, known, known.witness.operation, key)
    ):
        return []
    others: dict[str, Credential] = {}
    created: list[tuple[Credential, RawReply]] = []
    for label in ("a", "b"):
        owner = known.credential(label)
        if owner is None:
            continue
        made = (await scout.ask(creation, f"create an API key of {label}", credential=owner)).reply
        secret = resolve(made.json, value)
        if made.ok and isinstance(secret, str):
            scout.learn(secret)
            created.append((owner, made))
            others[label] = Credential(key.carrier, Secret(secret), label)
    best: Witness | None = None
    # Where keys open nothing of their own, they may open a part of what logins do, and not who one is.
    shared = [item for item in known.opened if item.name != known.witness.operation.name][:_MOST]
    for operation in [*machine_doors(known), *shared]:
        if not await _takes(scout, known, operation, key):
            continue
        identity = await _naming(scout, operation, key, others)
        if identity or best is None:
            best = Witness(operation, identity, Provenance.OBSERVED)
        if identity:
            break
    if best is not None:
        known.key_witness = best
        at = f", names the owner at {best.identity}" if best.identity else ", names nobody"
        known.say(
            "witness of keys",
            best.operation.name + at,
            Provenance.OBSERVED,
            "a key opened it, and not the witness",
        )
    return created


async def _takes(scout: Scout, known: Knowledge, operation: Operation, key: Credential) -> bool:
    nobody = await stranger(scout, known, operation)
    if not shut(scout, nobody, operation.path):
        return False
    reply = await scout.call(
        operation, f"{operation.name} with the new key", credential=key, role=Role.CONTROL
    )
    return scout.let_in(reply, nobody)


async def _naming(scout: Scout, operation: Operation, key: Credential, others: dict[str, Credential]) -> str:
    """Where the reply names the owner of a key; "" where nothing does."""
    if others.keys() != {"a", "b"}:
        return ""
    shown = []
    for credential in (key, others["a"], others["b"]):
        label = f"{operation.name} with a key of {credential.owner}"
        reply = await scout.call(operation, label, credential=credential)
        shown.append(strings(reply.json) if reply.ok else {})
    first, second, other = shown
    return next(
        (
            pointer
            for pointer, text in first.items()
            if second.get(pointer) == text and pointer in other and other[pointer] != text
        ),
        "",
    )
