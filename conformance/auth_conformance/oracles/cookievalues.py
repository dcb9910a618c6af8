"""What a cookie's value says to whoever holds it: data that it carries, and how it was written down.

A reference says nothing: it reads as chance. Everything else can be taken apart here, edited, and written
down again in the same way, without the signature that may stand beside it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

# What signing libraries put between payload, time and signature: itsdangerous and JWT, Django, Rails, Tornado.
_SEPARATORS = (".", ":", "--", "|")
_SHORTEST = 4
_INFLATED = 1 << 18
# So many readable characters in a row are text; decoded chance has them once in a million times.
_TEXT = 12
_SEALS = {
    "a Fernet token": re.compile(r"gAAAA[A-Za-z0-9_-]{60,}={0,2}"),
    "an encrypted JWT": re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+"),
    "Rails' encrypted cookie": re.compile(r"[A-Za-z0-9+/=]{40,}--[A-Za-z0-9+/=]{16}--[A-Za-z0-9+/=]{24}"),
    "iron-session": re.compile(r"Fe26\.2\*.+"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """Data found in a value: `how` it was written, the text, its JSON, and a way to write another text there.

    `rewrite` leaves everything else as it was, signatures too.
    """

    how: str
    text: str
    data: Any
    rewrite: Callable[[str], str]

    def __repr__(self) -> str:
        return f"Reading({self.how}, {len(self.text)} characters)"


def sealed(value: str) -> str | None:
    """What encrypted format the value has, in words; None when it shows none."""
    return next((name for name, pattern in _SEALS.items() if pattern.fullmatch(_plain(value))), None)


def _plain(value: str) -> str:
    """The value as it was meant: what is data already holds no percent-encoding but its own."""
    bare = value.strip('"')
    return bare if _is_container(bare) else unquote(bare)


def readings(value: str) -> list[Reading]:
    """Everything legible in a value, outermost first; empty for a reference, and for what is encrypted."""
    plain = _plain(value)
    if sealed(value) is not None:
        return []
    found = []
    if _is_container(plain):
        # Quotes and commas travel percent-encoded when they came so.
        written = quote if plain != value.strip('"') else str
        found.append(Reading("in clear", plain, json.loads(plain), written))
    for before, part, after in _parts(plain):
        for how, text, write in _decodings(part):
            data = _json(text)
            if isinstance(data, dict | list) or _is_text(text):
                found.append(
                    Reading(
                        how,
                        text,
                        data if isinstance(data, dict | list) else None,
                        lambda other, b=before, w=write, a=after: b + w(other) + a,  # type: ignore[misc]
                    )
                )
    return found


def _parts(plain: str) -> Iterator[tuple[str, str, str]]:
    """The value whole, then each part between separators, with what stands before and behind it."""
    yield "", plain, ""
    for separator in _SEPARATORS:
        if separator not in plain:
            continue
        parts = plain.split(separator)
        for index, part in enumerate(parts):
            if len(part) >= _SHORTEST:
                before = separator.join(parts[:index]) + (separator if index else "")
                after = separator.join(["", *parts[index + 1 :]])
                yield before, part, after


def _decodings(part: str) -> Iterator[tuple[str, str, Callable[[str], str]]]:
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", part):
        raw = bytes.fromhex(part)
        if (text := _utf8(raw)) is not None:
            yield "in hexadecimal", text, lambda other: other.encode().hex()
    bare = part.rstrip("=")
    padding = len(part) - len(bare)
    for name, alphabet in (("base64url", r"[A-Za-z0-9_-]+"), ("base64", r"[A-Za-z0-9+/]+")):
        if padding > 2 or not re.fullmatch(alphabet, bare):
            continue
        try:
            raw = base64.urlsafe_b64decode(bare.translate(str.maketrans("+/", "-_")) + "=" * (-len(bare) % 4))
        except (binascii.Error, ValueError):
            continue
        yield from _packed(raw, name, padded=padding > 0)
        return


def _packed(raw: bytes, name: str, *, padded: bool) -> Iterator[tuple[str, str, Callable[[str], str]]]:
    def write(data: bytes) -> str:
        encoded = base64.b64encode(data) if name == "base64" else base64.urlsafe_b64encode(data)
        text = encoded.decode()
        return text if padded else text.rstrip("=")

    if (text := _utf8(raw)) is not None:
        yield f"in {name}", text, lambda other: write(other.encode())
    elif (inflated := _inflate(raw)) is not None and (text := _utf8(inflated)) is not None:
        yield f"compressed in {name}", text, lambda other: write(zlib.compress(other.encode()))


def _inflate(raw: bytes) -> bytes | None:
    if raw[:1] != b"\x78":
        return None
    try:
        return zlib.decompressobj().decompress(raw, _INFLATED)
    except zlib.error:
        return None


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_container(text: str) -> bool:
    return text[:1] in ("{", "[") and isinstance(_json(text), dict | list)


def _is_text(text: str) -> bool:
    return len(text) >= _TEXT and text.isprintable()


def scalars(data: Any) -> Iterator[tuple[str, Any]]:
    """Every text, number and truth value in JSON data with the name of its member."""
    queue: list[tuple[str, Any]] = [("", data)]
    while queue:
        name, value = queue.pop()
        if isinstance(value, dict):
            queue += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            queue += [(name, inner) for inner in value]
        elif value is not None:
            yield name, value


def forgeries(value: str, mine: tuple[str, ...], theirs: str | None) -> dict[str, str]:
    """Edits of the data in a value, written down again without a new signature; `mine` name its owner."""
    found: dict[str, str] = {}
    for reading in readings(value):
        where = f"its data ({reading.how})"
        if isinstance(reading.data, dict):
            found[f"{where} with one more member"] = reading.rewrite(json.dumps({**reading.data, "x": 1}))
        else:
            found[f"{where} with a blank behind"] = reading.rewrite(f"{reading.text} ")
        own = next((word for word in mine if word and word in reading.text), None)
        if own is not None and theirs:
            found[f"{where} naming somebody else"] = reading.rewrite(reading.text.replace(own, theirs))
    return {label: text for label, text in found.items() if text != value}
