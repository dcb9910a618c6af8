"""The readings that a text allows: the bytes that it may encode, and the moments that it may tell."""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DAY = 86_400
# A moment may be counted in seconds, milli-, micro- or nanoseconds.
_UNITS = (1, 10**3, 10**6, 10**9)


def decoded(text: str) -> Iterator[tuple[str, bytes]]:
    """Every encoding that `text` is a proper text of, with the bytes: re-encoding gives the text again."""
    if len(text) < 2:
        return
    if len(text) % 2 == 0 and re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", text):
        yield "hexadecimal", bytes.fromhex(text)
    bare = text.rstrip("=")
    if len(text) - len(bare) <= 2 and (raw := _unbase64(bare)) is not None:
        yield "base64", raw
    if len(text) >= 16 and re.fullmatch(r"[A-Z2-7]+|[a-z2-7]+", bare):
        try:
            raw = base64.b32decode(bare.upper() + "=" * (-len(bare) % 8))
        except (binascii.Error, ValueError):
            return
        if base64.b32encode(raw).decode().rstrip("=") == bare.upper():
            yield "base32", raw


def _unbase64(bare: str) -> bytes | None:
    for standard in (False, True):
        if not re.fullmatch(r"[A-Za-z0-9+/]+" if standard else r"[A-Za-z0-9_-]+", bare):
            continue
        urlsafe = bare.translate(str.maketrans("+/", "-_"))
        try:
            raw = base64.urlsafe_b64decode(urlsafe + "=" * (-len(urlsafe) % 4))
        except (binascii.Error, ValueError):
            return None
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") == urlsafe:
            return raw
    return None


def plausible(number: int, at: float) -> bool:
    """Whether `number` is a moment within a day of `at`, in one of the usual units."""
    return any(abs(number - at * unit) <= _DAY * unit for unit in _UNITS)


@dataclass(frozen=True, slots=True)
class Instant:
    """A way of writing a moment into `length` characters."""

    name: str
    length: int
    read: Callable[[str], int | None]


def _of_bytes(order: str) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        try:
            raw = text.encode("latin-1")
        except UnicodeEncodeError:
            return None
        return int.from_bytes(raw, "big" if order == "big" else "little")

    return read


def _of_digits(alphabet: str) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        number = 0
        for character in text:
            place = alphabet.find(character)
            if place < 0:
                return None
            number = number * len(alphabet) + place
        return number

    return read


_HEX = _of_digits(string.digits + "abcdef")
_HEX_UPPER = _of_digits(string.digits + "ABCDEF")
# Seconds fill 4 bytes, milliseconds 6 (UUIDv7, ULID), micro- and nanoseconds 8.
INSTANTS = (
    *(
        Instant(f"{length} bytes, {order}-endian", length, _of_bytes(order))
        for order in ("big", "little")
        for length in (8, 6, 4)
    ),
    *(Instant("hexadecimal", length, read) for read in (_HEX, _HEX_UPPER) for length in (16, 13, 12, 11, 8)),
    Instant("Crockford's base32", 10, _of_digits(_CROCKFORD)),
    Instant("base 36", 8, _of_digits(string.digits + string.ascii_lowercase)),
    Instant("base 36", 6, _of_digits(string.digits + string.ascii_lowercase)),
)
