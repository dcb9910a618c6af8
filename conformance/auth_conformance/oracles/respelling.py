"""Other texts that a careless reader takes for the same token: they verify, and a list of texts misses them."""

from __future__ import annotations

import base64
import string

_URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
# The orders of the curves (SEC 2 §2.4, §2.5): (r, n - s) verifies whenever (r, s) does.
ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES256K": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "ES384": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "ES512": int(
        "01FF" + "F" * 62 + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}
# The order of the group of Ed25519 (RFC 8032 §5.1): S + L verifies where S is not compared with L.
_ED25519 = 2**252 + 27742317777372353535851937790883648493


def token_respellings(text: str, algorithm: str = "") -> dict[str, str]:
    """Texts other than `text` with the same decoded parts, or with a signature that verifies as well."""
    found = {
        "padding behind it": f"{text}=",
        "two characters of padding behind it": f"{text}==",
        "a blank behind it": f"{text} ",
        "a blank before it": f" {text}",
        "quotes around it": f'"{text}"',
    }
    head, dot, signature = text.rpartition(".")
    if not dot:
        return found
    spare = _spare_bits(signature)
    if spare is not None:
        found["spare bits of the last character set"] = f"{head}.{spare}"
    standard = signature.translate(str.maketrans("-_", "+/"))
    if standard != signature:
        found["the signature in base64, not base64url"] = f"{head}.{standard}"
    found["characters inside the signature that are no base64"] = f"{head}.{signature[:4]}!*{signature[4:]}"
    parts = head.split(".")
    if len(parts) == 2:
        found["padding behind each part"] = ".".join(
            part + "=" * (-len(part) % 4) for part in (*parts, signature)
        )
    twin = _twin(signature, algorithm)
    if twin is not None:
        found["the other signature that verifies"] = f"{head}.{twin}"
    return {why: other for why, other in found.items() if other != text}


def _spare_bits(signature: str) -> str | None:
    """The same bytes with the bits of the last character that encode nothing set otherwise (RFC 4648 §3.5)."""
    free = {2: 4, 3: 2}.get(len(signature) % 4)
    if free is None or not signature or signature[-1] not in _URL:
        return None
    place = _URL.index(signature[-1])
    return signature[:-1] + _URL[place ^ 1]


def _twin(signature: str, algorithm: str) -> str | None:
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except ValueError:
        return None
    half = len(raw) // 2
    if algorithm in ORDERS and half:
        order = ORDERS[algorithm]
        if order >> (8 * half):
            return None  # too short to be a signature of this algorithm
        other = (order - int.from_bytes(raw[half:], "big")) % order
        raw = raw[:half] + other.to_bytes(half, "big")
    elif algorithm == "EdDSA" and len(raw) == 64:
        other = int.from_bytes(raw[32:], "little") + _ED25519
        if other >= 2**256:
            return None
        raw = raw[:32] + other.to_bytes(32, "little")
    else:
        return None
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
