"""The public key behind RSA signatures, computed from two of them (checklist TOK113).

PKCS #1 v1.5 pads without chance, so `s^e - padded digest` is a multiple of the modulus for each token, and
the greatest common divisor of two such numbers is the modulus, times a small factor. With e = 3 or 17 that
takes no time. With the usual e = 65537 the numbers have 134 million bits, and Python's own divisor takes time
with their square: 83 s of CPU for e = 4097 and a key of 2,048 bits, so six hours for 65537 (measured). GMP does
that in 33 s, but is no dependency of ours: such a key has to be published, or declared.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Sequence
from typing import Any

from auth_conformance.credentials import Jwt, Kind, b64url
from auth_conformance.probe.core import Core, Missing, Unclear

# DigestInfo of RFC 8017 §9.2 up to the digest itself.
_PREFIXES = {
    "RS256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "RS384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "RS512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_HASHES = {"RS256": hashlib.sha256, "RS384": hashlib.sha384, "RS512": hashlib.sha512}
EXPONENTS = (3, 17)
# Small factors that the divisor of two multiples may have beside the modulus.
_COFACTORS = 1_000


class Recovery(Core):
    """Computes what is not published."""

    async def recovered_key(self) -> dict[str, Any] | None:
        """The RSA public key of the tokens as a JWK, once per run; None when it cannot be computed."""
        found: dict[str, Any] | None = await self.scene.once("recovered key", self._recover)
        return found

    async def _recover(self) -> dict[str, Any] | None:
        try:
            live = [await self.credential(Kind.BEARER), await self.credential(Kind.BEARER, fresh=True)]
        except (Missing, Unclear):
            return None
        tokens = [token for credential in live if (token := credential.jwt) is not None]
        if len({token.signature for token in tokens}) < 2 or tokens[0].algorithm not in _PREFIXES:
            return None
        for exponent in EXPONENTS:
            modulus = await asyncio.to_thread(modulus_of, tokens, exponent)
            if modulus is not None:
                key = {"kty": "RSA", "n": _encoded(modulus), "e": _encoded(exponent)}
                name = tokens[0].header.get("kid")
                return key if name is None else {**key, "kid": name}
        return None


def modulus_of(tokens: Sequence[Jwt], exponent: int) -> int | None:
    """The modulus under which all these signatures have that public exponent; None when there is none."""
    modulus = 0
    for token in tokens:
        modulus = math.gcd(modulus, int.from_bytes(token.signature, "big") ** exponent - _padded(token))
    size = 8 * len(tokens[0].signature)
    if not size - 8 < modulus.bit_length() < size + 64:
        return None
    for factor in range(2, _COFACTORS):
        while modulus % factor == 0:
            modulus //= factor
    signed = all(
        pow(int.from_bytes(token.signature, "big"), exponent, modulus) == _padded(token) for token in tokens
    )
    return modulus if signed else None


def _padded(token: Jwt) -> int:
    """EMSA-PKCS1-v1_5 of what the token signs (RFC 8017 §9.2)."""
    name = token.algorithm
    info = _PREFIXES[name] + _HASHES[name](token.signing_input).digest()
    filling = b"\xff" * (len(token.signature) - len(info) - 3)
    return int.from_bytes(b"\0\1" + filling + b"\0" + info, "big")


def _encoded(number: int) -> str:
    return b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
