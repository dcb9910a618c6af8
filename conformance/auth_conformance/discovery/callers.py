"""The witness: an operation that lets a caller in, keeps strangers out, and names who called."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.discovery.doors import as_nobody, doors, shut, slashed, stranger
from auth_conformance.discovery.names import names, rank
from auth_conformance.discovery.tokens import opaque
from auth_conformance.model import Provenance, Role
from auth_conformance.oracles.envelope import learned
from auth_conformance.oracles.moments import moment
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import strings
from auth_conformance.oracles.refusing import IN_BODIES, refuses
from auth_conformance.target import Operation, Witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import RawReply

# The line that says which operation names its caller; where in its reply is found.
NAMING = '[witness] operation = "GET /path/that/names/me"'
ROUNDS = 3
_MOST = 12
_PLENTY = 4
# How much of a page before a name is looked at.
_BEFORE = 60
# How well a value names the caller: it is the user name, the token's subject, or merely another one for B.
_EXACT, _SUBJECT, _DIFFERENT = 1000, 500, 300
# Who merely has a key may go by a name that we do not know: a text of the reply that is another one for B. It goes
# before the entry of a list, which changes with the list.
_TEXT = 260


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operation that let A in, with the pointers that seem to name the caller, best first."""

    operation: Operation
    pointers: tuple[str, ...]
    score: int


async def find_witnesses(scout: Scout, known: Knowledge) -> None:
    """Fill in `witness` and `second`, each verified in rounds with and without credentials."""
    credential = known.credential("a")
    if credential is None:
        return
    declared = known.witness
    candidates = sorted(await _candidates(scout, known, credential), key=lambda item: -item.score)
    if declared is not None and not declared.identity:
        # Where its reply names the caller is found as elsewhere, if it does.
        same = [
            item for item in candidates if item.operation.name == declared.operation.name and item.pointers
        ]
        known.witness = await _verified(scout, known, credential, same[0], "witness") if same else None
        known.witness = replace(known.witness or declared, provenance=Provenance.DECLARED)
    for item in candidates:
        if known.witness is None:
            known.witness = await _verified(scout, known, credential, item, "witness")
    if known.witness is None:
        return
    if declared is None and not known.witness.identity and known.credential("b") is not None:
        known.say(
            "caller", f"named nowhere that was found; if an operation does: {NAMING}", Provenance.OBSERVED
        )
    await _say_whom_it_refuses(scout, known, known.witness)
    _say_policy(known, known.witness.operation)
    witness = known.witness.operation
    _prove_login(known, credential, witness)
    folder = witness.path.rsplit("/", 1)[0] + "/"

    def unlike(item: Candidate) -> tuple[bool, bool, bool]:
        """The second operation should be another router's: tags and folder differ."""
        shared = bool(set(witness.tags) & set(item.operation.tags))
        return not item.pointers, shared, item.operation.path.startswith(folder)

    others = [
        item
        for item in candidates
        # A page that greets everybody, and people by name, is protected nowhere, unless all refuse with a 200.
        if item.operation.name != witness.name
        and (known.strangers[witness.name].ok or not known.strangers[item.operation.name].ok)
    ]
    for item in sorted(others, key=unlike)[:3]:
        if known.second is None:
            known.second = await _verified(
                scout, known, credential, item, "second protected operation", rounds=1
            )


async def _say_whom_it_refuses(scout: Scout, known: Knowledge, found: Witness) -> None:
    """A declared witness is believed: that B may not read it would leave every check with two people undecided."""
    other, witness = known.credential("b"), found.operation
    if other is None or found.provenance is not Provenance.DECLARED:
        return
    reply = await scout.call(witness, "does the declared witness let b in?", credential=other)
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        known.say(
            "account b",
            f"{witness.name} refuses it ({reply.status})",
            Provenance.OBSERVED,
            "give b the rights that it takes there, or name a [witness] that every account may read",
        )


def _prove_login(known: Knowledge, credential: Credential, witness: Operation) -> None:
    """A login whose token opened nothing so far, the document not being known yet, is no guess any more."""
    for number, login in enumerate(known.logins):
        if login.provenance is Provenance.GUESSED and login.carrier.kind is credential.carrier.kind:
            known.logins[number] = replace(login, provenance=Provenance.OBSERVED)
            known.facts = [
                replace(
                    fact,
                    provenance=Provenance.OBSERVED,
                    because=f"account {credential.owner} logged in, and the credential opened {witness.name}",
                )
                if fact.name == "login" and fact.value.startswith(f"{login.operation.name} (")
                else fact
                for fact in known.facts
            ]


