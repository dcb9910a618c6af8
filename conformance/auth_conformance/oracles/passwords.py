"""How a password stands in storage: hidden by something that anybody undoes, or hashed, and how well."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import zlib
from dataclasses import dataclass
from itertools import pairwise

# No value is inflated to more than this.
INFLATED = 1 << 20
SALT_BITS = 32  # NIST SP 800-63B-4 §3.1.1.2
_ARGON2 = re.compile(
    r"\$argon2(?P<kind>id|i|d)\$v=\d+\$m=(?P<m>\d+),t=(?P<t>\d+),p=(?P<p>\d+)\$(?P<salt>[^$]+)\$"
)
_BCRYPT = re.compile(r"\$2[abxy]\$(?P<cost>\d\d)\$(?P<salt>.{22}).{31}")
_SCRYPT = re.compile(
    r"(?:\$scrypt\$ln=(?P<ln>\d+),r=(?P<r>\d+),p=(?P<p>\d+)\$(?P<salt>[^$]+)\$|scrypt:(?P<n>\d+):(?P<r2>\d+):(?P<p2>\d+)\$(?P<salt2>[^$]+)\$)"
)
_PBKDF2 = re.compile(r"\$?pbkdf2[_:-](?P<hash>sha\d+)[:$](?P<count>\d+)\$(?P<salt>[^$]+)\$", re.IGNORECASE)
_CRYPT = re.compile(r"\$(?P<kind>1|5|6|apr1|md5|H|P)\$")
_PBKDF2_LEAST = {"sha1": 1_300_000, "sha256": 600_000, "sha512": 210_000}
_ARGON2_LEAST = {1: 47_104, 2: 19_456, 3: 12_288}
_SCRYPT_LEAST = {1: 17, 2: 16, 3: 15}
BCRYPT_LEAST = 10


@dataclass(frozen=True, slots=True)
class Hash:
    """A stored password hash: family, salt as written, and what is too weak about its costs ("" for nothing)."""

    family: str
    salt: str
    weakness: str = ""
    wrong_family: bool = False


def parse_hash(text: str) -> Hash | None:
    """Read a hash in modular crypt or PHC form; None for what is none."""
    if match := _ARGON2.match(text):
        memory, passes = int(match["m"]), int(match["t"])
        least = _ARGON2_LEAST[min(max(passes, 1), 3)]
        weak = f"{memory} KiB at {passes} passes, {least} KiB is the least" if memory < least else ""
        return Hash(f"argon2{match['kind']}", match["salt"], weak)
    if match := _BCRYPT.match(text):
        cost = int(match["cost"])
        weak = f"cost {cost}, {BCRYPT_LEAST} is the least" if cost < BCRYPT_LEAST else ""
        return Hash("bcrypt", match["salt"], weak)
    if match := _SCRYPT.match(text):
        power = int(match["ln"]) if match["ln"] else int(match["n"]).bit_length() - 1
        lanes = min(max(int(match["p"] or match["p2"]), 1), 3)
        weak = (
            f"N = 2^{power} at p = {lanes}, 2^{_SCRYPT_LEAST[lanes]} is the least"
            if power < _SCRYPT_LEAST[lanes]
            else ""
        )
        return Hash("scrypt", match["salt"] or match["salt2"], weak)
    if match := _PBKDF2.match(text):
        count, name = int(match["count"]), match["hash"].lower()
        least = _PBKDF2_LEAST.get(name, 600_000)
        weak = f"{count} rounds of {name}, {least} is the least" if count < least else ""
        return Hash("PBKDF2", match["salt"], weak)
    if match := _CRYPT.match(text):
        return Hash(
            f"crypt ${match['kind']}$", text.split("$")[2] if text.count("$") > 2 else "", wrong_family=True
        )
    return None


def salt_bits(found: Hash) -> int:
    """How many bits a salt can hold at most, by its length as written."""
    return len(found.salt.rstrip("=")) * 6


def hidden(secret: str, value: str | bytes) -> str:
    """How a secret is hidden in a value by something that needs no key to undo; "" where it is not."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    plain = secret.encode("utf-8", "surrogatepass")
    text = value if isinstance(value, str) else value.decode("latin-1")
    if codecs.encode(secret, "rot13").casefold() in text.casefold():
        return "with its letters rotated"
    for data in (raw, *_decoded(text)):
        if _differences(plain) in _differences(data) and len(data) >= len(plain):
            return "XORed with one byte"
        if (inflated := _inflated(data)) is not None and plain in inflated:
            return "compressed"
    return ""


def _differences(data: bytes) -> bytes:
    # XOR with one byte changes no difference between neighbours.
    return bytes(one ^ other for one, other in pairwise(data))


def _decoded(text: str) -> list[bytes]:
    found = []
    for decode in (bytes.fromhex, lambda item: base64.b64decode(item + "==", validate=False)):
        try:
            found.append(decode(text))
        except (ValueError, binascii.Error):
            continue
    return found


def _inflated(data: bytes) -> bytes | None:
    for wbits in (15, 31, -15):
        try:
            return zlib.decompressobj(wbits).decompress(data, INFLATED)
        except zlib.error:
            continue
    return None
