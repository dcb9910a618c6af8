"""What an issued token tells whoever reads it: everybody can (checklist TOK213)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.disclosure import is_slow_hash

# More members of its own than this, and a token is a row of the database (checklist TOK213).
MOST_MEMBERS = 15
# Claims that are registered (IANA, OpenID Connect Core §2 and §5.1, RFC 9068): they are no row's columns.
REGISTERED = frozenset(
    (
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "at_hash", "c_hash"),
        *("acr", "amr", "sid", "scope", "client_id", "typ", "token_type", "type", "act", "may_act", "cnf"),
        *("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile"),
        *("picture", "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale"),
        *(
            "phone_number",
            "phone_number_verified",
            "address",
            "updated_at",
            "roles",
            "groups",
            "entitlements",
        ),
    )
)
_SECRET_NAME = re.compile(
    r"passw|secret|api_?key|private_?key|(?:^|_)salt$|(?:^|_)pin$|hashed", re.IGNORECASE
)
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|^\+\d{7,15}$")


def secrets_in(claims: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """What no token may tell, in words; `known` are secrets of the holder by what they are called."""
    found = []
    for name, text in _texts(claims):
        for reading in (text, *_decoded(text)):
            found += [f"{name} holds {what}" for what, secret in known.items() if leaked(secret, reading)]
            if is_slow_hash(reading):
                found.append(f"{name} holds the hash of a password")
        if _SECRET_NAME.search(name.rsplit("/", 1)[-1]) and text:
            found.append(f"{name} holds what its name says")
    return list(dict.fromkeys(found))


def columns(claims: Mapping[str, Any]) -> int:
    """How many members of the service's own stand in the claims, or in one object among them."""
    objects = [claims, *(value for value in claims.values() if isinstance(value, dict))]
    return max(len(set(item) - REGISTERED) for item in objects)


def personal(claims: Mapping[str, Any]) -> list[str]:
    """The claims that hold an e-mail address or a telephone number."""
    return [name for name, text in _texts(claims) if _PERSONAL.search(text)]


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{name}/{key}" if name else str(key))
    elif isinstance(value, list):
        for item in value[:100]:
            yield from _texts(item, name)


def _decoded(text: str) -> Iterator[str]:
    # A dump inside a claim is encoded once, so it is decoded once.
    if len(text) >= 16 and re.fullmatch(r"[\w+/=-]+", text):
        try:
            yield base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==").decode(
                "utf-8", "replace"
            )
        except ValueError:
            return
