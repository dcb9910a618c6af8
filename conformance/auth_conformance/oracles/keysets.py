"""What is wrong with a published key set: secret members, weak numbers, confused labels (checklist TOK130)."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_der_x509_certificate

# RFC 7518 §6.2.2, §6.3.2 and §6.4: what only the owner of a key may know.
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
SHORTEST_RSA, ADVISED_RSA = 2048, 3072
_CURVES = {"ES256": "P-256", "ES256K": "secp256k1", "ES384": "P-384", "ES512": "P-521"}
_THUMBPRINT = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
# Keys of CVE-2017-15361 are powers of 65537 modulo each of these primes; of others about one in 2^27 is.
_ROCA_PRIMES = tuple(
    number
    for number in range(3, 168)
    if all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
)
_FERMAT_STEPS = 1_000
# A key that was made wrongly, and one whose label only is confused.
GRAVE, LIGHT = "grave", "light"


@dataclass(frozen=True, slots=True)
class KeyFault:
    """One thing that is wrong: `gravity` is `grave` or `light`, `words` follow the name of the key."""

    gravity: str
    words: str


def faults(keys: Sequence[Mapping[str, Any]], issued: Sequence[Mapping[str, Any]] = ()) -> list[KeyFault]:
    """Everything wrong with a key set; `issued` are headers of tokens that its keys should verify."""
    found: list[KeyFault] = []
    for number, key in enumerate(keys, 1):
        name = f"key {key.get('kid') or number}"
        found += [KeyFault(fault.gravity, f"{name} {fault.words}") for fault in _of_key(key)]
    found += _of_ids(keys)
    found += _of_issued(keys, issued)
    return found


def remarks(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is no fault and worth a word."""
    sizes = {bits for key in keys if (bits := _bits(key)) and SHORTEST_RSA <= bits < ADVISED_RSA}
    told = [f"RSA with {bits} bits is below 128 bits of strength (ASVS V11.2.3)" for bits in sorted(sizes)]
    if any("use" not in key and "key_ops" not in key for key in keys):
        told.append("a key does not say what it is for (use)")
    return told


def _of_key(key: Mapping[str, Any]) -> Iterator[KeyFault]:
    kind = key.get("kty")
    secret = [member for member in PRIVATE if member in key]
    if kind == "oct":
        yield KeyFault(GRAVE, "is a symmetric secret")
    elif secret:
        yield KeyFault(GRAVE, f"is published with its private half ({', '.join(secret)})")
    if thumbprint(key) in _samples():
        yield KeyFault(GRAVE, "is a sample whose private half is printed in a standard or tutorial")
    if kind == "RSA":
        yield from _of_rsa(key)
    yield from _of_certificate(key)
    algorithm = str(key.get("alg", ""))
    if algorithm in _CURVES and key.get("crv") != _CURVES[algorithm]:
        yield KeyFault(GRAVE, f"says {algorithm} and is on the curve {key.get('crv')}")
    family = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}.get(algorithm[:2])
    if family is not None and kind != family:
        yield KeyFault(GRAVE, f"says {algorithm} and is of type {kind}")
    if algorithm.startswith("HS") and kind != "oct":
        yield KeyFault(GRAVE, f"is public and says {algorithm}, which is symmetric")


def _of_rsa(key: Mapping[str, Any]) -> Iterator[KeyFault]:
    modulus, exponent = _number(key.get("n")), _number(key.get("e"))
    if modulus is None or exponent is None:
        yield KeyFault(GRAVE, "has no readable modulus or exponent")
        return
    bits = modulus.bit_length()
    if bits < SHORTEST_RSA:
        yield KeyFault(GRAVE, f"has {bits} bits, fewer than {SHORTEST_RSA}")
    if exponent < 3 or exponent % 2 == 0:
        yield KeyFault(GRAVE, f"has the exponent {exponent}")
    elif exponent < 65_537:
        yield KeyFault(LIGHT, f"has the small exponent {exponent}")
    if modulus % 2 == 0 or any(modulus % prime == 0 for prime in _ROCA_PRIMES):
        yield KeyFault(GRAVE, "has a modulus with a small factor")
    elif is_roca(modulus):
        yield KeyFault(GRAVE, "has a modulus of the structure of CVE-2017-15361 (ROCA)")
    elif is_fermat_close(modulus):
        yield KeyFault(
            GRAVE, "has a modulus of two primes that lie close together: Fermat's method finds them"
        )


def _of_ids(keys: Sequence[Mapping[str, Any]]) -> Iterator[KeyFault]:
    ids = [key["kid"] for key in keys if isinstance(key.get("kid"), str)]
    for name in dict.fromkeys(ids):
        if ids.count(name) > 1:
            yield KeyFault(LIGHT, f"kid {name} names {ids.count(name)} keys")
    purposes = {key.get("use") for key in keys}
    if len(purposes) > 1 and None in purposes:
        # RFC 7517 §4.2 asks for it only where keys of one set have several purposes.
        yield KeyFault(LIGHT, "some keys say what they are for (use) and others do not")


