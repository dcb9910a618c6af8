"""HTTP Basic (RFC 7617): the password itself is the credential, as a document, the owner or the service says."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery.access import WRONG_TRIES, adopt, labelled
from auth_conformance.discovery.doors import carrier_from, doors, open_door, stranger
from auth_conformance.discovery.pages import visited
from auth_conformance.discovery.tokens import Issued
from auth_conformance.model import Provenance
from auth_conformance.oracles.challenge import parse_challenges
from auth_conformance.secret import Secret
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import RawReply

_USUAL = Carrier(Kind.BASIC, "header", "Authorization", "Basic")
_SCHEME = "basic"
# Where a service that asks who calls before it looks can be asked, whatever stands there.
_FRONTS = [Operation("GET", path, provenance=Provenance.OBSERVED) for path in ("/", "/api/")]
_MOST_ASKED = 8
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def told_basic(known: Knowledge, label: str) -> Carrier | None:
    """The carrier of HTTP Basic, where the configuration says that the account's password travels so."""
    _, given = labelled(known.settings.accounts).get(label, ("", None))
    carrier = carrier_from(given.carrier) if given is not None and given.carrier else None
    if carrier is None or carrier.kind is not Kind.BASIC:
        return None
    return replace(carrier, scheme=known.schemes_of(carrier))


def asks_for_basic(reply: RawReply) -> bool:
    """Whether a refusal asks for a name and a password in HTTP Basic (RFC 9110 §11.6.1, RFC 7617 §2)."""
    if reply.status != HTTPStatus.UNAUTHORIZED:
        return False
    for value in reply.header_lines("www-authenticate"):
        try:
            challenges = parse_challenges(value)
        except ValueError:  # ours is not to judge the header here
            continue
        if any(item.scheme.lower() == _SCHEME for item in challenges):
            return True
    return False


async def try_basic(
    scout: Scout, known: Knowledge, doorman: Doorman, label: str, *, unasked: bool = False
) -> bool:
    """Whether the password itself is the credential, where the service asks for that. A refusal is remembered.

    `unasked`: also where a 401 says nothing, nobody else being let in either: many gates leave the challenge out that
    RFC 9110 §15.5.2 demands.
    """
    account = known.accounts[label]
    told = told_basic(known, label)
    declared = [told] if told is not None else [item for item in known.carriers if item.kind is Kind.BASIC]
    if account.password is None or not doorman.may_try(account):
        return False
    carrier = declared[0] if declared else _USUAL
    pair = _pair(account.username, account.password.reveal())
    credential = Credential(carrier, Secret(pair), label)
    asking = await _asking(scout, known) if known.has_document and not known.carriers else []
    front = None if known.has_document or known.complete else await _asking_front(scout, known)
    silent = await _silent(scout, known) if unasked and front is None and not asking else None
    if front is not None:
        where = await _through(scout, known, doorman, credential, front)
    elif silent is not None:
        where = await _through(scout, known, None, credential, silent)
    elif declared or any(map(asks_for_basic, known.strangers.values())):
        scout.learn(pair)
        gate = known.opened or _declaring(known, carrier) or asking
        opening = await open_door(
            scout,
            known,
            [Issued(pair, pointer="")],
            carriers=[carrier],
            owner=label,
            doors_only=gate[:WRONG_TRIES],
        )
        where = f"it opened {opening.operation.name}" if opening is not None else ""
    else:
        where = ""
    if not where:
        return False
    adopt(known, label, carrier, pair)
    known.accounts[label] = replace(account, ready={**account.ready, Kind.BASIC: Secret(pair)})
    known.say("login", "HTTP Basic: each request carries the password", Provenance.OBSERVED, where)
    return True


async def _asking_front(scout: Scout, known: Knowledge) -> Operation | None:
    for front in _FRONTS:
        if asks_for_basic(await stranger(scout, known, front)):
            return front
    return None


async def _asking(scout: Scout, known: Knowledge) -> list[Operation]:
    """What asks a stranger for a pair, among a few reads of a document that says nothing of credentials (Kinto)."""
    reads = [item for item in doors(known) if item.method == "GET"][:_MOST_ASKED]
    return [item for item in reads if asks_for_basic(await stranger(scout, known, item))]


async def _silent(scout: Scout, known: Knowledge) -> Operation | None:
    """A read that answers strangers 401 and does not say what it wants; None where none does."""
    reads = [item for item in doors(known) if item.method == "GET"][:_MOST_ASKED]
    for item in reads:
        if (await stranger(scout, known, item)).status == HTTPStatus.UNAUTHORIZED:
            return item
    return None


async def _through(
    scout: Scout, known: Knowledge, doorman: Doorman | None, credential: Credential, front: Operation
) -> str:
    """What proves the pair where `front` asks for one: a stranger's pair is refused there, and this one is not.

    What it gets may still be a 404: then nothing stands there, and the pair was looked at first. `doorman` keeps a
    refusal; where nobody asked for the pair it says nothing of the password.
    """
    label = credential.owner
    made_up = _pair("nobody" + secrets.token_hex(4), secrets.token_urlsafe(12))
    nobody = Credential(credential.carrier, Secret(made_up), "nobody")
    refused = await scout.call(front, f"{front.name} as a person who does not exist", credential=nobody)
    reply = await scout.call(front, f"{front.name} as {label} in HTTP Basic", credential=credential)
    if reply.status is None or reply.status in _REFUSED or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if doorman is not None:
            doorman.refused(
                known.accounts[label], f"{front.name} asks for HTTP Basic and answered {scout.shown(reply)}"
            )
        return ""
    if refused.status not in _REFUSED:
        return ""
    if reply.ok and front not in known.opened:
        known.opened.append(front)
        name = known.accounts[label].username.lower()
        async for page, shown in visited(scout, known, credential):
            if name in shown.text.lower() and page.name != front.name:
                known.opened.append(page)
    return f"{front.name} answers {reply.status} to it, and {refused.status} to others"


def _pair(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def _declaring(known: Knowledge, carrier: Carrier) -> list[Operation]:
    return [
        operation
        for operation in doors(known)
        if any(carrier.scheme in entry for entry in operation.security or ())
    ]
