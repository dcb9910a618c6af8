"""Whether a stored password hash is that of a password that everybody knows (checklist CRD119)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import importlib
import re
from typing import Any

_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$")
_BCRYPT = re.compile(r"\$2[abxy]\$")
# Werkzeug writes salts as text and digests in hex, Django digests in base64, passlib both in a base64 of its own.
_WERKZEUG = re.compile(
    r"(?P<method>scrypt:(?P<n>\d+):(?P<r>\d+):(?P<p>\d+)|pbkdf2:(?P<hash>sha\d+):(?P<count>\d+))"
    r"\$(?P<salt>[^$]+)\$(?P<digest>[0-9a-f]+)"
)
_DJANGO = re.compile(r"pbkdf2_(?P<hash>sha\d+)\$(?P<count>\d+)\$(?P<salt>[^$]+)\$(?P<digest>[\w+/=]+)")
_PASSLIB = re.compile(
    r"\$pbkdf2-(?P<hash>sha\d+)\$(?P<count>\d+)\$(?P<salt>[\w./]+)\$(?P<digest>[\w./]+)", re.IGNORECASE
)
# What passwords are run through before bcrypt sees them.
_BEFORE = ("sha256", "sha384", "sha512")
_BCRYPT_BYTES = 72
_MOST_MEMORY = 256 << 20


def opened_by(stored: str, password: str) -> str | None:
    """What of the password has this hash: "it", or a digest of it; "" for neither, None where that cannot be told."""
    plain = password.encode()
    if (whole := opens(stored, plain)) is not False:
        return "it" if whole else None
    for name in _BEFORE:
        digest = hashlib.new(name, plain)
        raw = digest.digest()
        shapes = {"hex": digest.hexdigest().encode(), "base64": base64.b64encode(raw), "bytes": raw}
        for shape, given in shapes.items():
            # bcrypt takes no NUL, and no more than 72 bytes.
            if opens(stored, given) or (len(given) > _BCRYPT_BYTES and opens(stored, given[:_BCRYPT_BYTES])):
                return f"its {name} in {shape}"
    return ""


def opens(stored: str, password: str | bytes) -> bool | None:
    """Whether `password` has this hash; None for a form that is not known, or a library that is not installed."""
    given = password.encode() if isinstance(password, str) else password
    try:
        if _ARGON2.match(stored):
            return _by_argon2(stored, given)
        if _BCRYPT.match(stored):
            bcrypt = importlib.import_module("bcrypt")
            return bool(bcrypt.checkpw(given, re.sub(r"^\$2[xy]\$", "$2b$", stored).encode()))
        return _by_hashlib(stored, given)
    except (ImportError, ValueError, MemoryError, binascii.Error):
        return None


def _by_argon2(stored: str, given: bytes) -> bool:
    argon2: Any = importlib.import_module("argon2")
    try:
        return bool(argon2.PasswordHasher().verify(stored, given))
    except argon2.exceptions.VerifyMismatchError:
        return False
    except argon2.exceptions.Argon2Error as error:
        raise ValueError(str(error)) from error


def _by_hashlib(stored: str, given: bytes) -> bool | None:
    if found := _WERKZEUG.fullmatch(stored):
        salt, digest = found["salt"].encode(), bytes.fromhex(found["digest"])
        if found["n"]:
            n, r, p = (int(found[name]) for name in ("n", "r", "p"))
            made = hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY, dklen=len(digest))
        else:
            made = hashlib.pbkdf2_hmac(found["hash"], given, salt, int(found["count"]), len(digest))
        return hmac.compare_digest(made, digest)
    if found := _DJANGO.fullmatch(stored):
        salt, digest = found["salt"].encode(), base64.b64decode(found["digest"])
    elif found := _PASSLIB.fullmatch(stored):
        salt, digest = (_passlib(found[name]) for name in ("salt", "digest"))
    else:
        return None
    made = hashlib.pbkdf2_hmac(found["hash"].lower(), given, salt, int(found["count"]), len(digest))
    return hmac.compare_digest(made, digest)


def _passlib(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))
