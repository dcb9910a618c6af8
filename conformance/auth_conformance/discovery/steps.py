"""The order of discovery: documents, accounts, logins, witness, and then everything that needs those."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Kind
from auth_conformance.discovery.access import (
    Doorman,
    cannot_log_in,
    given_accounts,
    use_ready,
)
from auth_conformance.discovery.asking import ExhaustedError, Scout
from auth_conformance.discovery.basic import told_basic, try_basic
from auth_conformance.discovery.belongings import find_objects, find_writings
from auth_conformance.discovery.callers import find_public, find_witnesses
from auth_conformance.discovery.clients import find_clients
from auth_conformance.discovery.code import find_source
from auth_conformance.discovery.declared import declared_flows, declared_logins, declared_logouts
from auth_conformance.discovery.document import base_paths, read_document
from auth_conformance.discovery.doors import shut, slashed, stranger
from auth_conformance.discovery.entrances import guessed_attempts, page_attempts
from auth_conformance.discovery.gaps import ADMIN_ALONE, REMEDIES, fill_gaps
from auth_conformance.discovery.graphql import find_graphql, read_schema
from auth_conformance.discovery.guards import guard_lines
from auth_conformance.discovery.insisting import insist
from auth_conformance.discovery.keys import find_keys
from auth_conformance.discovery.lifecycle import find_logouts, find_refresh
from auth_conformance.discovery.locating import Found, calibrate, find_documents, longer, read
from auth_conformance.discovery.logins import Attempt, attempts, completed
from auth_conformance.discovery.machines import machine_attempts
from auth_conformance.discovery.management import (
    find_sessions,
    find_user_management,
    find_websockets,
)
from auth_conformance.discovery.names import dangerous, names
from auth_conformance.discovery.newcomers import settle, verify_registration
from auth_conformance.discovery.pages import read_pages
from auth_conformance.discovery.preludes import prepared, protected
from auth_conformance.discovery.protection import find_protection
from auth_conformance.discovery.providers import provider_attempts
from auth_conformance.discovery.readdressing import find_email_change
from auth_conformance.discovery.recovery import find_recovery, open_mailbox
from auth_conformance.discovery.routes import seen_routes
from auth_conformance.discovery.signing import find_public_keys, find_signing_keys
from auth_conformance.discovery.slashes import settle_slashes
from auth_conformance.discovery.textless import find_textless
from auth_conformance.model import Need, Provenance
from auth_conformance.settings import ConfigurationError
from auth_conformance.transports.mailbox import Letters
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Account, Login, Operation

# Operations whose login was tried and let in: no more than this many, they cost hashing time.
_LOGINS = 4
# Beside a login that works, only operations that are clearly named like one are tried.
_LIKELY = 6


async def explore(scout: Scout, known: Knowledge) -> None:
    """Fill in `known`, step by step. Raises ConfigurationError."""
    doorman = Doorman(scout, known)
    try:
        await calibrate(scout, known.address)
        locked = await _documents(scout, known)
        await settle_slashes(scout, known)
        known.accounts.update(given_accounts(known.settings.accounts))
        declared_flows(known)
        open_mailbox(known)
        if known.mailbox is not None:
            addresses = {item.username: item.address for item in known.accounts.values()}
            scout.recorder.letters = Letters(known.mailbox, addresses)
        find_recovery(known)
        find_email_change(known)
        await _get_in(scout, known, doorman)
        await _locked_document(scout, known, locked)
        await insist(scout, known)
    except ExhaustedError:
        known.say(
            "discovery", f"stopped after {scout.used} requests", Provenance.OBSERVED, "its budget is used up"
        )
    _insist(known)
    if known.witness is None or not known.witness.identity or known.second is None:
        await _step(scout, known, partial(_witnesses, scout, known))
    await _step(scout, known, partial(read_pages, scout, known, doorman))
    await _step(scout, known, partial(find_public, scout, known), skip=known.public is not None)
    await _step(scout, known, partial(find_signing_keys, scout, known, doorman))
    await _step(scout, known, partial(find_public_keys, scout, known))
    await _step(scout, known, partial(_keys, scout, known))
    await _step(scout, known, partial(find_objects, scout, known))
    creator = known.credential("a")
    by_cookie = known.objects is not None and creator is not None and creator.carrier.kind is Kind.COOKIE
    if not by_cookie and await _protected(scout, known, doorman):
        await _step(scout, known, partial(_keys, scout, known))
        await _step(scout, known, partial(find_objects, scout, known))
    await _step(scout, known, partial(verify_registration, scout, known, doorman))
    await _step(scout, known, partial(find_refresh, scout, known, doorman))
    if known.settings.logout:
        declared_logouts(known)
    else:
        await _step(scout, known, partial(find_logouts, scout, known, doorman))
        await _step(scout, known, partial(_shielded_logout, scout, known, doorman))
    find_user_management(known)
    await _step(scout, known, partial(find_sessions, scout, known))
    find_websockets(known)
    open_mailbox(known)
    find_recovery(known)
    find_email_change(known)
    find_source(known)
    await _step(scout, known, partial(_written_besides, scout, known))
    fill_gaps(known)
    known.say("discovery", f"{scout.used} requests", Provenance.OBSERVED)


async def _written_besides(scout: Scout, known: Knowledge) -> None:
    """What people make besides the objects in which their text is shown."""
    find_writings(scout, known)
    await find_textless(scout, known)


async def _step(
    scout: Scout, known: Knowledge, step: Callable[[], Awaitable[None]], *, skip: bool = False
) -> None:
    if skip:
        return
    try:
        await step()
    except ExhaustedError:
        known.say(
            "discovery", f"stopped after {scout.used} requests", Provenance.OBSERVED, "its budget is used up"
        )


async def _shielded_logout(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Where the logout alone refuses a session: find out what it wants beside, and try it again with that."""
    refused = [
        item for item in known.logouts if item.kind is Kind.COOKIE and item.provenance is Provenance.GUESSED
    ]
    before = list(known.logins)
    if not refused:
        return
    await find_protection(scout, known, doorman, logouts_only=True)
    if known.logins != before:
        known.logouts = [item for item in known.logouts if item not in refused]
        known.facts = [
            fact for fact in known.facts if fact.name != "logout" or fact.provenance is not Provenance.GUESSED
        ]
        await find_logouts(scout, known, doorman)