def _say_policy(known: Knowledge, operation: Operation) -> None:
    """A refusal that is no 4xx is the owner's to declare: say how it looks."""
    refusal = known.strangers[operation.name]
    if refuses(refusal.status, refusal.json):
        known.say("refusals", "in the body of a 200", Provenance.OBSERVED, IN_BODIES)
        return
    policy = (
        "envelope" if refusal.ok or refusal.soft else "redirect" if refusal.status in range(300, 400) else ""
    )
    if policy and policy not in known.settings.policy.refusals:
        known.say(
            "refusals",
            f'if this is meant, declare: [policy] refusals = ["{policy}"]',
            Provenance.OBSERVED,
            f"{operation.name} answers {refusal.status} to strangers",
        )


async def _candidates(scout: Scout, known: Knowledge, credential: Credential) -> list[Candidate]:
    found: list[Candidate] = []
    other = known.credential("b", (credential.carrier.kind,))
    by_name = {item.name: item for item in [*known.opened, *doors(known)]}
    asked = 0
    for name, operation in by_name.items():
        # A path that is only guessed counts when something is there.
        asked += operation.provenance is not Provenance.GUESSED
        if asked > _MOST:
            break
        nobody = await stranger(scout, known, operation)
        if slashed(operation.path, nobody):
            operation = replace(operation, path=operation.path + "/")  # noqa: PLW2901 - that is its path
            nobody = await stranger(scout, known, operation)
        # To strangers it may not even exist: then the document says that it is there, and wants a credential.
        hidden = nobody.status == HTTPStatus.NOT_FOUND and operation.protected
        if not shut(scout, nobody, operation.path) and not hidden:
            continue
        asked += operation.provenance is Provenance.GUESSED
        mine = await scout.call(operation, f"{name} as a", credential=credential)
        if not scout.let_in(mine, nobody):
            continue
        if operation not in known.opened:
            known.opened.append(operation)
        theirs = await scout.call(operation, f"{name} as b", credential=other) if other is not None else None
        ranked = _naming(known, credential, mine, theirs)
        score = ranked[0][1] if ranked else 0
        if hidden or nobody.ok or nobody.soft or nobody.status in range(300, 400):
            score -= 60  # a 404, a 200 or a redirect as a refusal: only if nothing clearer is there
        found.append(Candidate(operation, tuple(pointer for pointer, _ in ranked[:4]), score))
        if _enough(found):
            break
    return found


def _enough(found: list[Candidate]) -> bool:
    """Whether there is a witness that names its caller exactly, and a second operation unlike it."""
    exact = next((item for item in found if item.score >= _EXACT), None)
    if exact is None:
        return False
    return len(found) >= _PLENTY or any(item.operation.tags != exact.operation.tags for item in found)


def _naming(
    known: Knowledge, credential: Credential, mine: RawReply, theirs: RawReply | None
) -> list[tuple[str, int]]:
    """The pointers that may name the caller, with how well they do, best first."""
    names_of = {
        label: known.accounts[label].username.lower() if label in known.accounts else ""
        for label in ("a", "b")
    }
    others: Mapping[str, str | int] = strings(theirs.json) if theirs is not None and theirs.ok else {}
    claims = dict(credential.jwt.claims) if credential.jwt is not None else {}
    subject = claims.pop("sub", None)
    # What else a token says of itself (`sid`, `jti`) is another at the next login.
    passing = {str(claims[name]) for name in ("sid", "jti", "session_id") if name in claims} - {str(subject)}
    found = _named_in_page(names_of, mine, theirs) if "html" in mine.media_type else []
    for pointer, value in strings(mine.json, 300).items():
        echoes = credential.value.reveal() in str(value)
        if echoes or str(value) in passing or (others and others.get(pointer, value) == value):
            continue
        name = pointer.rsplit("/", 1)[-1]
        place = rank(name, names("fields", "identity"))
        if names_of["a"] and str(value).lower() == names_of["a"]:
            score = _EXACT if not others or str(others[pointer]).lower() == names_of["b"] else 0
        elif subject is not None and str(subject) == str(value):
            score = _SUBJECT
        elif others and place is not None:
            # The id of an entry names the entry, and goes with it.
            in_list = any(part.isdecimal() for part in pointer.split("/"))
            score = 0 if in_list and rank(name, names("objects", "identifier")) is not None else _DIFFERENT
        else:
            by_key = credential.carrier.kind is Kind.KEY and subject is None
            score = _TEXT if others and by_key and _lasting(value) else 0
            score -= 5 if re.search(r"\d", str(value)) else 0  # rather the owner than the number of one key
        if score > 0:
            score += (40 - place) if place is not None else 0
            score -= 100 * sum(
                1 for part in pointer.split("/") if part.isdecimal()
            )  # an entry of a list is luck
            found.append((pointer, score - pointer.count("/")))
    return sorted(found, key=lambda pair: -pair[1])


