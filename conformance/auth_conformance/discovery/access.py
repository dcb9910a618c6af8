"""Getting in: the accounts that were given, the logins that work for them, and why one does not."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery.doors import Guard, Opening, carrier_from, carriers_for, open_door
from auth_conformance.discovery.halfway import TOOK, halfway, mailed_step
from auth_conformance.discovery.knowledge import ONE_VALUE
from auth_conformance.discovery.names import mentions, names, rank
from auth_conformance.discovery.preludes import may_want_csrf, wants_csrf
from auth_conformance.discovery.providers import own_path
from auth_conformance.discovery.tokens import (
    Issued,
    csrf_header_for,
    csrf_place,
    issued,
    kept,
    refresh_pointer,
)
from auth_conformance.model import Provenance
from auth_conformance.secret import Secret
from auth_conformance.settings import ConfigurationError
from auth_conformance.tables import AccountSettings
from auth_conformance.target import Account, Login, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.discovery.logins import Attempt
    from auth_conformance.transports.message import RawReply

# Real accounts get locked: no more wrong logins than this for one that the run did not make itself.
WRONG_TRIES = 2
_OWN_WRONG_TRIES = 8
_INCOMPLETE = (400, 422)
_SAYS_MORE = re.compile(r"\b(?:required|missing|must be (?:given|present|supplied))\b", re.IGNORECASE)
# Answers that say that the request never came to comparing a password.
_REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)
_BROKEN = frozenset({500, 502, 503, 504})
_UNJUDGED = frozenset({404, 405, 406, 411, 415, 422, 429, 500, 501, 502, 503})


def labelled(settings: Mapping[str, AccountSettings]) -> dict[str, tuple[str, AccountSettings]]:
    """The configured accounts with their table names, by label: a and b are the first two without a role.

    Raises ConfigurationError for an account that has no part to play, or nothing to play it with.
    """
    found: dict[str, tuple[str, AccountSettings]] = {}
    taken = {item.role for item in settings.values()}
    free = [label for label in ("a", "b") if label not in taken]
    for table, item in settings.items():
        if not (item.password or item.token or item.key or item.cookie):
            raise ConfigurationError(
                f"Account {table} has nothing to get in with: give it a password, token, key or cookie, as in "
                f'password = {{ env = "{table.upper()}_PASSWORD" }}.'
            )
        if item.role == "expendable":
            found[f"x-{table}"] = (table, item)
            continue
        label = item.role or (table if table in (*free, "admin") else "") or (free[0] if free else "")
        if not label or label in found:
            first = found[label][0] if label else ""
            reason = f"{first} is {label} already" if first else "a and b are taken"
            raise ConfigurationError(
                f'Account {table} has no part in the checks: {reason}. Give it role = "admin" or '
                'role = "expendable" (one that may be locked), or take it out.'
            )
        if label in free:
            free.remove(label)
        found[label] = (table, item)
    return found


def given_accounts(settings: Mapping[str, AccountSettings]) -> dict[str, Account]:
    """The configured accounts by label. Raises ConfigurationError when a secret's variable is not set."""
    found: dict[str, Account] = {}
    for label, (table, item) in labelled(settings).items():
        ready = {
            kind: secret.secret()
            for kind, secret in ((Kind.BEARER, item.token), (Kind.KEY, item.key), (Kind.COOKIE, item.cookie))
            if secret is not None
        }
        password = item.password.secret() if item.password is not None else None
        found[label] = Account(
            label,
            item.username or table,
            password,
            ready,
            expendable=item.role == "expendable",
            email=item.email,
        )
    return found


async def use_ready(scout: Scout, known: Knowledge) -> None:
    """Find out how ready-made tokens, keys and cookies travel."""
    for label, given in list(known.accounts.items()):
        for kind, secret in given.ready.items():
            table = labelled(known.settings.accounts).get(label)
            told = table[1].carrier if table is not None else None
            opening = await _open_ready(scout, known, label, kind, secret, told=told)
            if opening is None:
                known.say(
                    "credential", f"the {kind.value} of account {label} opened nothing", Provenance.OBSERVED
                )
                continue
            adopt(known, label, replace(opening.carrier, kind=kind), opening.issued.value)
            ready = {**known.accounts[label].ready, kind: Secret(opening.issued.value)}
            known.accounts[label] = replace(given, ready=ready)


