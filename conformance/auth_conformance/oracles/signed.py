"""Signed cookies: which secret made the signature, tried offline (checklist SES109).

The formats are those of itsdangerous (Starlette, Flask), Django, Rails, Express, Tornado and of everybody who joins an
id and a MAC. What differs is how the key comes from the secret, and which digest is used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, unquote

_DIGESTS = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
_SEPARATORS = ("--", ".", ":", "|")
# itsdangerous' own, Starlette's, Flask's and Django's.
_SALTS = (
    b"itsdangerous.Signer",
    b"cookie-session",
    b"itsdangerous",
    b"django.contrib.sessions.backends.signed_cookies",
    b"django.core.signing.Signer",
)
# Rails' `signed_cookie_salt`, and how often its key generator hashes.
_RAILS, _ROUNDS = b"signed cookie", 1_000
# So many candidates are stretched as Rails does, a few milliseconds each: the published ones are among them.
_STRETCHED = 1_600


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value taken apart: the signed text, the signature, how it is written, and the digest that it needs.

    `prefix` stands before the signed text and is not signed; `quoted` says that all of it travels percent-encoded.
    """

    body: str
    separator: str
    signature: bytes
    digest: str
    written: str
    prefix: str = ""
    quoted: bool = False

    def __repr__(self) -> str:
        return f"Sealed({len(self.body)} characters, {self.digest})"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a secret becomes the key of the MAC."""

    name: str
    derive: Callable[[bytes, str], bytes]


@dataclass(frozen=True, slots=True)
class Hit:
    """The secret, the recipe, the kind of candidate, and how many were tried."""

    secret: bytes
    recipe: Recipe
    kind: str
    tried: int


def unseal(value: str) -> Sealed | None:
    """Take a signed value apart; None when nothing in it has the length of a MAC."""
    bare = value.strip('"')
    plain = unquote(bare)
    # cookie-signature, which Express and its sessions use: "s:" says that what follows is signed.
    prefix = "s:" if plain.startswith("s:") else ""
    quoted, plain = plain != bare, plain.removeprefix(prefix)
    for separator in _SEPARATORS:
        body, found, text = plain.rpartition(separator)
        if not found or not body:
            continue
        for written, raw in _written(text):
            # Rails, which alone uses two hyphens, writes its MAC in hexadecimal: base64url has hyphens of its own.
            if len(raw) in _DIGESTS and (separator != "--" or written == "hex"):
                if separator == "|" and body.startswith("2|"):
                    # Tornado signs the bar before the signature, too.
                    return Sealed(f"{body}|", "", raw, _DIGESTS[len(raw)], written)
                return Sealed(body, separator, raw, _DIGESTS[len(raw)], written, prefix, quoted)
    return None


def _written(text: str) -> Iterator[tuple[str, bytes]]:
    if len(text) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", text):
        yield "hex", bytes.fromhex(text)
    bare = text.rstrip("=")
    if re.fullmatch(r"[A-Za-z0-9_+/-]+", bare):
        try:
            raw = base64.urlsafe_b64decode(bare.translate(str.maketrans("+/", "-_")) + "=" * (-len(bare) % 4))
        except (binascii.Error, ValueError):
            return
        yield ("base64url" if not set(bare) & set("+/") else "base64"), raw


def recipes() -> tuple[Recipe, ...]:
    """The ways from secret to key, the usual ones first."""
    found = [
        Recipe("the secret itself", lambda secret, _: secret),
        *(
            Recipe(
                f"django-concat with salt {salt.decode()}",
                lambda secret, name, salt=salt: hashlib.new(name, salt + b"signer" + secret).digest(),  # type: ignore[misc]
            )
            for salt in _SALTS
        ),
        *(
            Recipe(
                f"hmac with salt {salt.decode()}",
                lambda secret, name, salt=salt: hmac.digest(secret, salt, name),  # type: ignore[misc]
            )
            for salt in _SALTS[:3]
        ),
        *(
            Recipe(
                f"concat with salt {salt.decode()}",
                lambda secret, name, salt=salt: hashlib.new(name, salt + secret).digest(),  # type: ignore[misc]
            )
            for salt in _SALTS[:3]
        ),
    ]
    return tuple(found)


def _stretching(value: Sealed) -> Iterator[Recipe]:
    """How Rails makes the key of `cookies.signed`."""
    if value.separator == "--":
        # ActiveSupport::KeyGenerator with the salt of `cookies.signed`; its digest was SHA-1 until Rails 7.
        for digest in ("sha1", "sha256"):
            yield Recipe(f"Rails' key generator ({digest})", partial(_generated, digest))


def _generated(digest: str, secret: bytes, _: str) -> bytes:
    return hashlib.pbkdf2_hmac(digest, secret, _RAILS, _ROUNDS, 64)


def _naming(value: Sealed, name: str) -> Iterator[Recipe]:
    """How Django makes the key of a signed cookie that is no session."""
    if value.separator == ":" and name:
        # `HttpResponse.set_signed_cookie`: the salt is the cookie's name.
        salt = name.encode() + b"signer" + b"django.http.cookies"
        yield Recipe(
            "Django's signed cookies", lambda secret, digest: hashlib.new(digest, salt + secret).digest()
        )


def crack(
    value: Sealed, candidates: Iterable[tuple[str, bytes, bool]], name: str = ""
) -> tuple[Hit | None, int]:
    """Look for the secret. Candidates are kind, secret, and whether the rare recipes are worth the time too.

    `name` is the cookie's, which some frameworks mix in.
    """
    usual = [item for item in recipes() if item.name in _USUAL]
    every, slow = (*recipes(), *_naming(value, name)), tuple(_stretching(value))
    message = value.body.encode("utf-8", "surrogatepass")
    tried = 0
    seen: set[bytes] = set()
    for kind, secret, thorough in candidates:
        if secret in seen:
            continue
        seen.add(secret)
        tried += 1
        # What is stretched takes a thousand times as long: the candidates that come first have it tried.
        ways = (*every, *slow) if thorough and tried <= _STRETCHED else every if thorough else usual
        for recipe in ways:
            if hmac.digest(recipe.derive(secret, value.digest), message, value.digest) == value.signature:
                return Hit(secret, recipe, kind, tried), tried
    return None, tried


_USUAL = (
    "the secret itself",
    "django-concat with salt itsdangerous.Signer",
    "hmac with salt cookie-session",
)


def sign(value: Sealed, body: str, hit: Hit) -> str:
    """A value with another body, signed with the secret that was found."""
    raw = hmac.digest(hit.recipe.derive(hit.secret, value.digest), body.encode(), value.digest)
    match value.written:
        case "hex":
            text = raw.hex()
        case "base64":
            text = base64.b64encode(raw).decode().rstrip("=")
        case _:
            text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    whole = f"{value.prefix}{body}{value.separator}{text}"
    return quote(whole, safe="-_.!~*'()") if value.quoted else whole


def later(body: str, now: float | None = None) -> str:
    """The same body with the time that itsdangerous writes behind the payload set to now; unchanged without one."""
    payload, dot, stamp = body.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9_-]{5,8}", stamp):
        return body
    moment = int(time.time() if now is None else now)
    raw = moment.to_bytes((moment.bit_length() + 7) // 8, "big")
    return f"{payload}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
