"""Refresh, logout and account deletion: found by name and shape, done once, and only then believed."""

from __future__ import annotations

import random
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.discovery.access import declared_csrf_header
from auth_conformance.discovery.asking import allowed
from auth_conformance.discovery.doors import slashed, stranger, usual_paths
from auth_conformance.discovery.names import LAST_SEGMENT, avoided, likeness, mentions, names, plain, rank
from auth_conformance.discovery.providers import provider_logouts
from auth_conformance.discovery.sampling import sample, with_body
from auth_conformance.discovery.schemas import fields
from auth_conformance.discovery.tokens import (
    deletes_cookie,
    issued,
    live_cookies,
    names_csrf,
    opaque,
    refresh_cookie,
    refresh_pointer,
)
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import put, strings
from auth_conformance.secret import Secret
from auth_conformance.target import Login, Logout, Operation, Refresh
from auth_conformance.target.logins import csrf_claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.oracles.cookies import SetCookie
    from auth_conformance.transports.message import RawReply

_MOST = 6
# So many ways out are asked as a stranger whether they are there, and so many tried: each costs a login.
_GUESSES, _TRIED = 14, 3
_SAID_YES = "called with a fresh credential, it answered with success"


async def find_refresh(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Fill in `refresh`: a fresh refresh token is exchanged, and the new access token opens the witness."""
    account = known.accounts.get("a")
    if account is None or known.refresh is not None:
        return
    # A login that sets a cookie is renewed by another cookie, if by anything.
    for kind in (Kind.BEARER, Kind.COOKIE):
        login = next((login for login in known.logins if login.carrier.kind is kind), None)
        reply = await doorman.send(login, account) if login is not None else None
        if login is not None and reply is not None:
            login = _with_handed_back(known, login, reply)
        token = _refresh_token(known, login, reply) if login is not None and reply is not None else None
        if login is None or token is None or (kind is Kind.COOKIE and not (token[1] and login.cookie)):
            continue
        await _try_refreshes(scout, known, login, token)
        if known.refresh is not None:
            return


async def _try_refreshes(scout: Scout, known: Knowledge, login: Login, token: tuple[Secret, str]) -> None:
    tries, nowhere = 0, set[str]()
    scout.learn(token[0].reveal())
    for refresh in _refreshes(known, login, token[1], claimed=csrf_claim(token[0].reveal()) is not None):
        if refresh.operation.name in nowhere:
            continue
        if tries >= _MOST:
            return
        answer = (
            await scout.insist(
                refresh.request(token[0]), f"refresh: {refresh.operation.name} ({refresh.place})"
            )
        ).reply
        if refresh.operation.provenance is Provenance.GUESSED and not scout.exists(
            answer, refresh.operation.path
        ):
            nowhere.add(refresh.operation.name)
            continue
        tries += 1
        read = _read_refresh(refresh, login, answer)
        if read is None:
            continue
        for secret in [item for item in (read.read(answer) or ()) if item is not None]:
            scout.learn(secret.reveal())
        if await _opens(scout, known, login, read, answer):
            known.refresh = read
            known.say(
                "refresh",
                f"{read.operation.name} ({read.place} {read.field}"
                + (f", its claim in {read.csrf_header}" if read.csrf_header else "")
                + f") → {read.token}",
                Provenance.OBSERVED,
                "a refresh token was exchanged, and the new access token was accepted",
            )
            return


def _with_handed_back(known: Knowledge, login: Login, reply: RawReply) -> Login:
    """`login` with the place of its refresh token, found by what takes it back.

    Whatever it is called: besides the token a login hands out one more, and an operation that asks for no
    credential takes just that, by the same name.
    """
    if login.refresh is not None or login.token is None:
        return login
    for pointer, value in strings(reply.json).items():
        name = pointer.rsplit("/", 1)[-1]
        if pointer == login.token or not (isinstance(value, str) and opaque(value)) or names_csrf(name):
            continue
        if any(_takes_back(operation, name) for operation in known.by_method("POST", "PUT")):
            found = replace(login, refresh=pointer)
            known.logins[known.logins.index(login)] = found
            return found
    return login


def _takes_back(operation: Operation, name: str) -> bool:
    needed = [item.name for item in _members(operation) if item.required]
    return needed == [name] and "{" not in operation.path and not operation.protected


def _refresh_token(known: Knowledge, login: Login, reply: RawReply) -> tuple[Secret, str] | None:
    secret = login.read_refresh(reply)
    if secret is not None:
        return secret, ""
    cookie = refresh_cookie(reply) or _cookie_beside(known, login, reply)
    return (Secret(cookie.value), cookie.name) if cookie is not None else None


def _cookie_beside(known: Knowledge, login: Login, reply: RawReply) -> SetCookie | None:
    """The cookie that a login sets besides what authenticates, where an operation is declared to take it back.

    Its name may say nothing: what it is good for is seen when it is exchanged.
    """
    declared = {
        item.name
        for operation in known.by_method("POST", "PUT", "GET")
        for item in operation.parameters
        if item.place == "cookie" and likeness(operation, "refresh")
    }
    return next(
        (item for item in live_cookies(reply) if item.name in declared and item.name != login.cookie), None
    )


def _refreshes(known: Knowledge, login: Login, cookie: str, *, claimed: bool) -> Iterator[Refresh]:
    """Ways to refresh, likeliest first. `claimed`: the cookie's token has a claim that a header may have to repeat."""
    token, following = login.token or "", login.refresh
    wanted = names("tokens", "refresh")
    operations = [
        operation
        for operation in known.by_method("POST", "PUT", "GET")
        if "{" not in operation.path
        and not avoided(operation, "refresh")
        and (
            likeness(operation, "refresh")
            or _takes_back(operation, _like(login))
            or any(rank(item.name, wanted) is not None for item in _members(operation))
        )
    ]
    operations.sort(key=lambda operation: -likeness(operation, "refresh"))
    operations = _with_guesses(known, login, operations)
    if login.template.get("grant_type") == "password" and not cookie:
        # One token endpoint for every grant (RFC 6749 §6).
        kept = {key: value for key, value in login.template.items() if key not in ("grant_type", "scope")}
        template = {**kept, "grant_type": "refresh_token"}
        yield Refresh(login.operation, "form", "refresh_token", token, following, template)
    for operation in operations:
        if cookie:
            bare = Refresh(operation, "cookie", cookie, token, following)
            yield bare
            if claimed:
                header = login.csrf_header or declared_csrf_header(known) or "X-CSRF-Token"
                yield replace(bare, csrf_header=header)
            continue
        yield from _declared(operation, login)
        if not operation.bodies:
            for item in operation.parameters:
                if item.place == "query" and (
                    rank(item.name, wanted) is not None or "token" in item.name.lower()
                ):
                    yield Refresh(operation, "query", item.name, token, following)
            yield Refresh(operation, "header", "Authorization", token, following)
            if operation.provenance is not Provenance.OPENAPI:
                yield Refresh(operation, "json", _like(login), token, following)


def _with_guesses(known: Knowledge, login: Login, found: list[Operation]) -> list[Operation]:
    """`found` with usual places: first where the login itself is undescribed, before what is not named so elsewhere."""
    if known.complete:
        return found
    guesses = [
        Operation("POST", path, provenance=Provenance.GUESSED)
        for path in usual_paths("refresh", [login.operation.path])
        if f"POST {path}" not in known.operations
    ]
    named = [] if _is_hidden(known, login) else [item for item in found if likeness(item, "refresh")]
    return [*named, *guesses, *(item for item in found if item not in named)]


def _is_hidden(known: Knowledge, login: Login) -> bool:
    """Whether no document describes the login: what belongs to it is likely to be undescribed as well."""
    undescribed = (Provenance.GUESSED, Provenance.OBSERVED) if known.has_document else (Provenance.GUESSED,)
    return login.operation.provenance in undescribed


def _like(login: Login) -> str:
    return (login.refresh or "/refresh_token").rsplit("/", 1)[-1]


def _members(operation: Operation) -> list[Any]:
    return [item for schema in operation.bodies.values() for item in fields(schema)]


def _declared(operation: Operation, login: Login) -> Iterator[Refresh]:
    token, following = login.token or "", login.refresh
    following_name = (following or "").rsplit("/", 1)[-1]
    for media, schema in operation.bodies.items():
        members = [item for item in fields(schema) if item.schema.get("type", "string") == "string"]
        named = [item for item in members if rank(item.name, names("tokens", "refresh")) is not None]
        named += [item for item in members if "token" in item.name.lower() and item not in named]
        named += [item for item in members if item.name == following_name and item not in named]
        place = "json" if media.endswith("json") else "form"
        made = sample(schema, random.Random(0))
        template = _as_at_login(schema, made if isinstance(made, dict) else {}, login)
        if any(item.name == "grant_type" for item in members):
            template = {**template, "grant_type": "refresh_token"}
        for item in named[:2]:
            yield Refresh(operation, place, item.pointer, token, following, template)


def _as_at_login(schema: Any, template: Mapping[str, Any], login: Login) -> dict[str, Any]:
    """The template with what the login said of the device or the client, wherever it stands there.

    Tokens may be bound to it: `/device/id` of a login is the `device_id` of a refresh.
    """
    told = {plain(pointer): value for pointer, value in strings(dict(login.template)).items()}
    made = dict(template)
    for item in fields(schema):
        if (value := told.get(plain(item.pointer))) is not None:
            made = put(made, item.pointer, value)
    return made


def _read_refresh(refresh: Refresh, login: Login, answer: RawReply) -> Refresh | None:
    """The refresh with the places at which this answer really holds its tokens."""
    if not answer.ok:
        return None
    if login.carrier.kind is Kind.COOKIE:
        renewed = next((cookie for cookie in live_cookies(answer) if cookie.name == login.cookie), None)
        following = next((cookie for cookie in live_cookies(answer) if cookie.name == refresh.field), None)
        if renewed is None:
            return None
        return replace(
            refresh, token=f"cookie {renewed.name}", refresh=f"cookie {following.name}" if following else None
        )
    found = [item.pointer for item in issued(answer) if item.pointer is not None]
    if not found:
        return None
    # What stands where the login has it is the same thing, whatever it is called.
    here = strings(answer.json)
    token = login.token if login.token in found else found[0]
    next_one = refresh_pointer(answer) or (login.refresh if login.refresh in here else None)
    return replace(refresh, token=token or "", refresh=next_one)


async def _opens(scout: Scout, known: Knowledge, login: Login, refresh: Refresh, answer: RawReply) -> bool:
    read = refresh.read(answer)
    if read is None or not known.opened:
        return read is not None
    operation = known.witness.operation if known.witness else known.opened[0]
    credential = Credential(login.carrier, read[0], "a")
    reply = await scout.call(operation, f"{operation.name} with the refreshed token", credential=credential)
    return reply.ok


async def find_logouts(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Fill in `logouts`: for each kind of login one operation that takes its credential and says yes.

    Runs last: a logout may end every session of its account, also those of the same second.
    """
    account = known.accounts.get("a")
    if account is None:
        return
    for login in known.logins:
        if any(item.kind is login.carrier.kind for item in known.logouts):
            continue
        likely = await _there(scout, known, logout_operations(known, login))
        for named in [*likely, *provider_logouts(known, login)]:
            operation = await _by_its_method(scout, named)
            reply = await doorman.send(login, account)
            credential = login.read(reply, "a") if reply is not None else None
            if reply is None or credential is None:
                silent = f"{login.operation.name} gave no credential"
                await _guess_logouts(scout, known, (doorman.refusals or [silent])[-1])
                return
            called = await log_out(scout, operation, credential, login.read_refresh(reply))
            if called is None and operation.provenance is not Provenance.GUESSED:
                called = await _with_both_cookies(scout, known, operation, credential, reply)
            because = await _believed(scout, known, *called, credential) if called is not None else ""
            if called is not None and because:
                logout, provenance = called[0], Provenance.OBSERVED
                if because != _SAID_YES:
                    logout, provenance = replace(logout, provenance=Provenance.GUESSED), Provenance.GUESSED
                known.logouts.append(logout)
                known.say(
                    "logout",
                    f"{operation.name} ends a {login.carrier.kind.value} login",
                    provenance,
                    because,
                )
                break
    await _guess_logouts(scout, known)


async def _there(scout: Scout, known: Knowledge, operations: Sequence[Operation]) -> list[Operation]:
    """The first few: of those that are guessed, what is there. To ask a stranger's question costs no login."""
    found = []
    for operation in operations[:_GUESSES]:
        guessed = operation.provenance is Provenance.GUESSED
        if not guessed or (await stranger(scout, known, operation)).status != HTTPStatus.NOT_FOUND:
            found.append(operation)
        if len(found) == _TRIED:
            break
    return found


async def _by_its_method(scout: Scout, operation: Operation) -> Operation:
    """The operation; where its path is a guess that has other methods, the one that the refusal names."""
    if operation.provenance is not Provenance.GUESSED or operation.method != "POST":
        return operation
    nobody = await scout.call(operation, f"{operation.name} without a credential")
    others = allowed(nobody) if nobody.status == HTTPStatus.METHOD_NOT_ALLOWED else []
    return replace(operation, method=others[0]) if others else operation


def logout_operations(known: Knowledge, login: Login) -> list[Operation]:
    """The operations that may end a login of this kind, likeliest first; usual places where none is documented."""
    found = [
        operation
        for operation in known.by_method("POST", "DELETE", "GET", "PUT")
        if "{" not in operation.path
        and not avoided(operation, "logout")
        and is_logout(operation)
        and _of_people(operation, login)
    ]
    beside = login.operation.path.rstrip("/").rsplit("/", 1)[0]
    slash = "/" if login.operation.path.endswith("/") else ""
    same_kind = login.carrier.scheme

    def order(operation: Operation) -> tuple[bool, bool, int]:
        schemes = set().union(*(operation.security or ()))
        return (
            not operation.path.startswith(beside) if beside else False,
            bool(schemes) and same_kind not in schemes,
            -likeness(operation, "logout"),
        )

    found.sort(key=order)
    # What logs people in where no document says so ends their logins there as well.
    hidden = _is_hidden(known, login)
    if (not found or hidden) and not known.complete:
        own, sessions = f"{beside}/logout{slash}", login.operation.path.rstrip("/")
        likely = [("POST", own), ("GET", own)]
        ends = [("DELETE", sessions), ("DELETE", f"{sessions}/current")]
        if mentions(sessions.rpartition("/")[2], names("sessions")):
            likely = [*ends, *likely]
        elif likeness(login.operation, "session"):
            likely += ends
        likely += [("POST", path) for path in usual_paths("logout", [login.operation.path])]
        guesses = [
            known.operations.get(f"{method} {path}") or Operation(method, path, provenance=Provenance.GUESSED)
            for method, path in dict.fromkeys(likely)
        ]
        found = [*guesses[:2], *found, *guesses[2:]] if hidden else [*found, *guesses]
    return found


def is_logout(operation: Operation) -> bool:
    """Whether an operation may end a login: by its name, as what ends or deletes a session, or by its body."""
    folder, _, last = operation.path.rstrip("/").rpartition("/")
    of_session = mentions(folder.rpartition("/")[2], names("sessions"))
    return bool(
        likeness(operation, "logout")
        or (operation.method == "DELETE" and likeness(operation, "session") == LAST_SEGMENT)
        or (
            operation.method != "GET"
            and of_session
            and mentions(last, names("sessions", "end"))
            and not _wants_more(operation)
        )
        or _is_revocation(operation)
    )


def _of_people(operation: Operation, login: Login) -> bool:
    """Whether the sessions that an operation deletes may be logins: messages and machines have sessions as well.

    What is not called a logout stands beside the login or above it, or below people.
    """
    folder = operation.path.rstrip("/").rpartition("/")[0]
    return (
        likeness(operation, "logout") > 0
        or login.operation.path.startswith(f"{folder}/")
        or mentions(folder.rpartition("/")[2], ("auth", *names("sessions"), *names("witness")))
        or _is_revocation(operation)
    )


def _wants_more(operation: Operation) -> bool:
    """Whether its body requires something besides a token: the sessions that it ends are not the caller's login."""
    tokens = ("token", *names("tokens", "refresh"), *names("tokens", "access"))
    return any(item.required and rank(item.name, tokens) is None for item in _members(operation))


def _is_revocation(operation: Operation) -> bool:
    """Whether an operation takes a token to end it, as RFC 7009 has it, or the one that it is called with."""
    wanted = ("token", *names("tokens", "refresh"), *names("tokens", "access"))
    folder, _, last = operation.path.rstrip("/").rpartition("/")
    if not mentions(last, names("logout", "revocations")):
        return False
    if not operation.bodies:
        of_logins = mentions(folder.rpartition("/")[2], ("auth", "oauth", *names("session")))
        return of_logins and operation.protected and operation.method == "POST" and "{" not in folder
    return any(rank(item.name, wanted) is not None for item in _members(operation))


async def _believed(
    scout: Scout, known: Knowledge, logout: Logout, reply: RawReply, credential: Credential
) -> str:
    """Why an operation that said yes is a logout; "" where nothing speaks for it but a guessed name.

    One that the document names is believed for its answer. A guessed one has to end something; or it deletes the
    session's cookie, or wants a login: many a logout does just that, and ends nothing.
    """
    operation = logout.operation
    if operation.provenance is not Provenance.GUESSED or known.witness is None:
        return _SAID_YES
    witness = known.witness.operation
    after = await scout.call(witness, f"{witness.name} after {operation.name}", credential=credential)
    if not scout.let_in(after, known.strangers[witness.name]):
        return _SAID_YES
    if credential.carrier.place == "cookie" and deletes_cookie(reply, credential.carrier.name):
        return "it deletes the session's cookie; the session lived on"
    nobody = await scout.call(operation, f"{operation.name} without a credential")
    if nobody.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "it refuses strangers, and answered with success; the credential lived on"
    return ""


def refresh_member(operation: Operation) -> str | None:
    """The member of a logout's body that takes the refresh token, by its name."""
    members = _members(operation)
    named = [item.pointer for item in members if rank(item.name, names("tokens", "refresh")) is not None]
    # RFC 7009 §2.1: a member `token` takes the one or the other.
    named += [item.pointer for item in members if rank(item.name, ("token",)) is not None and not named]
    return named[0] if named else None


async def _with_both_cookies(
    scout: Scout, known: Knowledge, operation: Operation, credential: Credential, reply: RawReply
) -> tuple[Logout, RawReply] | None:
    """Log out as browsers do: the refresh token goes along in its cookie, which some logouts end and demand."""
    refresh = known.refresh
    if refresh is None or refresh.place != "cookie" or credential.carrier.kind is not Kind.COOKIE:
        return None
    value = next((item.value for item in live_cookies(reply) if item.name == refresh.field), "")
    beside = replace(credential, crumbs=(*credential.crumbs, (refresh.field, value)))
    called = await log_out(scout, operation, beside, None) if value else None
    return called and (replace(called[0], refresh_field=f"cookie {refresh.field}"), called[1])


async def log_out(
    scout: Scout, operation: Operation, credential: Credential, refresh: Secret | None
) -> tuple[Logout, RawReply] | None:
    """Call what may be a logout; return how it was called and its answer, None when it did not say yes."""
    logout = Logout(operation, credential.carrier.kind, refresh_member(operation), Provenance.OBSERVED)
    request = operation.request()
    for media, schema in list(operation.bodies.items())[:1]:
        made = sample(schema, scout.rng)
        logout = replace(logout, template=made if isinstance(made, dict) else {})
        body = logout.body(credential.value, refresh)
        if body:
            request = with_body(request, media, body)
    reply = (await scout.insist(request, f"log out: {operation.name}", credential=credential)).reply
    if not reply.granted or scout.is_fallback(reply, operation.path) or slashed(operation.path, reply):
        return None
    return logout, reply


async def _guess_logouts(scout: Scout, known: Knowledge, untried: str = "") -> None:
    """A logout that refused is still worth knowing: the checks say what is missing.

    `untried`: what the login answered, where it gave no credential to try one with. Then its name has to do, and
    that something answers there.
    """
    for login in known.logins:
        if any(item.kind is login.carrier.kind for item in known.logouts):
            continue
        # What takes the refresh token of another login refused this one for having none.
        others = {item.operation.name for item in known.logouts if item.refresh_field and not login.refresh}
        named = [item for item in logout_operations(known, login) if item.name not in others]
        declared = [item for item in named if item.provenance is not Provenance.GUESSED]
        if untried:
            declared = await _called_so(scout, named)
        because = "it is named so, but refused a fresh credential (a CSRF token may be missing)"
        if untried:
            because = f"it is named so, and was not tried: {untried}"
        if declared:
            known.logouts.append(Logout(declared[0], login.carrier.kind, None, Provenance.GUESSED))
            known.say(
                "logout",
                f"{declared[0].name} ends a {login.carrier.kind.value} login",
                Provenance.GUESSED,
                because,
            )
        elif untried:
            known.say("logout", "none found", Provenance.OBSERVED, f"none could be tried: {untried}")


async def _called_so(scout: Scout, named: list[Operation]) -> list[Operation]:
    """The likeliest that is called a logout, not merely a list of sessions, and that answers."""
    for operation in [item for item in named if likeness(item, "logout")][:_MOST]:
        if operation.provenance is not Provenance.GUESSED:
            return [operation]
        nobody = await scout.call(operation, f"{operation.name} without a credential")
        if scout.exists(nobody, operation.path) and not slashed(operation.path, nobody):
            return [operation]
    return []


def deletion_operations(known: Knowledge) -> list[Operation]:
    """Operations by which people delete their own account, by their names; or what is read to know who one is.

    `DELETE /me`, or what is done to it by a path of its own: `POST /me/delete`.
    """
    own = known.witness.operation.path if known.witness is not None and known.witness.identity else None
    found: list[tuple[bool, int, Operation]] = []
    for operation in known.by_method("DELETE", "POST"):
        *above, last = operation.path.strip("/").split("/")
        named, done = last, operation.method == "DELETE"
        if not done:
            if rank(last, names("delete_account", "verbs")) is None or not above:
                continue
            named = above[-1]
        place = rank(named, names("delete_account"))
        if (
            "{" in operation.path
            or likeness(operation, "logout")
            or (place is None and operation.path != own)
        ):
            continue
        found.append((not done, place or 0, operation))
    return [operation for *_, operation in sorted(found, key=lambda item: item[:2])]
