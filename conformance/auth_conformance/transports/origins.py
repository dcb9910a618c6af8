"""Where the credentials and ids in evidence came from: without it nobody could repeat an attack."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from auth_conformance.model import Exchange, Mailed, Role
from auth_conformance.transports.derivation import digest_of
from auth_conformance.transports.redaction import Redactor

# So many exchanges that may have issued something are remembered, and so many replies to reads: an id may be told
# nowhere else.
ISSUING = 2_000
TELLING = 400
# So many from the beginning of a run are remembered whatever comes: people are met there, and used to its end. And so
# many registrations: what a search of thousands of requests finds at last stands on one of them.
FIRST = 400
REGISTERING = 1_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{12})")
# A value in a JSON body that may be the id of what was created.
_NAME = re.compile(r"(?<![\w.+@-])(?=[\w.+@-]*\d)(?=[\w.+@-]*[A-Za-z])[\w.+@-]{8,254}(?![\w.+@-])")
_ID = re.compile(r':\s*(?:"([\w-]{1,64})"|(\d{1,18})\b)')
# An id that no two things share by chance, as origins are asked for it.
_LONG_ID = re.compile(r"id (?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{12,64}")
# What stands before a secret in a message and is the same in the next one: a parameter's name, a step of a path, words.
_BEFORE = re.compile(
    r"(?:[?&#;][\w.-]{1,24}=|/[A-Za-z_-]{1,24}/|(?:\b[A-Za-z_-]{1,16}[ :.#=]{1,3}){1,3})$", re.ASCII
)


class Origins:
    """Remembers what issued credentials, told ids, and was sent by mail."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._first: list[Exchange] = []
        self._registered: deque[Exchange] = deque(maxlen=REGISTERING)
        self._issued: deque[Exchange] = deque(maxlen=ISSUING)
        self._told: deque[Exchange] = deque(maxlen=TELLING)
        self._mailed: dict[str, tuple[Mailed, Exchange]] = {}

    def keep(self, exchange: Exchange, *, json: bool) -> None:
        """Remember an exchange that succeeded, if later ones may need what it gave."""
        reads = exchange.request.method in ("GET", "HEAD", "OPTIONS")
        if exchange.role is Role.SETUP and not reads:
            if len(self._first) < FIRST:
                self._first.append(exchange)
            elif exchange.label.startswith("register"):
                self._registered.append(exchange)
            else:
                self._issued.append(exchange)
        elif exchange.role is not Role.ATTACK and exchange.request.method == "GET" and json:
            self._told.append(exchange)

    def _all(self) -> list[Exchange]:
        """What issued something, oldest first."""
        return sorted([*self._first, *self._registered, *self._issued], key=lambda item: item.number)

    def learn_mail(self, token: str, address: str, text: str, asked: Exchange | None) -> None:
        """Remember what stands before a secret in a message; `asked` led to it, None: the registration."""
        for exchange in reversed(self._all() if asked is None else []):
            if exchange.label.startswith("register") and address in (exchange.request.body or ""):
                asked = exchange
                break
        before = _BEFORE.search(text.partition(token)[0])
        if asked is None or before is None or self._redactor.text(before[0]) != before[0]:
            return
        digest = digest_of(token)
        digits = len(token) if token.isdecimal() else 0
        self._mailed[digest] = Mailed(digest, address, before[0], asked.number, digits), asked

    def by_mail(self, *texts: str) -> tuple[Mailed, ...]:
        """Which of the secrets in texts as they may be shown came in a message."""
        if not self._mailed:
            return ()
        told = dict.fromkeys(digest for text in texts for digest in _DIGEST.findall(text))
        return tuple(self._mailed[digest][0] for digest in told if digest in self._mailed)

    def of(self, evidence: Iterable[Exchange]) -> tuple[Exchange, ...]:
        """The exchanges that issued the credentials in `evidence`, and those in them, oldest first.

        A password comes from nowhere but the registration that chose it; so does an account that is only named.
        """
        issued = [self._redactor.again(exchange) for exchange in self._all()]
        given = {exchange.number: exchange for exchange in evidence}
        found: dict[int, Exchange] = {}
        open_ones = set[str]().union(*(_asked(exchange) | _named(exchange) for exchange in given.values()))
        known = set[str]()
        while open_ones:
            wanted = open_ones.pop()
            known.add(wanted)
            for source in self._sources(wanted, issued):
                if source.number not in given and source.number not in found:
                    found[source.number] = source
                    mailed = _named(source) if wanted in self._mailed else set()
                    open_ones |= (_asked(source) | mailed) - known
        for exchange in issued:
            # Who registers has to confirm it, where the service asks for that, and no later request says so.
            confirms = exchange.label.startswith("confirm") and exchange.number not in given
            if confirms and any(item.asked in found for item in exchange.request.mailed):
                found[exchange.number] = exchange
        return tuple(found[number] for number in sorted(found))

    def _sources(self, wanted: str, issued: list[Exchange]) -> list[Exchange]:
        """Where a digest, an id or a name came from."""
        source = next((item for item in issued if wanted in _given(item)), None)
        if not wanted.startswith("at "):
            source = source or next((item for item in issued if wanted in _asked(item)), None)
        sources = [source] if source is not None else []
        sources += [self._redactor.again(self._mailed[wanted][1])] if wanted in self._mailed else []
        if _LONG_ID.fullmatch(wanted) and (source is None or wanted in _asked(source)):
            # What acts on a thing echoes its id: a read may have told it first.
            told = (item for item in self._told if wanted in _given(item) - _asked(item))
            sources += [self._redactor.again(item) for item in itertools.islice(told, 1)]
        return sources


def _asked(exchange: Exchange) -> set[str]:
    """What a request needs from earlier replies: digests of credentials, and the ids in its path."""
    request = exchange.request
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    bases = {base for recipe in request.derived for base in recipe.bases}
    made = {recipe.digest for recipe in request.derived}
    digests = {digest for text in texts for digest in _DIGEST.findall(text)} | bases
    return (digests - made) | _path_values(exchange)


def _path_values(exchange: Exchange) -> set[str]:
    path = urlsplit(exchange.request.url).path.split("/")
    template = exchange.operation.partition(" ")[2].split("/")
    if len(path) != len(template):
        return set()
    slots = [
        index
        for index, (value, slot) in enumerate(zip(path, template, strict=True))
        if slot.startswith("{") and value and "sha256:" not in value
    ]
    # A number names many things; below the path at which it was issued it names one.
    return {f"id {path[index]}" for index in slots} | {
        f"at {'/'.join(path[:index])} {path[index]}" for index in slots
    }


def _given(exchange: Exchange) -> set[str]:
    """What a reply gives to later requests."""
    reply = exchange.reply
    texts = [reply.body, *(value for _, value in reply.headers)]
    ids = {f"id {value}" for pair in _ID.findall(reply.body) for value in pair if value}
    names = _named(exchange) if exchange.label.startswith("register") else set()
    place = urlsplit(exchange.request.url).path.rstrip("/")
    there = {f"at {place} {item.removeprefix('id ')}" for item in ids}
    return {digest for text in texts for digest in _DIGEST.findall(text)} | ids | there | names


def _named(exchange: Exchange) -> set[str]:
    """The words of a request that may name an account: the run's accounts have digits in their names."""
    request = exchange.request
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    return {f"name {word}" for text in texts for word in _NAME.findall(unquote(text))}
