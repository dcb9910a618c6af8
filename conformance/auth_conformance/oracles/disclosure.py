"""How a secret stands in stored values: as it is, encoded, in part, or as a digest (checklist §1.1, STO104)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from auth_conformance.oracles.canary import spellings

# A part of a secret that is this long does not stand somewhere by chance.
WINDOW = 12
FAST = ("sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s")
BROKEN = ("md5", "sha1")
# How slow password hashes begin (modular crypt format): their parameters and salt stand in the text.
SLOW = (
    "$argon2id$",
    "$argon2i$",
    "$argon2d$",
    "$2a$",
    "$2b$",
    "$2y$",
    "$scrypt$",
    "$7$",
    "pbkdf2",
    "$pbkdf2",
    "scrypt:",
)


class Form(Enum):
    """What a stored value lets its reader do with the secret."""

    CLEAR = "in clear"
    ENCODED = "encoded"
    PART = "in part"
    BROKEN_DIGEST = "as a broken digest"
    FAST_DIGEST = "as a fast digest"
    SLOW_DIGEST = "as a slow digest"


@dataclass(frozen=True, slots=True)
class Trace:
    """One way in which a secret stands in a value. `length` counts characters of the secret that show."""

    form: Form
    how: str
    length: int = 0


class Search:
    """Looks for one secret. `keys` are secrets with which the application may compute MACs."""

    def __init__(self, secret: str, keys: Sequence[bytes] = ()) -> None:
        self.secret = secret
        self._raw = secret.encode("utf-8", "surrogatepass")
        self._readable = [
            (how, spelling, spelling.casefold() if "base64" not in how else None)
            for how, spelling in (*spellings(secret), ("backwards", secret[::-1]))
            if " digest" not in how and len(spelling) >= WINDOW
        ]
        self._bytes = _decoded(secret)
        self._digests = [
            (form, how, _texts(digest), digest)
            for material in (self._raw, *self._bytes)
            for form, how, digest in _plain_digests(material, keys)
        ]

    def traces(self, value: str | bytes, salts: Sequence[bytes] = ()) -> list[Trace]:
        """Return every way in which the secret stands in `value`; `salts` are other values of the same row."""
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        found = []
        if how := self._how_readable(text):
            form = Form.CLEAR if how == "as it is" else Form.ENCODED
            found.append(Trace(form, how, len(self.secret)))
        elif any(decoded in raw or decoded.hex() in text.lower() for decoded in self._bytes):
            found.append(Trace(Form.ENCODED, "the bytes that it spells", len(self.secret)))
        elif (length := shared(self.secret, text)) >= WINDOW:
            found.append(Trace(Form.PART, f"{length} characters of it", length))
        salted = ((form, how, _texts(digest), digest) for form, how, digest in _salted(self._raw, salts))
        for form, how, texts, digest in itertools.chain(self._digests, salted):
            if digest in raw or any(spelling in text for spelling in texts):
                found.append(Trace(form, how))
                break
        return found

    def _how_readable(self, text: str) -> str | None:
        folded = text.casefold()
        for how, spelling, without_case in self._readable:
            if spelling in text or (without_case is not None and without_case in folded):
                return how
        return None


def _decoded(secret: str) -> list[bytes]:
    """The bytes that a secret spells in hex or base64: a column of bytes may hold them, or their digest."""
    found = []
    for decode in (bytes.fromhex, base64.urlsafe_b64decode, base64.b64decode):
        try:
            decoded = decode(secret if decode is bytes.fromhex else secret + "=" * (-len(secret) % 4))
        except ValueError:
            continue
        if len(decoded) >= WINDOW:
            found.append(decoded)
    return list(dict.fromkeys(found))


def shared(secret: str, text: str) -> int:
    """How many characters of `secret` stand in `text` in one piece; 0 below `WINDOW`."""
    longest = 0
    for start in range(len(secret) - WINDOW + 1):
        end = start + max(WINDOW, longest + 1)
        while end <= len(secret) and secret[start:end] in text:
            longest = end - start
            end += 1
    return longest


def is_slow_hash(value: str | bytes) -> bool:
    """Whether a value is the output of a password hash: made to be slow, with its salt in it."""
    return isinstance(value, str) and value.startswith(SLOW)


def _plain_digests(secret: bytes, keys: Sequence[bytes]) -> Iterator[tuple[Form, str, bytes]]:
    for names, form in ((BROKEN, Form.BROKEN_DIGEST), (FAST, Form.FAST_DIGEST)):
        for name in names:
            yield form, name, hashlib.new(name, secret, usedforsecurity=False).digest()
    for key in keys:
        for name in ("sha256", "sha384", "sha512"):
            yield Form.FAST_DIGEST, f"HMAC-{name} under a key of the service", hmac.digest(key, secret, name)


def _salted(secret: bytes, salts: Sequence[bytes]) -> Iterator[tuple[Form, str, bytes]]:
    for salt in salts:
        for names, form in ((BROKEN, Form.BROKEN_DIGEST), (("sha256", "sha512"), Form.FAST_DIGEST)):
            for name in names:
                for mixed in (salt + secret, secret + salt):
                    yield form, f"salted {name}", hashlib.new(name, mixed, usedforsecurity=False).digest()
                yield form, f"HMAC-{name} with a value of the row", hmac.digest(salt, secret, name)


def _texts(digest: bytes) -> tuple[str, ...]:
    standard = base64.b64encode(digest).decode().rstrip("=")
    return digest.hex(), digest.hex().upper(), standard, standard.translate(str.maketrans("+/", "-_"))


def gravest(traces: Sequence[tuple[str, Trace]]) -> tuple[str, Trace] | None:
    """Return the worst trace and the place where it stands; None when there is none."""
    order = list(Form)
    return min(traces, key=lambda item: (order.index(item[1].form), -item[1].length), default=None)
