"""Operations that may be protected, what strangers get there, and the carrier that opens one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery.knowledge import Knowledge, with_scheme
from auth_conformance.discovery.names import dangerous, likeness, mentions, names, plain, rank, verb_of, words
from auth_conformance.discovery.schemas import fields
from auth_conformance.model import Provenance, Role
from auth_conformance.secret import Secret
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.tokens import Issued
    from auth_conformance.transports.message import RawReply

# How many operations are asked without a credential, and how many requests look for the carrier.
_DOORS = 14
_TRIES = 40
_OWN_HEADERS = 2
# Validation comes before the login check in many services, and 404 may be anything.
_SAYS_NOTHING = (404, 422)


# Headers, and cookies.
Guard = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Opening:
    """What was issued, how it travels, and the operation that it opened."""

    issued: Issued
    carrier: Carrier
    operation: Operation


def carrier_from(text: str, *, key: bool = False) -> Carrier:
    """A carrier written as `header Authorization Bearer`, `cookie sid` or `query api_key`."""
    place, _, rest = text.strip().partition(" ")
    name, _, prefix = rest.strip().partition(" ")
    prefix = prefix.strip()
    if place == "cookie":
        kind = Kind.COOKIE
    elif key:
        kind = Kind.KEY
    else:
        kind = Kind.BASIC if prefix.lower() == "basic" else Kind.BEARER
    return Carrier(kind, place, name, prefix)


def usual_paths(part: str, logins: Iterable[str]) -> list[str]:
    """Usual paths of a part: below the folder of a login first, then below the folder above that, then as they are.

    A service may stand below a prefix, and a version of its interface with it: `logins` are paths that are known.
    """
    listed, near, far = names(part, "paths"), list[str](), list[str]()
    for path in logins:
        folder = path.rstrip("/").rpartition("/")[0]
        for below in filter(None, (folder, folder.rpartition("/")[0])):
            last = f"/{below.rpartition('/')[2]}/"
            for item in listed:
                if f"{item}/".startswith("/api/"):
                    far += [below + item] if below == folder and "api" not in below else []
                elif not item.startswith(last):
                    near.append(below + item)
    return list(dict.fromkeys([*near, *listed, *far]))


def doors(known: Knowledge, login: str = "") -> list[Operation]:
    """Operations without path parameters that read and may be protected, likeliest witness first.

    What reads is a GET; where the document protects few, a POST without a body whose name says that it reads.
    Where no document says what there is, usual paths; `login` is the path of a login that is being tried.
    """
    found = [
        operation
        for operation in known.by_method("GET")
        if "{" not in operation.path and not dangerous(operation) and operation.path != known.document_path
    ]
    posts = known.by_method("POST")
    found += [item for item in posts if item.safe and not _demands(item) and not dangerous(item)]
    if sum(operation.protected for operation in found) < _FEW:
        found += [operation for operation in posts if _reads_by_post(operation)]
    # Hidden or undeclared operations may be protected too, so nothing is dropped, only ordered.
    found.sort(key=lambda operation: (not operation.protected, -_caller_like(operation), len(operation.path)))
    if known.has_document or found:
        named = [
            operation for operation in found if not operation.protected and _caller_like(operation) >= _NAMED
        ]
        declared = [operation for operation in found if operation.protected]
        rest = [operation for operation in found if operation not in declared and operation not in named]
        return declared + named + rest
    logins = [path for path in (login, *(item.operation.path for item in known.logins)) if path]
    return [Operation("GET", path, provenance=Provenance.GUESSED) for path in usual_paths("witness", logins)]


_NAMED = 3
# A service with fewer protected GETs may do everything by POST.
_FEW = 3


def _demands(operation: Operation) -> bool:
    return any(item.required for schema in operation.bodies.values() for item in fields(schema))


def _reads_by_post(operation: Operation) -> bool:
    return operation.protected and not operation.bodies and named_reading(operation)


def named_reading(operation: Operation) -> bool:
    """Whether an operation on no thing of its path is named as one that reads, whatever its method is."""
    reads = operation.safe or verb_of(operation) in names("reading")
    return reads and "{" not in operation.path and not dangerous(operation)


def _caller_like(operation: Operation) -> int:
    last = operation.path.rstrip("/").rsplit("/", 1)[-1]
    best = ("me", "whoami", "self", "myself", "current", "userinfo", "profile", "account")
    place = rank(last, best)
    if place is None and words(last) & {"my", "me", "whoami"}:
        return 10
    return 20 - place if place is not None else likeness(operation, "witness")


async def stranger(scout: Scout, known: Knowledge, operation: Operation) -> RawReply:
    """What the operation answers to nobody; asked once."""
    name = operation.name
    if name not in known.strangers:
        known.strangers[name] = await as_nobody(scout, known, operation, f"{name} without a credential")
    return known.strangers[name]


async def as_nobody(
    scout: Scout, known: Knowledge, operation: Operation, label: str, *, role: Role = Role.SETUP
) -> RawReply:
    """What the operation answers without a credential.

    Where it demands the header that one goes into, its absence is a mistake in the request (422): then it is what a
    wrong one gets.
    """
    reply = await scout.call(operation, label, role=role)
    used = [carrier.name for carrier in known.used if carrier.place == "header"]
    for header in (*_credential_headers(operation), *used)[:1]:
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            wrong = Credential(Carrier(Kind.BEARER, "header", header), Secret(secrets.token_urlsafe(24)), "")
            reply = await scout.call(operation, f"{label}, but a wrong one", credential=wrong, role=role)
    return reply


def slashed(path: str, reply: RawReply) -> bool:
    """Whether a path is spelled with a slash at its end here, and redirected there without one."""
    location = urlsplit(reply.header("location") or "")
    return reply.status in (301, 302, 307, 308) and not path.endswith("/") and location.path == path + "/"


def shut(scout: Scout, reply: RawReply, path: str = "") -> bool:
    """Whether a stranger was refused at `path`: 401 and its kin, a redirect, or perhaps a 200 that says no."""
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return True  # even where unknown paths get the same: some services ask who calls before they look
    if not scout.exists(reply, path) or reply.status is None:
        return False
    return reply.status < HTTPStatus.INTERNAL_SERVER_ERROR and reply.status not in _SAYS_NOTHING


def carriers_for(known: Knowledge, item: Issued, operation: Operation) -> list[Carrier]:
    """Where a value may travel to that operation: as declared for it, as declared at all, as usual.

    What a body told goes into a cookie last: libraries that take one value in either place list the cookie first.
    """
    if item.cookie is not None:
        carrier = Carrier(Kind.COOKIE, "cookie", item.cookie)
        return [with_scheme(carrier, known.schemes_of(carrier))]
    schemes = set().union(*(operation.security or ()))
    declared = [_of_login(carrier) for carrier in known.carriers if carrier.kind is not Kind.BASIC]
    here = [carrier for carrier in declared if carrier.scheme in schemes]
    here.sort(key=lambda carrier: carrier.place == "cookie")
    named = _credential_headers(operation, item)
    headers = [Carrier(Kind.BEARER, "header", name) for name in named if name.lower() != "authorization"]
    usual = [
        Carrier(Kind.BEARER, "header", "Authorization", "Bearer"),
        Carrier(Kind.BEARER, "header", "Authorization", "Token"),
        Carrier(Kind.BEARER, "header", "Authorization"),
    ]
    spoken = {(carrier.place, carrier.name.lower(), carrier.prefix) for carrier in here + declared + headers}
    rest = [
        carrier for carrier in usual if (carrier.place, carrier.name.lower(), carrier.prefix) not in spoken
    ]
    first = here or headers
    others = [Carrier(Kind.BEARER, "header", name) for name in _other_headers(operation, named)]
    return list(
        dict.fromkeys(
            [
                *first,
                *[item for item in declared if item.place != "cookie"],
                *headers,
                *rest,
                *declared,
                *others,
            ]
        )
    )


def _of_login(carrier: Carrier) -> Carrier:
    """A key's carrier that a login's token travels in carries a bearer token all the same."""
    if carrier.kind is not Kind.KEY:
        return carrier
    return Carrier(Kind.BEARER, carrier.place, carrier.name, carrier.prefix, carrier.scheme)


def _credential_headers(operation: Operation, issued: Issued | None = None) -> list[str]:
    """The headers that an operation takes a credential in: named for one, or as what the login `issued` (`tkn`)."""
    wanted = names("tokens", "headers")
    member = plain(((issued and issued.pointer) or "").rsplit("/", 1)[-1])
    return [
        item.name
        for item in operation.parameters
        if item.place == "header"
        and (rank(item.name, wanted) is not None or (member and mentions(item.name, (member,))))
    ]


def _other_headers(operation: Operation, named: Sequence[str]) -> list[str]:
    """Headers of the service's own whose name says nothing: a plain parameter may be where the token goes."""
    return [
        item.name
        for item in operation.parameters
        if item.place == "header"
        and item.name not in named
        and item.name.lower().startswith("x-")
        and not mentions(item.name, names("tokens", "csrf"))
    ][:_OWN_HEADERS]


