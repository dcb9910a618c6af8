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
from urllib.parse import unquote

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


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value taken apart: the signed text, the signature, how it is written, and the digest that it needs."""

    body: str
    separator: str
    signature: bytes
    digest: str
    written: str

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
    plain = unquote(value.strip('"'))
    plain = plain.removeprefix("s:")
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
                return Sealed(body, separator, raw, _DIGESTS[len(raw)], written)
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


def crack(value: Sealed, candidates: Iterable[tuple[str, bytes, bool]]) -> tuple[Hit | None, int]:
    """Look for the secret. Candidates are kind, secret, and whether the rare recipes are worth the time too."""
    usual = [item for item in recipes() if item.name in _USUAL]
    every = recipes()
    message = value.body.encode("utf-8", "surrogatepass")
    tried = 0
    seen: set[bytes] = set()
    for kind, secret, thorough in candidates:
        if secret in seen:
            continue
        seen.add(secret)
        tried += 1
        for recipe in every if thorough else usual:
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
    return f"{body}{value.separator}{text}"


def later(body: str, now: float | None = None) -> str:
    """The same body with the time that itsdangerous writes behind the payload set to now; unchanged without one."""
    payload, dot, stamp = body.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9_-]{5,8}", stamp):
        return body
    moment = int(time.time() if now is None else now)
    raw = moment.to_bytes((moment.bit_length() + 7) // 8, "big")
    return f"{payload}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
