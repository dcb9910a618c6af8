"""Encrypted tokens (RFC 7516) that need no secret of the service: its public key, or a guess, is enough.

Just enough of JOSE to write what an attacker would write; nothing here decrypts.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, keywrap, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from auth_conformance.credentials import b64url, compact_json
from auth_conformance.probe.keyforms import PublicKey, jwk_members

# Length of the content encryption key in bytes (RFC 7518 §5.1).
CONTENT_KEYS = {"A128GCM": 16, "A256GCM": 32, "A128CBC-HS256": 32, "A256CBC-HS512": 64}
CONTENTS = ("A128GCM", "A256GCM", "A256CBC-HS512")
# What a bomb of raw DEFLATE and one of zlib inflate to, in bytes (checklist TOK126: 10 kB to 10 MB).
INFLATED = 10_000_000
_DIGESTS = {"A128CBC-HS256": hashlib.sha256, "A256CBC-HS512": hashlib.sha512}
_OAEP = {"RSA-OAEP": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}


def encrypted(
    key: PublicKey | bytes,
    algorithm: str,
    content: str,
    plaintext: bytes,
    header: Mapping[str, Any] | None = None,
) -> str:
    """The compact JWE of `plaintext`. Raises ValueError where the key does not fit the algorithm."""
    head: dict[str, Any] = {"alg": algorithm, "enc": content, **(header or {})}
    secret, wrapped, more = _content_key(key, algorithm, content, head)
    protected = b64url(compact_json({**head, **more}).encode())
    iv, ciphertext, tag = _sealed(secret, content, plaintext, protected.encode())
    return ".".join((protected, b64url(wrapped), b64url(iv), b64url(ciphertext), b64url(tag)))


def _content_key(
    key: PublicKey | bytes, algorithm: str, content: str, head: Mapping[str, Any]
) -> tuple[bytes, bytes, dict[str, Any]]:
    """The content encryption key, how it travels, and what the header says about it."""
    size = CONTENT_KEYS[content]
    secret = os.urandom(size)
    if isinstance(key, bytes):
        return _shared(key, algorithm, secret, head)
    if isinstance(key, rsa.RSAPublicKey):
        if algorithm == "RSA1_5":
            return secret, key.encrypt(secret, PKCS1v15()), {}
        digest = _OAEP[algorithm]
        return secret, key.encrypt(secret, OAEP(MGF1(digest()), digest(), None)), {}
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError(f"a key of this kind does not do {algorithm}")  # noqa: TRY004 - as for a wrong length
    own = ec.generate_private_key(key.curve)
    agreed = own.exchange(ec.ECDH(), key)
    more = {"epk": jwk_members(own.public_key())}
    if algorithm == "ECDH-ES":
        return _derived(agreed, content, size), b"", more
    wrapping = _derived(agreed, algorithm, 16)
    return secret, keywrap.aes_key_wrap(wrapping, secret), more


def _shared(
    key: bytes, algorithm: str, secret: bytes, head: Mapping[str, Any]
) -> tuple[bytes, bytes, dict[str, Any]]:
    match algorithm:
        case "dir":
            if len(key) != len(secret):
                raise ValueError("a key of this length does not encrypt directly")
            return key, b"", {}
        case "A256KW":
            if len(key) != 32:
                raise ValueError("a key of this length does not wrap")
            return secret, keywrap.aes_key_wrap(key, secret), {}
        case _:
            salt, count = os.urandom(16), int(head.get("p2c", 1_000))
            # Derived with few rounds: what the header claims is for whoever reads it to believe.
            rounds = min(count, 1_000)
            derived = hashlib.pbkdf2_hmac("sha256", key, algorithm.encode() + b"\0" + salt, rounds, 16)
            return secret, keywrap.aes_key_wrap(derived, secret), {"p2s": b64url(salt), "p2c": count}


def _derived(agreed: bytes, algorithm: str, size: int) -> bytes:
    """RFC 7518 §4.6.2."""
    name = algorithm.encode()
    info = len(name).to_bytes(4, "big") + name + bytes(4) + bytes(4) + (size * 8).to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), size, info).derive(agreed)


def _sealed(secret: bytes, content: str, plaintext: bytes, protected: bytes) -> tuple[bytes, bytes, bytes]:
    if content.endswith("GCM"):
        iv = os.urandom(12)
        sealed = AESGCM(secret).encrypt(iv, plaintext, protected)
        return iv, sealed[:-16], sealed[-16:]
    half, iv = len(secret) // 2, os.urandom(16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(secret[half:]), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    covered = protected + iv + ciphertext + (len(protected) * 8).to_bytes(8, "big")
    return iv, ciphertext, hmac.digest(secret[:half], covered, _DIGESTS[content])[:half]


def with_public_key(key: PublicKey, plaintext: bytes, header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The plaintext encrypted in every way for which the public key is enough, by the names of the algorithms."""
    if isinstance(key, rsa.RSAPublicKey):
        ways: tuple[str, ...] = ("RSA-OAEP", "RSA-OAEP-256", "RSA1_5")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        ways = ("ECDH-ES", "ECDH-ES+A128KW")
    else:
        return
    for algorithm in ways:
        for content in CONTENTS:
            yield f"{algorithm} with {content}", encrypted(key, algorithm, content, plaintext, header)


def with_secret(secret: bytes, plaintext: bytes, header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The plaintext encrypted under a shared secret, in every way that its length allows."""
    digest = hashlib.sha256(secret).digest()
    for label, key in (("the secret", secret), ("the secret's SHA-256", digest)):
        for content, size in CONTENT_KEYS.items():
            if len(key) == size and content != "A128GCM":
                yield f"dir with {content} under {label}", encrypted(key, "dir", content, plaintext, header)
        if len(key) == 32:
            yield f"A256KW under {label}", encrypted(key, "A256KW", "A256GCM", plaintext, header)
    text = encrypted(secret, "PBES2-HS256+A128KW", "A256GCM", plaintext, header)
    yield "PBES2 with the secret as password", text


def bombs(key: PublicKey | bytes) -> Iterator[tuple[str, str, str]]:
    """Small tokens that inflate to ten megabytes, each with a twin of the same size that does not inflate."""
    algorithm = _simplest(key)
    if isinstance(key, bytes) and len(key) != 32:
        key = hashlib.sha256(key).digest()
    content = b'{"sub":"' + b"a" * INFLATED + b'"}'
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    forms = {"raw DEFLATE": raw.compress(content) + raw.flush(), "zlib": zlib.compress(content, 9)}
    for form, packed in forms.items():
        yield (
            form,
            encrypted(key, algorithm, "A256GCM", packed, {"zip": "DEF"}),
            encrypted(key, algorithm, "A256GCM", os.urandom(len(packed))),
        )


def _simplest(key: PublicKey | bytes) -> str:
    if isinstance(key, bytes):
        return "dir"
    return "RSA-OAEP" if isinstance(key, rsa.RSAPublicKey) else "ECDH-ES"
