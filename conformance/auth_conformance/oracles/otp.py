"""One-time passwords by time (RFC 6238), as an authenticator app reckons them from what it was shown."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_SEED = re.compile(r"[A-Z2-7]{16,128}=*")
_DIGESTS = ("sha1", "sha256", "sha512")
# A 31-bit number has no more (RFC 4226 §5.3).
_DIGITS = ("4", "5", "6", "7", "8", "9", "10")
_PERIOD = re.compile(r"[1-9]\d{0,3}")


@dataclass(frozen=True, slots=True)
class Seed:
    """What the codes are reckoned from; `period` in seconds."""

    secret: bytes = field(repr=False)
    digits: int = 6
    period: int = 30
    digest: str = "sha1"

    def step(self, now: float) -> int:
        """The number of the period that `now` lies in (RFC 6238 §4.2)."""
        return int(now // self.period)

    def code(self, step: int) -> str:
        """The code of a period (RFC 4226 §5.3)."""
        made = hmac.new(self.secret, struct.pack(">Q", step), self.digest).digest()
        start = made[-1] & 15
        number = struct.unpack(">I", made[start : start + 4])[0] & 0x7FFFFFFF
        return f"{number % 10**self.digits:0{self.digits}d}"


def seed_in(texts: Iterable[str]) -> Seed | None:
    """The seed among the texts of an answer: the address that a QR code shows goes before a bare secret."""
    told = list(texts)
    for text in told:
        if text.startswith("otpauth://totp/"):
            asked = {name: values[0] for name, values in parse_qs(urlsplit(text).query).items()}
            digest = asked.get("algorithm", "SHA1").lower()
            secret = _bytes(asked.get("secret", ""))
            digits, period = asked.get("digits", "6"), asked.get("period", "30")
            if secret is not None and digest in _DIGESTS and digits in _DIGITS and _PERIOD.fullmatch(period):
                return Seed(secret, int(digits), int(period), digest)
    found = [secret for text in told if _SEED.fullmatch(text) and (secret := _bytes(text)) is not None]
    return Seed(found[0]) if len(found) == 1 else None


def _bytes(text: str) -> bytes | None:
    bare = text.replace(" ", "").upper().rstrip("=")
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8)) or None
    except (binascii.Error, ValueError):
        return None