async def _open_ready(
    scout: Scout, known: Knowledge, label: str, kind: Kind, secret: Secret, *, told: str | None = None
) -> Opening | None:
    text = secret.reveal()
    scout.learn(text)
    if told is not None:
        carrier = carrier_from(told, key=kind is Kind.KEY)
        return await open_door(scout, known, [Issued(text, pointer="")], carriers=[carrier], owner=label)
    if kind is Kind.COOKIE:
        name, equals, value = text.partition("=")
        if equals and name.replace("-", "").replace("_", "").isalnum():
            scout.learn(value)
            return await open_door(scout, known, [Issued(value, cookie=name)], owner=label)
    same = [carrier for carrier in known.carriers if carrier.kind is kind]
    if kind is Kind.KEY:
        same += [Carrier(Kind.KEY, "header", name) for name in names("keys", "headers")]
        same += [
            Carrier(Kind.KEY, "header", "Authorization", "Bearer"),
            Carrier(Kind.KEY, "query", "api_key"),
        ]
    return await open_door(scout, known, [Issued(text, pointer="")], carriers=same or None, owner=label)


def adopt(known: Knowledge, label: str, carrier: Carrier, value: str) -> Credential:
    """Keep a credential of the account `label` that was seen to let it in."""
    carrier = replace(carrier, scheme=carrier.scheme or known.schemes_of(carrier))
    credential = Credential(carrier, Secret(value), label)
    known.credentials[label, carrier.kind] = credential
    known.use(carrier)
    return credential


LIMITED = "It limits how often people log in: run again when the limit has passed, or raise it for this run."


