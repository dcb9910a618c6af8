"""Guessing an HMAC secret offline: one captured token, no request, a few hundred thousand candidates.

The candidates are published defaults, texts that a missing setting turns into, common passwords with the
decorations that people give them, and words that the service itself shows.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Jwt
from auth_conformance.probe.core import Core

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash as Hash

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
# RFC 7518 §3.2: an HMAC key is at least as long as the hash output, in bytes.
SHORTEST = {"HS256": 32, "HS384": 48, "HS512": 64}
# What a setting becomes that nobody set: the vectors for services that sign with a key pair, too.
UNSET = {
    "the empty text": b"",
    "one NUL": b"\0",
    "32 NULs": bytes(32),
    "64 NULs": bytes(64),
    "the text None": b"None",
    "the text null": b"null",
    "the text undefined": b"undefined",
    "the text False": b"False",
}
_YEARS = [str(year) for year in range(2015, 2028)]
# How people make a word fit a password rule.
_DECORATIONS = [
    *(
        "",
        "!",
        "!!",
        "?",
        "*",
        "#",
        "@",
        "$",
        "_",
        "1",
        "2",
        "3",
        "7",
        "12",
        "123",
        "1234",
        "12345",
        "123456",
    ),
    *(
        "1234567",
        "12345678",
        "123456789",
        "0",
        "00",
        "01",
        "007",
        "69",
        "99",
        "1!",
        "123!",
        "1234!",
        "@1",
        "@123",
    ),
    *("@1234", "#123", "_123", "!1", "!123", "321", "abc", "xyz"),
    *_YEARS,
    *(f"{year}!" for year in _YEARS[-5:]),
]
_SHOUTED = ("", "1", "123", "!", "2024", "2025")
# What people call a key when they name it after the service.
_ROLES = [
    "secret",
    "secret key",
    "key",
    "jwt",
    "jwt secret",
    "jwt secret key",
    "jwt key",
    "token",
    "token secret",
]
_ROLES += ["auth", "auth secret", "api key", "api secret", "app secret", "signing key", "password"]
_ROLES += ["dev", "dev secret", "test", "test secret", "prod", "local", "super secret", "super secret key"]
_JOINTS = ("", "-", "_")
_HEX = re.compile(r"[0-9a-fA-F]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")
# From this length on a text may be base64 whose padding was left out; a dictionary word is not.
_LONG = 20
# Of the names that the service shows only the first so many: each makes a thousand candidates.
_MOST = 16
_INNER = bytes(value ^ 0x36 for value in range(256))
_OUTER = bytes(value ^ 0x5C for value in range(256))
_COMMON = "a common password"
_NEVER = re.compile(r"^(?:https?|www|com|org|net|io|the|and|of|v\d+|api|app)$")


@dataclass(frozen=True, slots=True)
class Guess:
    """A secret that made the signature, and what kind of candidate it was. `tried` counts byte texts."""

    secret: bytes
    kind: str
    tried: int


@dataclass(frozen=True, slots=True)
class Guesses:
    """What came of guessing: the hit if there was one, and how many different secrets were tried."""

    hit: Guess | None
    tried: int


@cache
def published() -> tuple[str, ...]:
    """Secrets that are printed somewhere (`data/hmac_secrets.txt`)."""
    lines = _data("hmac_secrets.txt").splitlines()
    return tuple(line.partition("\t#")[0] for line in lines if line and not line.startswith("# "))


@cache
def common_words() -> tuple[str, ...]:
    """Words that people build passwords from (`data/common_words.txt`), each once."""
    lines = [line for line in _data("common_words.txt").splitlines() if not line.startswith("#")]
    return tuple(dict.fromkeys(" ".join(lines).split()))


def common_passwords() -> Iterator[str]:
    """About a hundred thousand passwords: common words in the usual cases with the usual decorations."""
    for word in common_words():
        for case in dict.fromkeys((word, word.capitalize())):
            yield from (case + decoration for decoration in _DECORATIONS)
        if word != word.upper():
            yield from (word.upper() + decoration for decoration in _SHOUTED)


def derived(words: Iterable[str]) -> Iterator[str]:
    """Secrets that are made from names: joined with what a key is called, with years, in the usual cases."""
    for name in dict.fromkeys(name for word in words for name in _spelt(word)):
        yield from (name + decoration for decoration in _DECORATIONS)
        yield from (f"{name}{joint}{year}" for joint in _JOINTS for year in _YEARS)
        for role, joint in itertools.product(_ROLES, _JOINTS):
            tail = joint.join(role.split())
            for text in (f"{name}{joint}{tail}", f"{tail}{joint}{name}"):
                yield text
                yield text.upper()
                yield from (f"{text}{joint}{end}" for end in ("123", *_YEARS[-3:]))


def unset() -> Iterator[bytes]:
    """What a missing setting turns into, and keys of nothing but NULs, 1 to 64 of them."""
    yield from UNSET.values()
    yield from (bytes(count) for count in range(1, 65))


def spellings(text: str) -> Iterator[bytes]:
    """The byte texts that a configured text may become: as it is, stripped, with a newline, decoded."""
    raw = text.encode("utf-8", "surrogatepass")
    yield raw
    yield raw + b"\n"
    if text != text.strip():
        yield raw.strip()
    if len(text) % 2 == 0 and _HEX.fullmatch(text):
        yield bytes.fromhex(text)
    if len(text) % 4 == 0 and _BASE64.fullmatch(text):
        yield base64.b64decode(text.translate(_URL_SAFE))
    elif len(text) >= _LONG and _BASE64.fullmatch(text):
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4))


def _hmac(secret: bytes, message: bytes, hashed: Callable[[bytes], Hash], block: int) -> bytes:
    # RFC 2104 by hand: half the time of `hmac.digest`, whose set-up costs more than these short texts.
    if len(secret) > block:
        secret = hashed(secret).digest()
    padded = secret.ljust(block, b"\0")
    return hashed(padded.translate(_OUTER) + hashed(padded.translate(_INNER) + message).digest()).digest()


def guess(token: Jwt, words: Iterable[str] = ()) -> Guesses:
    """Look for the secret that made the signature of an HS* token. `words` come from the target."""
    hashed, message, wanted = HASHES[token.algorithm], token.signing_input, token.signature
    block = hashed(b"").block_size
    seen: set[bytes] = set()
    for kind, secret in _named(words):
        if secret in seen:
            continue
        seen.add(secret)
        if _hmac(secret, message, hashed, block) == wanted:
            return Guesses(Guess(secret, kind, len(seen)), len(seen))
    tried = len(seen)
    for secret in _common():
        # Each of them comes once: to note two hundred thousand would take twenty mebibytes.
        if secret in seen:
            continue
        tried += 1
        if _hmac(secret, message, hashed, block) == wanted:
            return Guesses(Guess(secret, _COMMON, tried), tried)
    return Guesses(None, tried)


def known_kind(secret: bytes, words: Iterable[str] = ()) -> str | None:
    """Which kind of candidate a known secret is; None when it is none of them."""
    return next((kind for kind, candidate in _candidates(words) if candidate == secret), None)


def _candidates(words: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    yield from _named(words)
    for secret in _common():
        yield _COMMON, secret


def _named(words: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for secret in unset():
        yield "what a missing setting turns into", secret
    for kind, texts in (
        ("a published sample", published()),
        ("made from names that the service shows", derived(words)),
    ):
        for text in texts:
            for secret in spellings(text):
                yield kind, secret


def cookie_secrets(words: Iterable[str]) -> Iterator[tuple[str, bytes, bool]]:
    """The same candidates; for the many common passwords rare ways to derive a key are not worth the time."""
    for kind, secret in _candidates(words):
        yield kind, secret, kind != _COMMON


def _common() -> Iterator[bytes]:
    """The byte texts of the common passwords, each once."""
    texts, lengths = _packed()
    start = 0
    for length in lengths:
        yield texts[start : start + length]
        start += length


@cache
def _packed() -> tuple[bytes, bytes]:
    """The common byte texts end to end, and how long each is: a tenth of what as many objects take."""
    found = dict.fromkeys(secret for text in common_passwords() for secret in spellings(text))
    texts = bytearray()
    for text in found:  # `join` would hold a buffer of 80 bytes for each
        texts += text
    return bytes(texts), bytes(map(len, found))


def _spelt(word: str) -> Iterator[str]:
    parts = [part for part in re.split(r"[\W_]+", word) if part]
    yield word
    yield from (joint.join(parts).lower() for joint in _JOINTS)
    yield "_".join(parts).upper()
    yield "".join(part.capitalize() for part in parts)


def _data(name: str) -> str:
    return resources.files("auth_conformance").joinpath("data", name).read_text("utf-8")


class Guessing(Core):
    """Offline guesses against a token of this target."""

    def own_words(self, token: Jwt) -> tuple[str, ...]:
        """Names that the target shows to everybody: title, host, modules, schemes, issuer, audience."""
        address = urlsplit(self.target.address if "//" in self.target.address else f"//{self.target.address}")
        texts = [self.target.title, address.hostname or "", *re.split(r"[:/]", self.target.address)]
        for name in ("iss", "aud"):
            value = token.claims.get(name)
            texts += value if isinstance(value, list) else [value] if value else []
        texts += [carrier.scheme for carrier in self.target.carriers]
        found: dict[str, None] = {}
        for text in texts:
            if not isinstance(text, str):
                continue
            for word in (text, *re.split(r"[\W_]+", text)):
                if 2 < len(word) < 40 and not _NEVER.match(word.lower()):
                    found[word] = None
        return tuple(found)[:_MOST]

    async def guessed(self, token: Jwt) -> Guesses:
        """Guess away from the event loop: other checks run meanwhile."""
        return await asyncio.to_thread(guess, token, self.own_words(token))
