"""Signatures that are trivial, out of range or wrongly encoded, and other spellings of a good one.

Pure functions over a token: what a verifier that skips a range check, a length check or a strict decoder
would take (checklist TOK119, TOK127).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from auth_conformance.credentials import Jwt, b64url
from auth_conformance.oracles.respelling import ORDERS

# The order of the group of Ed25519 (RFC 8032 §5.1).
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Lengths to which RFC 2104 §5 lets implementations cut a MAC, and shorter ones that nobody should take.
_CUTS = (0, 1, 4, 10, 16)


def degenerate(token: Jwt, modulus: int | None = None) -> dict[str, bytes]:
    """Signatures that no correct verifier takes for `token`, by what is wrong with them.

    `modulus` is that of the RSA key, where it is known. Empty for an algorithm that we do not know.
    """
    signature, family = token.signature, token.algorithm[:2]
    if not signature:
        return {}
    if family == "HS":
        found = {f"MAC cut to {length} bytes": signature[:length] for length in _CUTS}
        return {**found, "MAC of zeros": bytes(len(signature))}
    if token.algorithm in ORDERS:
        return _of_ecdsa(signature, ORDERS[token.algorithm])
    if family in ("RS", "PS"):
        return _of_rsa(signature, modulus)
    return _of_eddsa(signature) if token.algorithm in ("EdDSA", "Ed25519") and len(signature) == 64 else {}


def _of_ecdsa(signature: bytes, order: int) -> dict[str, bytes]:
    half = len(signature) // 2

    def pair(r: int, s: int) -> bytes:
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")

    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    return {
        "r and s zero": pair(0, 0),  # CVE-2022-21449
        "r zero, s one": pair(0, 1),
        "r one, s zero": pair(1, 0),
        "r and s the order of the curve": pair(order, order),
        "r and s one": pair(1, 1),
        "the valid r and s in DER": encode_dss_signature(r, s),
        "the valid signature and a zero byte": signature + b"\0",
        "the halves of the valid signature swapped": signature[half:] + signature[:half],
    }


def _of_rsa(signature: bytes, modulus: int | None) -> dict[str, bytes]:
    size = len(signature)
    found = {
        "signature 0": bytes(size),
        "signature 1": (1).to_bytes(size, "big"),
        "the valid signature after a zero byte": b"\0" + signature,
    }
    if modulus is None:
        return found
    beyond = int.from_bytes(signature, "big") + modulus
    return {
        **found,
        "signature n-1": (modulus - 1).to_bytes(size, "big"),
        "signature n": modulus.to_bytes(size, "big"),
        "the valid signature plus n": beyond.to_bytes((beyond.bit_length() + 7) // 8, "big"),
    }


def _of_eddsa(signature: bytes) -> dict[str, bytes]:
    neutral = (1).to_bytes(32, "little")  # the neutral element, and with it the smallest order
    beyond = int.from_bytes(signature[32:], "little") + _ED25519_ORDER
    return {
        "64 zero bytes": bytes(64),
        "R of small order and S zero": neutral + bytes(32),
        "R of order two and S zero": bytes.fromhex("ec" + "ff" * 30 + "7f") + bytes(32),
        "the valid S plus the order of the group": signature[:32] + beyond.to_bytes(32, "little"),
    }


def padded(token: Jwt) -> dict[str, str]:
    """The token with padding behind its signature, which RFC 7515 §2 leaves out."""
    return {f"{mark} behind the signature": token.text + mark for mark in ("=", "==", "====")}


def respelled(token: Jwt) -> Iterator[tuple[str, str]]:
    """Other texts whose signature part decodes, for a lax decoder, to the same bytes; each with its trick."""
    start = f"{token.header_text}.{token.payload_text}."
    text = token.signature_text
    middle = len(text) // 2
    if (other := _spare_bits(text)) is not None:
        yield "the unused bits of the last character set", start + other
    for what, junk in (("exclamation marks", "!!!!"), ("blanks", "    "), ("tabs", "\t\t\t\t")):
        # Four at a time: one alone would disturb Python's arithmetic of padding and hide the fault.
        yield f"four {what} inside the signature", start + text[:middle] + junk + text[middle:]
    yield "padding and junk behind the signature", start + text + "=" * (-len(text) % 4 or 4) + "xyz"
    standard = text.replace("-", "+").replace("_", "/")
    if standard != text:
        yield "the signature in the alphabet of plain base64", start + standard
    yield (
        "one character of the signature percent-encoded",
        start + text[:middle] + f"%{ord(text[middle]):02X}" + text[middle + 1 :],
    )
    # What is signed is text: another spelling of it has another signature.
    yield "padding behind the header", f"{token.header_text}=.{token.payload_text}.{text}"
    yield "padding behind the payload", f"{token.header_text}.{token.payload_text}=.{text}"
    payload = token.payload_text
    yield (
        "four exclamation marks inside the payload",
        f"{token.header_text}.{payload[:8]}!!!!{payload[8:]}.{text}",
    )


def _spare_bits(text: str) -> str | None:
    # Of 4 bits of the last of two characters, and 2 bits of the last of three, nothing is decoded.
    spare = {2: 0b1111, 3: 0b11}.get(len(text) % 4)
    if spare is None or text[-1] not in _ALPHABET:
        return None
    return text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) ^ spare]


def uses_url_alphabet(token: Jwt) -> bool:
    """Whether the signature's text differs from plain base64."""
    return "-" in token.signature_text or "_" in token.signature_text


def repackaged(token: Jwt) -> dict[str, str]:
    """The token in every form but the compact one (RFC 7515 §7.2), and in damaged compact forms."""
    parts = f'"payload":"{token.payload_text}"'
    signed = f'"protected":"{token.header_text}","signature":"{token.signature_text}"'
    bogus = f'"protected":"{token.header_text}","signature":"{b64url(bytes(len(token.signature)))}"'
    unprotected = '"header":{"typ":"JWT"}'
    text = token.text
    return {
        "the flattened JSON form": f"{{{parts},{signed}}}",
        "the flattened JSON form with an unprotected header": f"{{{parts},{unprotected},{signed}}}",
        "the general JSON form": f'{{{parts},"signatures":[{{{signed}}}]}}',
        "the general JSON form, its second signature wrong": f'{{{parts},"signatures":[{{{signed}}},{{{bogus}}}]}}',
        "the general JSON form, its first signature wrong": f'{{{parts},"signatures":[{{{bogus}}},{{{signed}}}]}}',
        "no payload (detached)": f"{token.header_text}..{token.signature_text}",
        "a fourth part": f"{text}.x",
        "two more, empty parts": f"{text}..",
        "a leading dot": f".{text}",
        "the token twice, with a dot": f"{text}.{text}",
        "percent-encoded dots": quote(text, safe="").replace(".", "%2E"),
    }