async def open_door(
    scout: Scout,
    known: Knowledge,
    items: Sequence[Issued],
    *,
    carriers: Iterable[Carrier] | None = None,
    owner: str = "a",
    doors_only: Sequence[Operation] = (),
    guard: Guard = ((), ()),
    login: str = "",
) -> Opening | None:
    """Try what was issued at protected operations until one lets it in. `carriers` narrows the places.

    `guard` is what a POST carries beside a session: a CSRF header, and the cookie that it has to agree with. `login`
    is the path where it was issued.
    """
    tries = 0
    first = [*doors_only, *[operation for operation in known.opened if operation not in doors_only]]
    async for operation, nobody in _shut_doors(scout, known, [*first, *doors(known, login)]):
        for item in items:
            for carrier in list(carriers or carriers_for(known, item, operation)):
                if tries >= _TRIES:
                    return None
                tries += 1
                beside = guard if item.cookie is not None and operation.method == "POST" else ((), ())
                credential = Credential(carrier, Secret(item.value), owner, *beside)
                bare = operation.without_header(carrier.name)
                reply = await scout.call(bare, f"{operation.name} with {carrier}", credential=credential)
                if scout.let_in(reply, nobody):
                    if operation not in known.opened:
                        known.opened.append(operation)
                    return Opening(item, carrier, operation)
    return None


async def _shut_doors(
    scout: Scout, known: Knowledge, operations: Iterable[Operation]
) -> AsyncIterator[tuple[Operation, RawReply]]:
    """The operations that refuse strangers, with what they say to them; each name once, and not too many."""
    asked, names_seen = 0, set[str]()
    for candidate in operations:
        if candidate.name in names_seen:
            continue
        names_seen.add(candidate.name)
        # A path that is only guessed counts when something is there.
        guessed = candidate.provenance is Provenance.GUESSED
        asked += not guessed
        if asked > _DOORS:
            return
        operation = candidate
        nobody = await stranger(scout, known, operation)
        if slashed(operation.path, nobody):
            operation = replace(operation, path=operation.path + "/")
            nobody = await stranger(scout, known, operation)
        if shut(scout, nobody, operation.path):
            asked += guessed
            yield operation, nobody
