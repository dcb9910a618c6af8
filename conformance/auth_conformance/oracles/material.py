"""Stored credentials in a reply: what a password or a secret is kept as, by its form or by the member's name."""

from __future__ import annotations

import re
from typing import Any

from auth_conformance.oracles.standing import flattened

# The forms in which password hashes are stored (PHC strings, modular crypt, Werkzeug, Django).
_STORED = {
    "a bcrypt hash": re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    "an Argon2 hash": re.compile(r"\$argon2(?:id|i|d)\$(?:v=\d+\$)?m=\d+"),
    "a scrypt hash": re.compile(r"\$scrypt\$|\bscrypt:\d+:\d+:\d+\$|\$7\$[./A-Za-z0-9]{20}"),
    "a PBKDF2 hash": re.compile(r"\bpbkdf2(?:_sha\d+|:sha\d+|-sha\d+)[:$]|\$pbkdf2(?:-sha\d+)?\$\d+"),
    "a crypt hash": re.compile(r"\$[156y]\$[./A-Za-z0-9=,$]{8,}\$[./A-Za-z0-9]{20}"),
    "a salted SHA hash": re.compile(
        r"\b(?:sha1|sha256|sha512)\$[A-Za-z0-9+/=.]{4,}\$[A-Fa-f0-9A-Za-z+/=]{20}"
    ),
}
_HEX = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z", re.IGNORECASE)
# Alone, hexadecimal digits prove nothing: ids and ETags have them, too.
_NAMES = re.compile(r"password|passwd|pwd|hash|digest|secret|salt", re.IGNORECASE)
_INNOCENT = re.compile(
    r"etag|checksum|file|content|commit|csrf|avatar|gravatar|image|block|tx|transaction", re.IGNORECASE
)


def stored_material(document: Any, text: str) -> list[tuple[str, str]]:
    """Where `document` (or its `text`, when it is no JSON) shows a stored credential: pointer, and what it is."""
    if document is None:
        return [("", what) for what, form in _STORED.items() if form.search(text)]
    found: list[tuple[str, str]] = []
    for pointer, value in flattened(document).items():
        if not isinstance(value, str):
            continue
        what = next((what for what, form in _STORED.items() if form.search(value)), None)
        name = pointer.rsplit("/", 1)[-1]
        if what is None and _HEX.match(value) and _NAMES.search(name) and not _INNOCENT.search(pointer):
            what = f"{len(value)} hexadecimal digits named {name}"
        if what is not None:
            found.append((pointer, what))
    return found
