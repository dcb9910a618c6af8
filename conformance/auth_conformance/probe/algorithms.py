"""Tokens under another algorithm than the service's own, and under other names of the right one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auth_conformance.credentials import Jwt, SigningKey

if TYPE_CHECKING:
    from auth_conformance.probe.minting import Forge

# What a key of each family can sign (RFC 7518 §3.1), and names that mean the same to a careless reader.
_FAMILIES = {
    "HS": ("HS256", "HS384", "HS512"),
    "RS": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "PS": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
}
_ALIASES = {
    "HS256": ("HMACSHA256", "SHA256", "HS-256"),
    "RS256": ("SHA256withRSA", "RSA"),
    "ES256": ("ES521", "SHA256withECDSA"),
    "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("EdDSA",),
}
# Two registered names of one operation (RFC 9864 §2.2): a fault only where one of them was declared.
SYNONYMS = {"EdDSA", "Ed25519"}
_EC_HASHES = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}


def other_algorithms(forge: Forge) -> Iterator[tuple[str, str]]:
    """The genuine claims under each other algorithm that the true key can do."""
    own = forge.token.algorithm
    for name in _FAMILIES.get(own[:2], ()):
        if name != own:
            yield name, forge.token.with_header(alg=name).signed(forge.key, name).text
    if own in _EC_HASHES:
        for name, digest in _EC_HASHES.items():
            if name != own:
                token = forge.token.with_header(alg=name)
                yield name, token.with_signature(_ecdsa(forge.key, token, digest)).text


def mislabelled(forge: Forge) -> Iterator[tuple[str, str, str]]:
    """Correct signatures under a name that is not that of their algorithm: the name, what it is, the text."""
    own = forge.token.algorithm
    names = [own.lower(), f"{own} ", own.swapcase(), *_ALIASES.get(own, ())]
    if own in _EC_HASHES:
        names.append("ES256K")
    for name in dict.fromkeys(names):
        if name != own and name not in SYNONYMS:
            token = forge.token.with_header(alg=name)
            yield name, f"signed with {own} and named {name!r}", token.signed(forge.key, own).text
    if own in ("RS256", "PS256"):
        other = "PS256" if own == "RS256" else "RS256"
        yield (
            other,
            f"signed with {own} and named {other}",
            forge.token.with_header(alg=other).signed(forge.key, own).text,
        )
        yield (
            f"{own} (as {other})",
            f"signed with {other} and named {own}",
            forge.token.signed(forge.key, other).text,
        )


def synonyms(forge: Forge) -> Iterator[tuple[str, str]]:
    """The other registered name of the algorithm, where it has two."""
    own = forge.token.algorithm
    if own in SYNONYMS:
        (other,) = SYNONYMS - {own}
        yield other, forge.token.with_header(alg=other).signed(forge.key, own).text


def allowed_elsewhere(forge: Forge, keys: Sequence[SigningKey]) -> Iterator[tuple[str, str]]:
    """The genuine claims under a known key of the other sort: a secret beside key pairs, or the reverse."""
    for key in keys:
        if key.symmetric != forge.key.symmetric:
            header = {"kid": key.key_id} if key.key_id else {}
            token = forge.token.with_header(alg=key.algorithm, **header)
            yield key.algorithm, token.signed(key, key.algorithm).text


def _ecdsa(key: SigningKey, token: Jwt, digest: hashes.HashAlgorithm) -> bytes:
    private = serialization.load_pem_private_key(key.secret.reveal().encode(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return b""
    size = (private.curve.key_size + 7) // 8
    r, s = decode_dss_signature(private.sign(token.signing_input, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