async def _protected(scout: Scout, known: Knowledge, doorman: Doorman) -> bool:
    """Whether changes need more than the session cookie, and what they need was found."""
    before = list(known.logins)
    await _step(scout, known, partial(find_protection, scout, known, doorman))
    return known.logins != before


async def _documents(scout: Scout, known: Knowledge) -> list[str]:
    """Read every document and route; returns the paths where a document may be behind a login."""
    app = known.app if known.kind == "app" else None
    sought = await find_documents(scout, known.settings.openapi, known.address, app)
    for item in sought.found:
        await _include(scout, known, item)
    await _spell(scout, known)
    for note in sought.notes:
        known.say("document", note, Provenance.OBSERVED)
    if sought.late:
        seconds = known.settings.timeout
        told = f"{', '.join(sought.late)} gave no answer within {seconds:g} s"
        known.say("document", "none read", Provenance.OBSERVED, told)
        known.remedies[Need.OPENAPI] = longer(sought.late[0], seconds)
    elif not sought.found:
        known.say("document", "none found", Provenance.OBSERVED, "no usual place holds an OpenAPI 3 document")
        known.absent[Need.OPENAPI] = "no OpenAPI document is at any usual place."
    if app is not None:
        _include_routes(known, app)
    await find_graphql(scout, known)
    return sought.locked


async def _spell(scout: Scout, known: Knowledge) -> None:
    """Some services redirect every path of their document to one with a slash: then that is how it is spelled."""
    simple = [
        item
        for item in known.by_method("GET")
        if "{" not in item.path and not item.path.endswith("/") and not dangerous(item)
    ]
    asked = [item for item in simple if item.path != known.document_path][:2]
    for operation in asked:
        if not slashed(operation.path, await stranger(scout, known, operation)):
            return
    if not asked:
        return
    for name, operation in list(known.operations.items()):
        if not operation.path.endswith("/") and operation.path != known.document_path:
            del known.operations[name]
            spelled = replace(operation, path=operation.path + "/")
            known.operations[spelled.name] = spelled
    known.say(
        "paths",
        "each with a slash at its end",
        Provenance.OBSERVED,
        f"{asked[0].name} redirects to the path with one",
    )


