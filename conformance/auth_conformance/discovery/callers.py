"""The witness: an operation that lets a caller in, keeps strangers out, and names who called."""

from __future__ import annotations

from dataclasses import dataclass

from auth_conformance.discovery.doors import doors, shut, stranger
from auth_conformance.discovery.names import names, rank
from auth_conformance.model import Provenance, Role
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.target import Operation, Witness
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_conformance.transports.message import RawReply
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.credentials import Credential
    from collections.abc import Mapping

ROUNDS = 3
_MOST = 12
_EXACT = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operation that let A in, with the pointer that seems to name the caller and how much it does."""

    operation: Operation
    pointer: str
    score: int


async def find_witnesses(scout: Scout, known: Knowledge) -> None:
    """Fill in `witness` and `second`, each verified in three rounds with and without credentials."""
    credential = known.credential("a")
    if credential is None:
        return
    candidates = await _candidates(scout, known, credential)
    chosen = list(sorted(candidates, key=lambda item: -item.score))
    for item in chosen:
        if known.witness is None:
            known.witness = await _verified(scout, known, item, "witness")
        elif known.second is None and item.operation.name != known.witness.operation.name:
            break
    if known.witness is None:
        return
    others = [item for item in chosen if item.operation.name != known.witness.operation.name]
    tags = set(known.witness.operation.tags)
    folder = known.witness.operation.path.rsplit("/", 1)[0]
    others.sort(
        key=lambda item: (
            not item.pointer,
            bool(tags & set(item.operation.tags)),
            item.operation.path.startswith(folder),
        )
    )
    for item in others[:3]:
        if known.second is None:
            known.second = await _verified(scout, known, item, "second protected operation", rounds=1)


async def _candidates(scout: Scout, known: Knowledge, credential: Credential) -> list[Candidate]:
    found: list[Candidate] = []
    other = known.credential("b", (credential.carrier.kind,))
    ordered = list(
        dict.fromkeys([*(item.name for item in known.opened), *(item.name for item in doors(known))])
    )
    by_name = {item.name: item for item in [*doors(known), *known.opened]}
    for name in ordered[:_MOST]:
        operation = by_name[name]
        nobody = await stranger(scout, known, operation)
        if not shut(scout, nobody):
            continue
        mine = await scout.call(operation, f"{name} as a", credential=credential)
        if not scout.let_in(mine, nobody):
            continue
        if operation not in known.opened:
            known.opened.append(operation)
        theirs = await scout.call(operation, f"{name} as b", credential=other) if other is not None else None
        pointer, score = _naming(known, credential, mine, theirs)
        if nobody.ok or nobody.status in range(300, 400):
            score -= 60  # a 200 or a redirect as a refusal: only if nothing clearer is there
        found.append(Candidate(operation, pointer, score))
        exact = [item for item in found if item.score >= _EXACT]
        if exact and len(found) > 1 and any(item.operation.tags != exact[0].operation.tags for item in found):
            break
        if exact and len(found) >= 4:  # noqa: PLR2004 - a witness and enough to choose the second from
            break
    return found


def _naming(
    known: Knowledge, credential: Credential, mine: RawReply, theirs: RawReply | None
) -> tuple[str, int]:
    """The pointer that names the caller best, and how well it does; ("", 0) for none."""
    account = known.accounts.get("a")
    username = account.username if account else ""
    other = known.accounts.get("b")
    their_values: Mapping[str, str | int] = strings(theirs.json) if theirs is not None and theirs.ok else {}
    claims = credential.jwt.claims if credential.jwt is not None else {}
    best = ("", 0)
    for pointer, value in strings(mine.json, 300).items():
        if credential.value.reveal() in str(value):
            continue
        if their_values and (their_values.get(pointer) is None or their_values[pointer] == value):
            continue
        name = pointer.rsplit("/", 1)[-1]
        place = rank(name, names("fields", "identity"))
        score = 0
        if username and str(value).lower() == username.lower():
            matches = (
                not their_values
                or str(their_values[pointer]).lower() == (other.username if other else "").lower()
            )
            score = _EXACT if matches else 0
        elif str(claims.get("sub", "")) == str(value) and (True):
            score = 500
        elif their_values and place is not None:
            score = 300
        if not score:
            continue
        score += (40 - place) if place is not None else 0
        score -= 100 * sum(1 for part in pointer.split("/") if part.isdecimal())  # an entry of a list is luck
        score -= pointer.count("/")
        if score > best[1]:
            best = (pointer, score)
    return best


async def _verified(
    scout: Scout, known: Knowledge, item: Candidate, purpose: str, rounds: int = ROUNDS
) -> Witness | None:
    """Ask again in turns: A, B and nobody have to get the same answer in each round."""
    labels = [label for label in ("a", "b") if known.credential(label) is not None]
    expected: dict[str, object] = {}
    nobody = known.strangers[item.operation.name]
    for turn in range(rounds):
        for label in labels:
            kind = (known.credentials[next(key for key in known.credentials if key[0] == "a")].carrier.kind,)
            credential = known.credential(label, kind) or known.credential(label)
            reply = await scout.call(
                item.operation,
                f"{item.operation.name} as {label}, round {turn + 1}",
                credential=credential,
                role=Role.CONTROL,
            )
            if not scout.let_in(reply, nobody):
                return None
            value = resolve(reply.json, item.pointer) if item.pointer else None
            if expected.setdefault(label, value) != value:
                return None
        again = await scout.call(
            item.operation, f"{item.operation.name} as nobody, round {turn + 1}", role=Role.CONTROL
        )
        if again.status != nobody.status:
            return None
    if item.pointer and len(labels) > 1 and expected["a"] == expected["b"]:
        return None
    named = f", names the caller at {item.pointer}" if item.pointer else ", names nobody"
    known.say(
        purpose,
        item.operation.name + named,
        Provenance.OBSERVED,
        f"{rounds} round(s): {' and '.join(labels)} let in, nobody answered {nobody.status}",
    )
    return Witness(item.operation, item.pointer, Provenance.OBSERVED)


async def find_public(scout: Scout, known: Knowledge) -> None:
    """Fill in `public`: an operation that answers strangers with something of its own."""
    candidates = [
        operation
        for operation in doors(known)[::-1]
        if known.has_document
        and not operation.protected
        and not any(item.place == "query" and item.required for item in operation.parameters)
    ]
    public = names("public")
    candidates.sort(key=lambda operation: rank(operation.path.rsplit("/", 1)[-1], public) is None)
    paths = [known.document_path] if known.document_path else []
    paths += [*names("public", "paths"), "/docs", "/login"]
    guessed = [Operation("GET", path, provenance=Provenance.OBSERVED) for path in paths]
    for operation in [*candidates[:4], *guessed]:
        reply = await stranger(scout, known, operation)
        if reply.ok and scout.exists(reply, operation.path):
            known.public = operation
            known.say(
                "public operation",
                operation.name,
                Provenance.OBSERVED,
                f"answers {reply.status} without a credential",
            )
            return