def _lasting(value: str | int) -> bool:
    """Whether a value may be a name: a text that is neither a moment nor random, as what a login leaves behind is."""
    if not isinstance(value, str) or not any(map(str.isalpha, value)):
        return False
    return moment(value, time.time()) is None and not opaque(value)


def _named_in_page(
    names_of: Mapping[str, str], mine: RawReply, theirs: RawReply | None
) -> list[tuple[str, int]]:
    """Where a page writes the caller's name: between two pieces of it that are there for everybody."""
    own, other = names_of["a"], names_of["b"]
    text = mine.text[:200_000]
    if not own or (theirs is not None and theirs.ok and own in theirs.text.lower()):
        return []
    for match in re.finditer(rf"(?<![\w.@-]){re.escape(own)}(?![\w.@-])", text, re.IGNORECASE):
        for before in _befores(text[: match.start()].rsplit("\n", 1)[-1]):
            where = f"text {before}{{}}{text[match.end() :][:1]}"
            if str(found_at(mine, where)).lower() != own:
                continue
            if theirs is None or not theirs.ok or str(found_at(theirs, where)).lower() == other:
                return [(where, _EXACT - 150)]  # JSON is clearer, where there is some
    return []


def _befores(line: str) -> Iterator[str]:
    """What may stand before the name, from the last tag on and longer and longer.

    Nothing that looks like a token is in it: the next session has another one.
    """
    starts = [match.start() for match in re.finditer("<", line)][::-1]
    for start in [*starts, max(0, len(line) - _BEFORE)]:
        before = line[start:]
        if len(before) > _BEFORE or any(opaque(word) for word in re.findall(r"[\w./+=~-]+", before)):
            return
        if before.strip() and "{" not in before:
            yield before


async def _verified(
    scout: Scout,
    known: Knowledge,
    first: Credential,
    item: Candidate,
    purpose: str,
    *,
    rounds: int = ROUNDS,
) -> Witness | None:
    """Ask again in turns: A, B and nobody have to get the same answer in each round.

    A pointer whose value changes between rounds is a clock or a random id, and is dropped.
    """
    name = item.operation.name
    asked = {"a": first}
    other = known.credential("b", (first.carrier.kind,))
    if other is not None:
        asked["b"] = other
    seen: dict[str, dict[str, object]] = {label: {} for label in asked}
    pointers = list(item.pointers)
    nobody = known.strangers[name]
    bodies: list[object] = []
    for turn in range(1, rounds + 1):
        for label, credential in asked.items():
            what = f"{name} as {label}, round {turn}"
            reply = await scout.call(item.operation, what, credential=credential, role=Role.CONTROL)
            if not scout.let_in(reply, nobody):
                return None
            bodies.append(reply.json)
            values = {pointer: found_at(reply, pointer) for pointer in pointers}
            pointers = [key for key in pointers if seen[label].setdefault(key, values[key]) == values[key]]
        again = await as_nobody(
            scout, known, item.operation, f"{name} as nobody, round {turn}", role=Role.CONTROL
        )
        if again.status != nobody.status:
            return None
    if nobody.ok and scout.recorder.envelope is None:
        # From here on the run knows such a no when it meets one, wherever that is.
        scout.recorder.envelope = learned(bodies, nobody.json)
    if "b" in seen:
        pointers = [key for key in pointers if seen["a"][key] != seen["b"][key]]
    identity = pointers[0] if pointers else ""
    known.say(
        purpose,
        name + (f", names the caller at {identity}" if identity else ", names nobody"),
        Provenance.OBSERVED,
        f"{rounds} round(s): {' and '.join(asked)} let in, nobody answered {nobody.status}",
    )
    return Witness(item.operation, identity, Provenance.OBSERVED)


async def find_public(scout: Scout, known: Knowledge) -> None:
    """Fill in `public`: an operation that answers strangers with something of its own."""
    candidates = [
        operation
        for operation in doors(known)[::-1]
        if known.has_document
        and not operation.protected
        and not any(item.place == "query" and item.required for item in operation.parameters)
        and operation.path != known.document_path  # it answers whoever asks, whatever becomes of the service
    ]
    public = names("public")
    candidates.sort(key=lambda operation: rank(operation.path.rsplit("/", 1)[-1], public) is None)
    paths = [*names("public", "paths"), "/docs", "/login"]
    paths += [known.document_path] if known.document_path else []
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