async def _include(scout: Scout, known: Knowledge, found: Found) -> None:
    own = urlsplit(known.address) if known.kind == "url" else urlsplit("https://testserver")
    origin, prefix = f"{own.scheme}://{own.netloc}", own.path.rstrip("/") if known.kind == "url" else ""
    bases = base_paths(found.raw, origin, prefix, found.path or "/")
    cut_off = str(getattr(known.app, "root_path", "") or "").rstrip("/") if known.kind == "app" else ""
    if cut_off:
        # What a proxy cuts off before the application (ASGI, root_path) is not part of the paths in this process.
        bases = [base for base in bases if base.rstrip("/") != cut_off] or [""]
    if found.prefix and found.prefix not in bases:
        bases.insert(0, found.prefix)
    if known.kind == "url":
        # An application that is mounted may have its document at the root, and say nothing of where its paths are.
        bases += [base for base in names("document", "bases") if base not in bases]
    base = await _base(scout, known, found, bases) if len(bases) > 1 else bases[0]
    document = read_document(found.raw, base)
    if found.unlisted:
        hidden = tuple(replace(item, provenance=Provenance.OBSERVED) for item in document.operations)
        document = replace(document, operations=hidden)
    known.include(document)
    known.publish(found, base)
    known.has_document = True
    known.document_path = known.document_path or found.path
    below = f", paths below {base}" if base else ""
    known.say(
        "document",
        f"{found.where}: {len(document.operations)} operations{below}",
        Provenance.OPENAPI,
        "it says openapi 3 and has paths",
    )


async def _base(scout: Scout, known: Knowledge, found: Found, bases: Sequence[str]) -> str:
    """The first of the bases below which something of the document stands; the likeliest where none shows that."""
    for candidate in bases:
        document = read_document(found.raw, candidate)
        simple = [item for item in document.operations if item.method == "GET" and "{" not in item.path][:2]
        if not simple:
            break
        for item in simple:
            reply = await stranger(scout, known, item)
            if shut(scout, reply, item.path) or scout.exists(reply, item.path):
                return candidate
    return bases[0]


def _include_routes(known: Knowledge, app: object) -> None:
    """Source lines for documented operations, and the routes that no document shows."""
    seen = seen_routes(app)
    guards = guard_lines(app)
    documented_before = set(known.operations)
    hidden = 0
    for route in seen:
        name = route.operation.name
        documented = known.operations.get(name)
        if documented is not None:
            known.operations[name] = replace(
                documented, source=route.operation.source, guard=guards.get(name)
            )
        elif not _of_framework(route.operation):
            known.operations[name] = replace(route.operation, guard=guards.get(name))
            hidden += 1
    # Where a version of the framework hides included routers from us, the document knows more than we see.
    names = {route.operation.name for route in seen}
    known.complete = bool(seen) and documented_before <= names
    if hidden:
        known.say(
            "hidden routes",
            str(hidden),
            Provenance.OBSERVED,
            "read from the application, not in its document",
        )


def _of_framework(operation: Operation) -> bool:
    source = operation.source
    return source is not None and source.path.replace("\\", "/").endswith("fastapi/applications.py")