def _of_issued(keys: Sequence[Mapping[str, Any]], issued: Sequence[Mapping[str, Any]]) -> Iterator[KeyFault]:
    ids = {key.get("kid") for key in keys}
    for header in issued:
        yield from _of_carried(keys, header)
        name = header.get("kid")
        if str(header.get("alg", "")).startswith("HS") or name is None:
            continue
        if name not in ids:
            yield KeyFault(GRAVE, f"tokens name the key {name}, which is not in the set")
            continue
        key = next(key for key in keys if key.get("kid") == name)
        operations = key.get("key_ops")
        if key.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
            yield KeyFault(GRAVE, f"key {name} signs tokens and says that it is for something else")


def _of_carried(keys: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> Iterator[KeyFault]:
    """RFC 7515 §4.1.6: the certificate in a token's own header is of the key that signs it."""
    if "x5c" not in header:
        return
    certified = certified_key(header)
    if certified is None:
        yield KeyFault(LIGHT, "tokens carry a certificate (x5c) that cannot be read")
        return
    for fault in _of_key(certified):
        yield KeyFault(fault.gravity, f"the key of the certificate that tokens carry (x5c) {fault.words}")
    named = [key for key in keys if header.get("kid") is not None and key.get("kid") == header["kid"]]
    if named and all(thumbprint(key) not in ("", thumbprint(certified)) for key in named):
        yield KeyFault(GRAVE, f"tokens carry a certificate (x5c) of another key than {header['kid']}")


def _of_certificate(key: Mapping[str, Any]) -> Iterator[KeyFault]:
    """RFC 7517 §4.7: the first certificate of `x5c` is one of this very key."""
    if "x5c" not in key:
        return
    certified = certified_key(key)
    if certified is None:
        yield KeyFault(LIGHT, "has a certificate (x5c) that cannot be read")
    elif thumbprint(key) and thumbprint(certified) != thumbprint(key):
        yield KeyFault(GRAVE, "has a certificate (x5c) of another key")


def certified_key(holder: Mapping[str, Any]) -> dict[str, Any] | None:
    """The public key of the first certificate in `x5c`, of a key or of a token's header; None when there is none."""
    chain = holder.get("x5c")
    first = chain[0] if isinstance(chain, list) and chain else None
    if not isinstance(first, str):
        return None
    try:
        key = load_der_x509_certificate(base64.b64decode(first, validate=True)).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    match key:
        case RSAPublicKey():
            numbers = key.public_numbers()
            return {"kty": "RSA", "n": _encoded(numbers.n), "e": _encoded(numbers.e)}
        case EllipticCurvePublicKey():
            point, size = key.public_numbers(), (key.curve.key_size + 7) // 8
            names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
            curve = names.get(key.curve.name, key.curve.name)
            return {"kty": "EC", "crv": curve, "x": _encoded(point.x, size), "y": _encoded(point.y, size)}
        case Ed25519PublicKey() | Ed448PublicKey():
            kind = "Ed25519" if isinstance(key, Ed25519PublicKey) else "Ed448"
            return {"kty": "OKP", "crv": kind, "x": _base64url(key.public_bytes_raw())}
        case _:
            return None


def _encoded(number: int, size: int = 0) -> str:
    return _base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def is_roca(modulus: int) -> bool:
    """Whether the modulus is a power of 65537 modulo each of 38 small primes."""
    return all(modulus % prime in _powers(prime) for prime in _ROCA_PRIMES)


@cache
def _powers(prime: int) -> frozenset[int]:
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * 65_537 % prime
    return frozenset(found)


def is_fermat_close(modulus: int) -> bool:
    """Whether Fermat's method factors the modulus in a thousand steps."""
    root = math.isqrt(modulus - 1) + 1
    for step in range(_FERMAT_STEPS):
        rest = (root + step) ** 2 - modulus
        if math.isqrt(rest) ** 2 == rest:
            return True
    return False


def thumbprint(key: Mapping[str, Any]) -> str:
    """RFC 7638 §3; "" for a key of a kind that we do not know."""
    names = _THUMBPRINT.get(str(key.get("kty")))
    if names is None or any(not isinstance(key.get(name), str) for name in names):
        return ""
    text = json.dumps({name: key[name] for name in names}, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode()).digest())


@cache
def _samples() -> frozenset[str]:
    text = resources.files("auth_conformance").joinpath("data", "sample_keys.txt").read_text("utf-8")
    return frozenset(words[0] for line in text.splitlines() if (words := line.partition("#")[0].split()))


def _bits(key: Mapping[str, Any]) -> int:
    return (_number(key.get("n")) or 0).bit_length() if key.get("kty") == "RSA" else 0


def _number(text: object) -> int | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except ValueError:
        return None
