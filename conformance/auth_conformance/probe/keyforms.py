"""Every way in which an application may hold a public key in memory, as bytes that HMAC would take.

The serialisation decides: published advisories differ only in that. The final newline of a PEM file is the
usual reason for a missed hit.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt.algorithms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from auth_conformance.credentials import Jwt, SigningKey, b64url, unb64url, verified_by

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
# RFC 7638 §3.2: the members that make the key, in the order in which RFCs print them.
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


def public_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    """The key that a JWK describes; None for one that we cannot read."""
    try:
        key = jwt.PyJWK(_bare(jwk), algorithm=_algorithm(jwk)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(
        key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    ):
        return key
    return None


def verifies(jwk: Mapping[str, Any], token: Jwt) -> bool:
    """Whether this public key verifies a token, whatever either is called."""
    key = public_key(jwk)
    return key is not None and verified_by(key, token)


def public_jwk(key: SigningKey) -> dict[str, Any] | None:
    """The public half of a private key as a JWK; None for a symmetric one or one that we cannot read."""
    private = _private(key)
    members = jwk_members(private.public_key()) if private is not None else None
    return {**members, "kid": key.key_id} if members and key.key_id else members


def private_jwk(key: SigningKey) -> dict[str, Any] | None:
    """A private key as a JWK; None for a symmetric one or one that we cannot read."""
    private = _private(key)
    return jwk_members(private) if private is not None else None


def _private(key: SigningKey) -> PrivateKey | None:
    if key.symmetric:
        return None
    try:
        private = serialization.load_pem_private_key(key.secret.reveal().encode(), password=None)
    except (ValueError, TypeError):
        return None
    return private if isinstance(private, PrivateKey) else None


def jwk_members(key: PublicKey | PrivateKey) -> dict[str, Any]:
    """The members of the key as a JWK, private ones included where there are any."""
    match key:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            jwk = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
        case _:
            jwk = jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


def certificate(key: SigningKey, issuer: str = "service") -> bytes | None:
    """A certificate in PEM that the key signs for itself; None for a key that certificates do not take."""
    private = _private(key)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return None
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[:64])])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(private, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def certificate_text(key: SigningKey, issuer: str) -> str | None:
    """The same as `x5c` holds it: DER in plain base64 (RFC 7515 §4.1.6)."""
    pem = certificate(key, issuer)
    return None if pem is None else "".join(pem.decode().splitlines()[1:-1])


def serialisations(jwk: Mapping[str, Any], key_set: Sequence[Mapping[str, Any]] = ()) -> dict[str, bytes]:
    """The names and the bytes of everything that may stand for this key; each byte text once.

    `key_set` is the published set that the key belongs to.
    """
    forms: dict[str, bytes] = {}
    for name, value in _forms(jwk, key_set):
        if value and value not in forms.values():
            forms[name] = value
    return forms


def _forms(jwk: Mapping[str, Any], key_set: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    key = public_key(jwk)
    if key is not None:
        yield from _pem_forms("PEM", key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        yield "DER", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if isinstance(key, rsa.RSAPublicKey):
            yield from _pem_forms("PKCS#1 PEM", key.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
            yield "PKCS#1 DER", key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        yield from _ssh_forms(key, str(jwk.get("kid", "")))
    yield from _certificate_forms(jwk)
    yield from _jwk_forms(jwk)
    if key_set:
        whole = {"keys": [dict(item) for item in key_set]}
        yield "key set", _json(whole)
        yield "key set with blanks", json.dumps(whole).encode()
    yield from _raw_forms(jwk, key)


def _pem_forms(name: str, pem: bytes) -> Iterator[tuple[str, bytes]]:
    bare = pem.strip()
    body = b"".join(bare.splitlines()[1:-1])
    yield f"{name} with its final newline", bare + b"\n"
    yield f"{name} without final newline", bare
    yield f"{name} with CRLF", bare.replace(b"\n", b"\r\n") + b"\r\n"
    yield f"{name} on one line", bare.replace(b"\n", b"")
    yield f"{name} with escaped newlines", (bare + b"\n").replace(b"\n", b"\\n")
    yield f"{name} without its first and last line", b"\n".join(bare.splitlines()[1:-1])
    yield f"base64 body of the {name}", body
    yield f"base64 of the {name}", base64.b64encode(bare + b"\n")


def _ssh_forms(key: PublicKey, comment: str) -> Iterator[tuple[str, bytes]]:
    try:
        line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except (ValueError, TypeError):  # a curve that OpenSSH does not have
        return
    yield "OpenSSH line", line
    if comment:
        yield "OpenSSH line with a comment", line + b" " + comment.encode()


def _certificate_forms(jwk: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    chain = jwk.get("x5c")
    first = chain[0] if isinstance(chain, list) and chain else None
    if not isinstance(first, str):
        return
    try:
        der = base64.b64decode(first)
        pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    except ValueError:
        return
    yield "certificate PEM with its final newline", pem.strip() + b"\n"
    yield "certificate PEM without final newline", pem.strip()
    yield "certificate DER", der
    yield "base64 of the certificate", first.encode()


def _jwk_forms(jwk: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    bare = _bare(jwk)
    yield "JWK as it is served", _json(dict(jwk))
    yield "JWK as it is served, with blanks", json.dumps(dict(jwk)).encode()
    yield "JWK with sorted members", _json(dict(jwk), sort=True)
    yield "bare JWK", _json(bare)
    yield "bare JWK with blanks", json.dumps(bare).encode()
    yield "bare JWK with sorted members", _json(bare, sort=True)
    yield "base64 of the JWK", base64.b64encode(_json(dict(jwk)))


def _raw_forms(jwk: Mapping[str, Any], key: PublicKey | None) -> Iterator[tuple[str, bytes]]:
    kind = jwk.get("kty")
    name, members = ("modulus", ("n",)) if kind == "RSA" else ("point", ("x", "y"))
    texts = [str(jwk[member]) for member in members if member in jwk]
    try:
        raw = b"".join(map(unb64url, texts))
    except ValueError:
        return
    yield f"raw {name}", raw
    yield f"base64url of the {name}", b64url(raw).encode()
    yield f"base64 of the {name}", base64.b64encode(raw)
    if isinstance(key, ec.EllipticCurvePublicKey):
        yield "uncompressed point", b"\x04" + raw
        yield "compressed point", key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _bare(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in _MEMBERS.get(str(jwk.get("kty")), ()) if name in jwk}


def _algorithm(jwk: Mapping[str, Any]) -> str | None:
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}
    if jwk.get("kty") == "RSA":
        return "RS256"
    return "EdDSA" if jwk.get("kty") == "OKP" else curves.get(str(jwk.get("crv")))


def _json(value: object, *, sort: bool = False) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=sort).encode()