class Doorman:
    """Tries logins and counts how many were wrong for each account."""

    def __init__(self, scout: Scout, known: Knowledge) -> None:
        self._scout = scout
        self._known = known
        self._wrong: dict[str, int] = {}
        self.refusals: list[str] = []
        # Whether a password was right and another step is to follow: no other way need be tried then.
        self.halfway = False
        # What the last refusal said about the request, not about the password.
        self.wants_csrf = False
        self.wants_more = False
        # Where on this host it sent the request instead, to be asked there.
        self.moved: str | None = None

    def may_try(self, account: Account) -> bool:
        """Whether another wrong login of this account can be afforded."""
        if self.halfway:
            return False
        return self._wrong.get(account.label, 0) < (_OWN_WRONG_TRIES if account.expendable else WRONG_TRIES)

    def refused(self, account: Account, words: str) -> None:
        """Count a wrong password that was not sent to a login, and remember what was answered."""
        self._wrong[account.label] = self._wrong.get(account.label, 0) + 1
        self.refusals.append(words)

    async def send(self, login: Login, account: Account, described: str = "") -> RawReply | None:
        """Log in once; the reply if it was granted, None if it was refused. Refusals are remembered."""
        if account.password is None or not self.may_try(account):
            return None
        self._scout.learn(account.password.reveal())
        request = login.request(account.username, account.password)
        before = self._scout.waited
        sent = await self._scout.insist(request, f"log in as {account.label}: {login.operation.name}")
        if (waited := self._scout.waited - before) > 0:
            self._known.say(
                "login limit",
                f"{login.operation.name} answered 429: waited for {waited:g} s",
                Provenance.OBSERVED,
            )
        reply = sent.reply
        found = _issued(login, reply) if reply.granted else []
        for item in found:
            self._scout.learn(item.value)
        if (pointer := refresh_pointer(reply)) is not None:
            for secret in [replace(login, refresh=pointer).read_refresh(reply)]:
                if secret is not None:
                    self._scout.learn(secret.reveal())
        # What the configuration points at is believed, whatever it looks like.
        if found or (login.provenance is Provenance.DECLARED and reply.granted and login.read(reply, "")):
            self._known.broken_logins.pop(login.operation.name, None)
            return reply
        if reply.late or (reply.status or 0) in _BROKEN:
            self._known.broken_logins[login.operation.name] = f"answered {self._scout.shown(reply)}"
        self.moved = moved_to(self._known, login.operation.path, reply)
        self.wants_csrf = may_want_csrf(reply)
        self.wants_more = reply.status in _INCOMPLETE and _SAYS_MORE.search(reply.text) is not None
        unjudged = reply.status in _UNJUDGED or wants_csrf(reply) or self.wants_more or self.moved
        if not unjudged:
            self._wrong[account.label] = self._wrong.get(account.label, 0) + 1
        elsewhere = ", another host, where no credential is sent" if _leaves(self._known, reply) else ""
        to = f" → {reply.header('location')}{elsewhere}" if reply.header("location") else ""
        self.refusals.append(f"{described or login.operation.name} answered {self._scout.shown(reply)}{to}")
        return None

    async def enter(self, attempt: Attempt, account: Account) -> list[Login]:
        """Try an attempt and read what it issues: one login for each kind of credential that opens a door."""
        login = attempt.login()
        reply = await self.send(login, account, attempt.described)
        found = [] if reply is None else await self.read(login, reply, account)
        second = mailed_step(self._known, attempt, reply) if reply is not None else None
        if second is not None:
            # Also where the first step's own answer opens a door: that it must not is for TOK210 to say.
            answer = await self.send(second.login(), account, second.described)
            entered = [] if answer is None else await self.read(second.login(), answer, account)
            found, reply = (entered, answer) if entered else (found, reply)
        if reply is not None and not found:
            sentence, self.halfway = halfway(self._known, login, reply)
            self.refusals.append(sentence)
        return found

    async def read(self, login: Login, reply: RawReply, account: Account) -> list[Login]:
        """The logins that a granted reply proves, with the credentials remembered."""
        items = _issued(login, reply)
        tokens = [item for item in items if item.cookie is None]
        cookies = [item for item in items if item.cookie is not None]
        found: list[Login] = []
        for group in (tokens, cookies):
            opening = (
                await open_door(
                    self._scout,
                    self._known,
                    group,
                    owner=account.label,
                    doors_only=_where_sent(self._known, login.operation.path, reply),
                    guard=self._guard(login, reply) if group is cookies else ((), ()),
                    login=login.operation.path,
                )
                if group
                else None
            )
            # A body that repeats what a cookie sets issues nothing else, unless it opens in another place.
            repeats = any(opening is not None and opening.issued.value == item.value for item in cookies)
            if opening is None or (group is tokens and repeats and opening.carrier.place == "cookie"):
                continue
            found.append(self._verified(login, reply, opening, account))
        self._see_one_value(login, found, account)
        if (
            not found
            and tokens
            and rank((tokens[0].pointer or "").rsplit("/", 1)[-1], names("tokens", "access")) is not None
        ):
            found.append(self._unverified(login, reply, tokens[0], account))
        return found

    def _guard(self, login: Login, reply: RawReply) -> Guard:
        """What changes want beside the session that this reply opens: the CSRF token that it gave, where it did."""
        place = csrf_place(reply)
        if place is None:
            return (), ()
        header = declared_csrf_header(self._known) or csrf_header_for(place)
        made = replace(login, csrf=place, csrf_header=header, cookie=login.cookie or "")
        return made.protection(reply)

    def _see_one_value(self, login: Login, found: Sequence[Login], account: Account) -> None:
        """Keep that one answer hands the same value out as a token and as a session: it is at home in both places."""
        held = [self._known.credentials[account.label, item.carrier.kind] for item in found]
        if {item.carrier.kind for item in held} >= ONE_VALUE.keys() and len(
            {item.value for item in held}
        ) == 1:
            self._known.one_value = True
            self._known.say(
                "one credential",
                f"{login.operation.name} issues the same value in its answer and in a cookie",
                Provenance.OBSERVED,
                "so that it may be presented in either place",
            )

    def _verified(self, login: Login, reply: RawReply, opening: Opening, account: Account) -> Login:
        item = opening.issued
        credential = adopt(self._known, account.label, opening.carrier, item.value)
        csrf = csrf_place(reply) if item.cookie is not None else None
        made = replace(
            login,
            carrier=credential.carrier,
            token=item.pointer,
            cookie=item.cookie,
            refresh=refresh_pointer(reply) if item.cookie is None else None,
            csrf=csrf,
            csrf_header=declared_csrf_header(self._known) or csrf_header_for(csrf) if csrf else "",
            provenance=Provenance.OBSERVED,
            keeps_session=item.cookie is not None and item.cookie not in reply.cookies,
        )
        # The reply is read again, for the CSRF token that has to go wherever the session goes.
        again = made.read(reply, account.label)
        if again is not None:
            self._known.credentials[account.label, credential.carrier.kind] = again
            for _, value in (*again.companions, *again.crumbs):
                self._scout.learn(value)
        place = f"cookie {item.cookie}" if item.cookie else f"{item.pointer or 'the whole body'} in the reply"
        self._known.say(
            "login",
            f"{login.operation.name} ({login.encoding}) → {place} → {credential.carrier}",
            Provenance.OBSERVED,
            f"account {account.label} logged in, and the credential opened {opening.operation.name}",
        )
        return made

    def _unverified(self, login: Login, reply: RawReply, item: Issued, account: Account) -> Login:
        operation = next(iter(self._known.operations.values()), login.operation)
        carrier = next(
            (c for c in carriers_for(self._known, item, operation) if c.place != "cookie"),
            Carrier(Kind.BEARER, "header", "Authorization", "Bearer"),
        )
        adopt(self._known, account.label, carrier, item.value)
        self._known.say(
            "login",
            f"{login.operation.name} ({login.encoding}) → {item.pointer} → {carrier}",
            Provenance.GUESSED,
            "the reply holds a token by its name, but no operation was found that it opens",
        )
        return replace(
            login,
            carrier=carrier,
            token=item.pointer,
            refresh=refresh_pointer(reply),
            provenance=Provenance.GUESSED,
        )

    async def log_in(self, label: str) -> bool:
        """Log an account in by every known login that issues a kind it lacks; whether any worked."""
        account, worked = self._known.accounts[label], False
        if account.password is None:
            return False
        for login in self._known.logins:
            if (label, login.carrier.kind) in self._known.credentials:
                continue
            reply = await self.send(login, account)
            credential = login.read(reply, label) if reply is not None else None
            if credential is not None:
                self._known.credentials[label, credential.carrier.kind] = credential
                worked = True
            elif not worked:
                return False
        return worked


