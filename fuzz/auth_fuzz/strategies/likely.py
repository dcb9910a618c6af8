"""What careless readers let in most often: sent first, before chance decides what is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from auth_conformance.credentials import Jwt, Kind, b64url
from auth_conformance.model import Severity
from auth_fuzz.spelling import alike
from auth_fuzz.strategies.attack import Attack, Material
from auth_fuzz.strategies.jws import same_bytes

# What a reader may drop before it looks a text up. No part of a token, nor of most keys, has the last two.
_DROPPED = ("-", "_", ".", " ", "%20")
# What credentials of several parts are joined by. Random letters have `_`, too: it counts behind a word only.
_JOINED = re.compile(r"([.:~|$])")
_WORDED = re.compile(r"([a-z]{2,6})(_)([^_]+)(_)(.+)")
# Longer than what a reader checks at once, and still shorter than what servers take as a header.
_LONG = (3_000, 6_000)


def likely_attacks(material: Material) -> Sequence[Attack]:
    """Texts near a live credential in its own place, each with the words for it; none is the live one."""
    text, token = material.text, Jwt.parse(material.text)
    if material.live.carrier.kind is Kind.BASIC or not text:
        return []
    middle = len(text) // 2
    made = {f"{mark!r} in the midst of it": text[:middle] + mark + text[middle:] for mark in _DROPPED}
    made |= {f"without {mark!r}": text.replace(mark, "") for mark in "-_" if mark in text}
    made |= {
        "all in capitals": text.upper(),
        "all in small letters": text.lower(),
        "without its last character": text[:-1],
        "its first half": text[:middle],
        "one character changed in the midst of it": text[:middle]
        + ("b" if text[middle] == "a" else "a")
        + text[middle + 1 :],
        "'x' after it": text + "x",
        f"{_LONG[0]} letters after it": text + "A" * _LONG[0],
    }
    if material.live.carrier.place == "query":
        made["a NUL and more after it"] = f"{text}\0x"
    if token is not None:
        made |= {
            "with an empty signature": token.unsigned().text,
            'with alg header "none" and empty signature': token.with_header(alg="none").unsigned().text,
            "with a bit of its signature flipped": token.with_flipped_signature().text,
            "with a signature of zeros": _signed(token, bytes(len(token.signature))),
            "with its signature cut in half": _signed(token, token.signature[: len(token.signature) // 2]),
            "with its signature twice": _signed(token, token.signature * 2),
        }
        made |= {
            f"with a claim of {size} letters and its old signature": token.with_claims(pad="A" * size).text
            for size in _LONG
        }
        other = Jwt.parse(material.other.value.reveal()) if material.other is not None else None
        if other is not None:
            made["with the signature of another user's token"] = _signed(token, other.signature)
    else:
        made |= _recomposed(text, material.other.value.reveal() if material.other is not None else "")
    return [_attack(material, says, value) for says, value in made.items() if value.strip() != text]


def _recomposed(text: str, other: str) -> dict[str, str]:
    """A credential of several parts with one of them empty, gone, or another user's: `id.secret`, `user:id:mac`."""
    parts, theirs = _parts(text), _parts(other)
    if len(parts) < 3:
        return {}
    made: dict[str, str] = {}
    for number, place in enumerate(range(0, len(parts), 2), 1):
        rest = parts[:place], parts[place + 1 :]
        made[f"its part {number} empty"] = "".join((*rest[0], *rest[1]))
        left = (*parts[: place - 1], *rest[1]) if place else tuple(parts[2:])
        made[f"its part {number} left out"] = "".join(left)
        if len(theirs) == len(parts) and theirs[place] != parts[place]:
            made[f"its part {number} another user's"] = "".join((*rest[0], theirs[place], *rest[1]))
    return {says: value for says, value in made.items() if value not in {text, other, ""}}


def _parts(text: str) -> list[str]:
    """The parts of a credential, and between them what joins them."""
    worded = _WORDED.fullmatch(text)
    return list(worded.groups()) if worded is not None else _JOINED.split(text)


def _signed(token: Jwt, signature: bytes) -> str:
    return replace(token, signature_text=b64url(signature)).text


def _attack(material: Material, says: str, value: str) -> Attack:
    headers, query = material.bearing(value)
    kind, text = material.live.carrier.kind, material.text
    what = {Kind.KEY: "the key", Kind.COOKIE: "the cookie's value"}.get(kind, "the token")
    severity = Severity.MEDIUM if alike(value, text) and Jwt.parse(text) is None else None
    return Attack(f"{what}, {says}", headers, query, same_bytes(value, text), severity)