async def _get_in(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    await use_ready(scout, known)
    await declared_logins(scout, known, doorman)
    if "a" not in known.accounts:
        await settle(scout, known, doorman, "a", partial(_find_logins, scout, known, doorman))
    elif not known.logins and known.accounts["a"].password is not None:
        # Where HTTP Basic is declared or asked for, and no login is, passwords need not be tried anywhere else.
        plain = told_basic(known, "a") is not None or not attempts(known, scout.rng)
        basic = plain and await try_basic(scout, known, doorman, "a")
        if not basic:
            await _find_logins(scout, known, doorman, "a")
            basic = known.credential("a") is None and await try_basic(
                scout, known, doorman, "a", unasked=True
            )
        if not basic and known.credential("a") is None and doorman.refusals:
            raise cannot_log_in(known, "a", doorman.refusals)
    if "a" in known.accounts and "b" not in known.accounts:
        await settle(scout, known, doorman, "b", None)
    for label in [label for label in ("b", "admin") if label in known.accounts]:
        await _other(scout, known, doorman, label)


async def _other(scout: Scout, known: Knowledge, doorman: Doorman, label: str) -> None:
    account = known.accounts[label]
    if account.password is None or account.expendable:
        return
    before = len(doorman.refusals)
    if ("a", Kind.BASIC) in known.credentials and not known.logins:
        if not await try_basic(scout, known, doorman, label, unasked=True):
            raise cannot_log_in(known, label, ["HTTP Basic was refused where account a got in with it"])
    elif (
        known.logins
        and not await doorman.log_in(label)
        and (label, known.logins[0].carrier.kind) not in known.credentials
    ):
        raise cannot_log_in(known, label, doorman.refusals[before:])


async def _find_logins(scout: Scout, known: Knowledge, doorman: Doorman, label: str) -> bool:
    """Every login that verifies with the account: the document's first, then usual places."""
    account = known.accounts[label]
    tried: list[Attempt] = attempts(known, scout.rng)
    for attempt in tried[: 2 * _LOGINS]:
        likely = not known.logins or attempt.score >= _LIKELY
        if len(known.logins) >= _LOGINS or not likely or not doorman.may_try(account):
            break
        known.logins += await _enter(scout, known, doorman, attempt, account)
    if known.logins and doorman.may_try(account):
        for attempt in await page_attempts(scout, known):
            found = await _enter(scout, known, doorman, attempt, account)
            known.logins += [login for login in found if login.cookie is not None]
    if not known.logins:
        async for attempt in _elsewhere(scout, known, account.username):
            if known.logins or not doorman.may_try(account):
                break
            known.logins += await _enter(scout, known, doorman, attempt, account)
    return bool(known.logins)


async def _elsewhere(scout: Scout, known: Knowledge, username: str) -> AsyncIterator[Attempt]:
    """Where a name and a secret may be asked for besides: of programs, at a provider, and at usual places."""
    for attempt in machine_attempts(known, scout.rng):
        yield attempt
    for attempt in await provider_attempts(scout, known):
        yield attempt
    for attempt in await guessed_attempts(scout, known, username):
        yield attempt


async def _enter(
    scout: Scout, known: Knowledge, doorman: Doorman, attempt: Attempt, account: Account
) -> list[Login]:
    """Try an attempt; when its refusal says what it lacks, once more with that."""
    attempt = await prepared(scout, known, attempt, account.username)
    found = await doorman.enter(attempt, account)
    if not found and doorman.moved:
        attempt = replace(attempt, operation=known.move(attempt.operation, doorman.moved))
        found = await doorman.enter(attempt, account)
    if not found and doorman.wants_csrf:
        better = await protected(scout, known, attempt)
        found = await doorman.enter(better, account) if better is not None else []
    elif not found and doorman.wants_more:
        fuller = completed(attempt, scout.rng)
        found = await doorman.enter(fuller, account) if fuller is not None else []
    return found


async def _keys(scout: Scout, known: Knowledge) -> None:
    """What people make for their programs: keys, and clients with a secret."""
    await find_keys(scout, known)
    await find_clients(scout, known)


async def _witnesses(scout: Scout, known: Knowledge) -> None:
    second = known.second
    await find_witnesses(scout, known)
    known.second = second or known.second


async def _locked_document(scout: Scout, known: Knowledge, locked: list[str]) -> None:
    """A document that strangers may not read is read with A's credential."""
    credential = known.credential("a")
    await read_schema(scout, known, credential)
    if known.has_document or credential is None:
        return
    for path in locked[:3]:
        reply = (
            await scout.ask(HttpRequest("GET", path), "read the document as a", credential=credential)
        ).reply
        raw = read(reply, [], path)
        if raw is not None:
            known.absent.pop(Need.OPENAPI, None)
            known.remedies.pop(Need.OPENAPI, None)
            await _include(scout, known, Found(raw, f"{path}, with a credential", path))
            return


def _insist(known: Knowledge) -> None:
    """Raises ConfigurationError when there is neither a document, nor a login, nor a credential."""
    if known.has_document or known.complete or known.logins or known.credentials:
        return
    late = known.remedies.get(Need.OPENAPI)
    where = "gave no OpenAPI document in time" if late else "has no OpenAPI document at the usual places"
    alone = f" ({ADMIN_ALONE})" if known.accounts.keys() == {"admin"} else ""
    raise ConfigurationError(
        f"{known.address} {where}, and no login was found{alone}. "
        f"{'Wait longer for it' if late else 'Say where the document is'}, or say how people log in:\n"
        f"{late or REMEDIES[Need.OPENAPI]}\n{REMEDIES[Need.LOGIN]}"
    )