def _issued(login: Login, reply: RawReply) -> list[Issued]:
    """What a login issued; where that is nothing, and people are sent onwards, the cookie that they came with."""
    found = issued(reply)
    return found if found or not login.leads_on(reply) else kept(reply)


def moved_to(known: Knowledge, path: str, reply: RawReply) -> str | None:
    """The path on this host to which a redirect sends the same request: 307, 308, or merely another slash."""
    location = reply.header("location")
    if reply.status not in _REDIRECTS or location is None:
        return None
    there = own_path(known, urljoin(path, location))
    same = there is not None and there.rstrip("/") == path.rstrip("/") and there != path
    return there if same or (reply.status in _SAME_METHOD and there != path) else None


def _leaves(known: Knowledge, reply: RawReply) -> bool:
    location = reply.header("location") or ""
    return reply.status in _REDIRECTS and "//" in location and own_path(known, location) is None


def _where_sent(known: Knowledge, path: str, reply: RawReply) -> list[Operation]:
    """Where the login at `path` sends people afterwards: a page that is theirs, as like as not."""
    location = reply.header("location")
    if reply.status not in (302, 303) or not location:
        return []
    there = own_path(known, urljoin(path, location))
    return [Operation("GET", there, provenance=Provenance.OBSERVED)] if there not in (None, "/") else []


def declared_csrf_header(known: Knowledge) -> str:
    """The header that the document names for CSRF tokens; "" when it names none."""
    declared = {
        item.name
        for operation in known.operations.values()
        for item in operation.parameters
        if item.place == "header" and mentions(item.name, names("tokens", "csrf"))
    }
    return min(declared, default="")


def cannot_log_in(known: Knowledge, label: str, refusals: Sequence[str]) -> ConfigurationError:
    """The sentence for a given account that no login let in."""
    account = known.accounts[label]
    _, given = labelled(known.settings.accounts).get(label, ("", None))
    variable = given.password.env if given is not None and given.password is not None else ""
    tried = "; ".join(refusals[-2:])
    if TOOK in tried.rpartition("; ")[2]:
        tried = tried.rpartition("; ")[2]
        return ConfigurationError(f"Account {label} ({account.username}) cannot log in: {tried}.")
    if f"answered {HTTPStatus.TOO_MANY_REQUESTS.value}" in tried.rpartition("; ")[2]:
        return ConfigurationError(f"Account {label} ({account.username}) cannot log in: {tried}. {LIMITED}")
    return ConfigurationError(
        f"Account {label} ({account.username}) cannot log in: {tried}. "
        f"Check the user name and {variable or 'the password'}, or say in [[login]] how people log in."
    )
