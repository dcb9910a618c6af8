"""API keys: one is created, used at the witness, and revoked again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery.costs import left_out
from auth_conformance.discovery.doors import stranger
from auth_conformance.discovery.hiddenkeys import find_told_keys, hidden_creations
from auth_conformance.discovery.keydoors import find_key_witness, machine_doors
from auth_conformance.discovery.keyrolls import ends_what_others_use, keep_rolled, named_a_roll, rolls
from auth_conformance.discovery.knowledge import with_scheme
from auth_conformance.discovery.names import (
    IN_PATH,
    avoided,
    dangerous,
    likeness,
    mentions,
    names,
    rank,
    words,
)
from auth_conformance.discovery.queries import asking
from auth_conformance.discovery.sampling import sample, with_body
from auth_conformance.discovery.schemas import Field, fields, merged, type_of
from auth_conformance.discovery.tokens import opaque
from auth_conformance.model import Provenance
from auth_conformance.oracles.advice import challenges_in
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.secret import Secret
from auth_conformance.target import KeyManagement, Operation

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import RawReply

_MOST = 3
# Bodies that one creation is tried with.
_BODIES = 3
_DAY = 86_400
_KEY_WORDS = ("Bearer", "ApiKey", "Api-Key", "Token")
# A short value that is named like a key and may be one; a word is none.
_SHORT = re.compile(r"(?=[^\s]*\d)[\w.~+/=-]{6,15}")
_LOGIN_WORDS = ("basic", "digest", "negotiate")


async def find_keys(scout: Scout, known: Knowledge) -> None:
    """Fill in `keys`: an operation whose reply holds a secret that opens the witness."""
    owner = known.credential("a")
    if known.keys is not None:
        # A login may travel where keys do: both ways are known then.
        known.carriers += [item for item in known.keys.carriers if item not in known.carriers]
    if owner is None or known.keys is not None:
        return
    for operation in _creations(known)[:_MOST]:
        if named_a_roll(operation) and ends_what_others_use(known):
            known.say(
                "API keys",
                f"{operation.name} was not tried: it may end a key of a that something else uses",
                Provenance.OBSERVED,
                "allow_disruptive = true would try it",
            )
            continue
        if owner.carrier.kind is Kind.KEY and named_a_roll(operation):
            # It would end the key that somebody gave, and with it all that this account can do.
            known.say(
                "API keys",
                f"{operation.name} was not tried: it may end the key of a, and a has no login to make another",
                Provenance.OBSERVED,
                "give a a password as well, and the run makes keys of its own",
            )
            continue
        if await _made_by(scout, known, operation, owner):
            if known.key_roll is not None:
                await find_told_keys(scout, known)
                await keep_rolled(scout, known)
            return
    for operation in await hidden_creations(scout, known):
        if await _made_by(scout, known, operation, owner):
            return
    await find_told_keys(scout, known)


async def _made_by(scout: Scout, known: Knowledge, operation: Operation, owner: Credential) -> bool:
    """Whether this operation makes keys; how is kept."""
    for template in _templates(scout, operation):
        found = await _try(scout, known, operation, template, owner)
        if found is not None:
            if found.revoke is None and await rolls(scout, known, found):
                known.key_roll = found
                return True
            known.keys = found
            known.say(
                "API keys",
                f"{operation.name} → {found.value}, sent as {found.carriers[0]}",
                Provenance.OBSERVED,
                "a key was created and opened a protected operation"
                + (", and was revoked again" if found.revoke is not None else ""),
            )
            return True
    return False


def _creations(known: Knowledge) -> list[Operation]:
    found = [
        operation
        for operation in known.by_method("POST")
        if _owner_parameter(operation) is not None
        and not avoided(operation, "keys")
        and operation.path not in {login.operation.path for login in known.logins}
        and likeness(operation, "keys") >= IN_PATH
    ]
    found.sort(
        key=lambda operation: (
            not mentions(operation.path, ("key", "keys", "apikey", "apikeys")),
            len(operation.path),
        )
    )
    return found + [operation for operation in _unnamed(known) if operation not in found]


def _unnamed(known: Knowledge) -> list[Operation]:
    """What people make and take back, and never read again, whatever it is called: what is shown once is a key.

    An answer that no document describes says nothing of it: one is made, and taken back.
    """
    found = []
    for operation in known.by_method("POST"):
        schema = next(iter(operation.bodies.values()), {})
        needed = [item for item in fields(schema) if item.required and item.schema.get("type") != "string"]
        unlikely = avoided(operation, "keys") or left_out(known, operation.path) or dangerous(operation)
        if "{" in operation.path or unlikely or needed or operation.path in _flows(known):
            continue
        below = f"{operation.path.rstrip('/')}/{{"
        read = any(item.path.startswith(below) for item in known.by_method("GET"))
        taken_back = any(item.path.startswith(below) for item in known.by_method("DELETE"))
        if taken_back and not read:
            found.append(operation)
    return found


def _flows(known: Knowledge) -> set[str]:
    found = {login.operation.path for login in known.logins}
    found |= {known.register.operation.path} if known.register is not None else set()
    return found | ({known.objects.create.path} if known.objects is not None else set())


def _owner_parameter(operation: Operation) -> str | None:
    """The path parameter that names the owner of new keys; "" without one, None where it is another thing."""
    parameters = [part.split("}")[0] for part in operation.path.split("{")[1:]]
    if not parameters:
        return ""
    named = len(parameters) == 1 and rank(parameters[0], names("keys", "owner")) is not None
    return parameters[0] if named else None


def _templates(scout: Scout, operation: Operation) -> list[dict[str, Any]]:
    """A minimal body, one that asks for every right that the schema lists, and one with an end.

    Services may demand an end by a rule that no document shows.
    """
    if operation.provenance is Provenance.GUESSED:
        return [{"name": sample({"type": "string"}, scout.rng, "name")}]
    schema = next(iter(operation.bodies.values()), {})
    made = sample(schema, scout.rng)
    least = made if isinstance(made, dict) else {}
    rights = {}
    for name, inner in (merged(schema).get("properties") or {}).items():
        plain = merged(inner) if isinstance(inner, Mapping) else {}
        items = merged(plain["items"]) if isinstance(plain.get("items"), Mapping) else {}
        if type_of(plain) == "array" and isinstance(items.get("enum"), list):
            rights[str(name)] = items["enum"]
    ends = {item.pointer: end for item in fields(schema) if (end := _end(item)) is not None}
    bodies = [least, {**least, **rights}, *({**least, pointer: end} for pointer, end in ends.items())]
    return [body for number, body in enumerate(bodies) if body not in bodies[:number]][:_BODIES]


def _end(item: Field) -> object | None:
    """A value for an end of life: a day, or the moment a day from now; None for another member."""
    if not mentions(item.name, names("expiry")) or "/" in item.pointer:
        return None
    if type_of(item.schema) == "integer":
        day = 1 if "day" in item.name.lower() else 24 if "hour" in item.name.lower() else _DAY
        return max(day, int(item.schema.get("minimum", day)))
    if item.schema.get("format") == "date-time":
        return (datetime.now(UTC) + timedelta(seconds=_DAY)).isoformat(timespec="seconds")
    return None


async def _try(
    scout: Scout, known: Knowledge, operation: Operation, template: dict[str, Any], owner: Credential
) -> KeyManagement | None:
    media = next(iter(operation.bodies), "application/json")
    owned = _owner_parameter(operation) or ""
    values = {owned: known.accounts["a"].username} if owned else {}
    bare = operation.request(values)
    request = with_body(bare, media, template) if operation.bodies or template else bare
    reply = (await scout.ask(request, f"create an API key: {operation.name}", credential=owner)).reply
    if not reply.ok:
        return None
    revoke, parameter = revocation_of(known, operation)
    identifier = identifier_in(reply, parameter)
    carriers: list[Carrier] = []
    value = ""
    for pointer, secret in _secrets(reply):
        scout.learn(secret)
        carriers = await _carriers(scout, known, secret, operation)
        if carriers:
            value = pointer
            break
    more = []
    if value and carriers:
        key = Credential(carriers[0], Secret(secret), "a")
        more = await find_key_witness(scout, known, key, request, value)
    if revoke is not None and identifier is not None:
        key_id = str(resolve(reply.json, identifier))
        request = revoke.request({**values, parameter: key_id})
        gone = (await scout.ask(request, f"revoke the key again: {revoke.name}", credential=owner)).reply
        for login, answer in more:
            ending = revoke.request({**values, parameter: str(resolve(answer.json, identifier))})
            await scout.ask(ending, f"revoke the key again: {revoke.name}", credential=login)
        revoke = replace(revoke, provenance=_seen(revoke)) if gone.ok else None
    if not value:
        known.say("API keys", f"{operation.name} created something that opened nothing", Provenance.OBSERVED)
        return None
    carriers = [_as_declared(known, carrier) for carrier in carriers]
    known.carriers += [carrier for carrier in carriers if carrier not in known.carriers]
    listing = known.operations.get(f"GET {operation.path}")
    if operation.provenance is Provenance.GUESSED:
        operation = replace(operation, provenance=_seen(operation))
        listing = replace(operation, method="GET")
    return KeyManagement(
        operation,
        template,
        value,
        tuple(carriers),
        identifier,
        listing,
        revoke,
        parameter,
        _expiry(operation),
        Provenance.OBSERVED,
        owned,
    )


def _seen(operation: Operation) -> Provenance:
    guessed = operation.provenance is Provenance.GUESSED
    return Provenance.OBSERVED if guessed else operation.provenance


def _secrets(reply: RawReply) -> list[tuple[str, str]]:
    wanted = names("keys", "secret")
    found = []
    for pointer, value in strings(reply.json).items():
        name = pointer.rsplit("/", 1)[-1]
        place = rank(name, wanted)
        if not isinstance(value, str) or rank(name, names("keys", "identifier")) is not None:
            continue
        if opaque(value):
            found.append((place if place is not None else 50, pointer, value))
        elif place is not None and _SHORT.fullmatch(value):
            found.append((60 + place, pointer, value))  # how long it is is for other checks to judge
    return [(pointer, value) for _, pointer, value in sorted(found)][:2]


async def _carriers(scout: Scout, known: Knowledge, secret: str, creation: Operation) -> list[Carrier]:
    """Every carrier in which the key opens the witness: header first, declared ones before usual ones."""
    declared = [carrier for carrier in known.carriers if carrier.kind is Kind.KEY]
    words = await _words(scout, known)
    usual = [Carrier(Kind.KEY, "header", name) for name in names("keys", "headers")]
    usual += [Carrier(Kind.KEY, "header", "Authorization", word) for word in words]
    spoken = {(carrier.place, carrier.name.lower()) for carrier in declared}
    candidates = sorted(declared, key=lambda carrier: carrier.place != "header")
    candidates = candidates or [
        with_scheme(carrier, known.schemes_of(carrier))
        for carrier in usual
        if (carrier.place, carrier.name.lower()) not in spoken
    ]
    gates = [item.operation for item in (known.witness, known.second) if item is not None] or known.opened[:2]
    gates += [operation for operation in machine_doors(known) if operation not in gates]
    found: list[Carrier] = []
    for operation in gates:
        nobody = await stranger(scout, known, operation)
        for carrier in [*candidates, *([] if declared else _places_of_its_own(operation, creation))]:
            credential = Credential(carrier, Secret(secret), "a")
            reply = await scout.call(operation, f"{operation.name} with the new key", credential=credential)
            if scout.let_in(reply, nobody):
                found.append(carrier)
                if not declared:
                    return found
        if found:
            return found
    return found


def _places_of_its_own(operation: Operation, creation: Operation) -> list[Carrier]:
    """The parameters of an operation that are called like what is made there, or like a secret."""
    wanted = {*words(creation.path), *names("keys", "secret"), *names("keys"), "pass", "auth"}
    wanted |= {word.removesuffix("es") for word in wanted} | {word.removesuffix("s") for word in wanted}
    return [
        Carrier(Kind.KEY, item.place, item.name)
        for item in operation.parameters
        if item.place in ("query", "header") and words(item.name) & wanted
    ]


def _as_declared(known: Knowledge, carrier: Carrier) -> Carrier:
    """The carrier under the name of its scheme. A document has no place for the word before a key in Authorization.

    The scheme that is declared for that header, and that no login uses, is this one; it is replaced.
    """
    taken = {login.carrier.scheme for login in known.logins}
    same = (carrier.place, carrier.name.lower())
    for declared in [item for item in known.carriers if item.scheme and item.scheme == carrier.scheme]:
        # A document cannot say whether what stands in Authorization is a key: it was seen to be one.
        if declared.kind is not carrier.kind and declared.scheme not in taken:
            known.carriers.remove(declared)
    for declared in known.carriers:
        bare = (declared.place, declared.name.lower()) == same and not declared.prefix
        if not carrier.scheme and bare and declared.scheme and declared.scheme not in taken:
            known.carriers.remove(declared)
            return replace(carrier, scheme=declared.scheme)
    return carrier


async def _words(scout: Scout, known: Knowledge) -> list[str]:
    """What may stand before a key in Authorization: what the document says, and the schemes of the challenges.

    RFC 9110 §11.6.1. What the logins use comes last: keys may travel so as well.
    """
    used = {login.carrier.prefix for login in known.logins}
    found = [
        item.prefix
        for item in known.carriers
        if item.name.lower() == "authorization"
        and item.kind is Kind.BEARER
        and item.prefix not in {"", *used}
    ]
    usual = {word.lower(): word for word in _KEY_WORDS}
    for item in (known.witness, known.second):
        if item is not None:
            nobody = await stranger(scout, known, item.operation)
            schemes = [item.scheme for item in challenges_in(nobody.header_lines("www-authenticate"))]
            found += [usual.get(scheme, scheme.title()) for scheme in schemes if scheme not in _LOGIN_WORDS]
    return list(dict.fromkeys([*found, *_KEY_WORDS]))


def revocation_of(known: Knowledge, create: Operation) -> tuple[Operation | None, str]:
    """What takes back one of those that `create` makes, and the parameter that names it."""
    prefix = create.path.rstrip("/") + "/{"
    for operation in known.by_method("DELETE", "POST"):
        single = operation.path.count("{") == prefix.count("{") and operation.path.startswith(prefix)
        ends = (
            operation.path.rstrip("/").endswith("}")
            if operation.method == "DELETE"
            else mentions(
                operation.path.rstrip("/").rsplit("/", 1)[-1], ("revoke", "delete", "disable", "deactivate")
            )
        )
        if single and ends:
            return operation, operation.path.removeprefix(prefix).split("}")[0]
    if create.provenance is Provenance.GUESSED:
        return replace(create, method="DELETE", path=prefix + "id}"), "id"
    beside = known.operations.get(f"DELETE {create.path}")
    return (asking(beside) if beside is not None else None) or (None, "")


def identifier_in(reply: RawReply, parameter: str) -> str | None:
    """Where the answer to a creation holds what `parameter` takes."""
    found = strings(reply.json)
    for wanted in (parameter.removeprefix("?"), *names("keys", "identifier")):
        for pointer in found:
            if wanted and rank(pointer.rsplit("/", 1)[-1], (wanted,)) is not None:
                return pointer
    return None


def _expiry(operation: Operation) -> str | None:
    for schema in operation.bodies.values():
        members = fields(schema)
        named = [item for item in members if mentions(item.name, names("expiry"))]
        dated = [item for item in members if item.schema.get("format") == "date-time"]
        chosen = next(iter(named or dated), None)
        if chosen is not None:
            return chosen.pointer
    return None
