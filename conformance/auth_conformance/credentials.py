"""Credentials as immutable values; forging is a method that returns a new value."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

import jwt as pyjwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from auth_conformance.oracles.respelling import ORDERS
from auth_conformance.secret import Secret

_HMAC = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


class Kind(enum.Enum):
    """The kinds of credential that the checklist tells apart."""

    BEARER = "bearer"
    KEY = "key"
    COOKIE = "cookie"
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class Carrier:
    """Where a credential travels: `place` is `header`, `query` or `cookie`; `prefix` is a scheme word.

    `scheme` is the name of the security scheme in the OpenAPI document, or "" when observed only.
    """

    kind: Kind
    place: str
    name: str
    prefix: str = ""
    scheme: str = ""

    def __str__(self) -> str:
        word = f" {self.prefix}" if self.prefix else ""
        return f"{self.place} {self.name}{word}"


@dataclass(frozen=True, slots=True)
class Credential:
    """A value in its carrier. `owner` is the label of the account that it was issued to.

    `companions` are further headers that must travel with it (a CSRF token beside a session cookie); one that is
    named `body NAME` is a member of the body instead. `crumbs` are further cookies, by name and value: they share
    the one Cookie header.
    """

    carrier: Carrier
    value: Secret
    owner: str = ""
    companions: tuple[tuple[str, str], ...] = ()
    crumbs: tuple[tuple[str, str], ...] = ()

    def with_value(self, text: str) -> Self:
        """The same carrier with another value: nobody's credential any more."""
        return replace(self, value=Secret(text), owner="")

    def moved_to(self, carrier: Carrier) -> Self:
        """The same value in another carrier."""
        return replace(self, carrier=carrier)

    def fits(self, carrier: Carrier) -> bool:
        """Whether it may be meant for that carrier: behind another word in a header, such as `Token`, it is not."""
        words = (self.carrier.prefix.lower(), carrier.prefix.lower())
        return self.carrier.place != carrier.place or not all(words) or words[0] == words[1]

    @property
    def headers(self) -> tuple[tuple[str, str | bytes], ...]:
        """The headers that carry it; text beyond Latin-1 travels as UTF-8 bytes."""
        text = self.value.reveal()
        crumbs = "; ".join(f"{name}={value}" for name, value in self.crumbs)
        beside = (*((("Cookie", crumbs),) if crumbs else ()), *self.companions)
        match self.carrier.place:
            case "header":
                # A blank at the end is no part of a header (RFC 9110 §5.5), and clients refuse to send it.
                full = f"{self.carrier.prefix}{' ' * bool(text)}{text}" if self.carrier.prefix else text
                return ((self.carrier.name, _encodable(full)), *beside)
            case "cookie":
                line = f"{self.carrier.name}={text}" + (f"; {crumbs}" if crumbs else "")
                return (("Cookie", _encodable(line)), *self.companions)
            case _:
                return beside

    @property
    def members(self) -> dict[str, str]:
        """The members of the body that must travel with it."""
        return {
            name.removeprefix("body "): value for name, value in self.companions if name.startswith("body ")
        }

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query parameters that carry it."""
        return ((self.carrier.name, self.value.reveal()),) if self.carrier.place == "query" else ()

    @property
    def jwt(self) -> Jwt | None:
        """The token in it, when the value is a JWT."""
        return Jwt.parse(self.value.reveal())


def _encodable(text: str) -> str | bytes:
    try:
        text.encode("ascii")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """The bytes of a base64url text without padding. Raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"not base64url: {error}") from error


def compact_json(value: object) -> str:
    """JSON without blanks, as tokens hold it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs: an HMAC secret, or a private key in PEM. `source` says where it was found."""

    algorithm: str
    secret: Secret
    key_id: str | None = None
    source: str = ""

    @property
    def symmetric(self) -> bool:
        """Whether the same key verifies."""
        return self.algorithm.startswith("HS")

    def sign(self, signing_input: bytes, algorithm: str | None = None) -> bytes:
        """Sign under `algorithm` (default: the key's own). Raises ValueError when the key cannot."""
        name = algorithm or self.algorithm
        if name in _HMAC:
            return hmac.new(
                self.secret.reveal().encode("utf-8", "surrogatepass"),
                signing_input,
                _HMAC[name],
            ).digest()
        try:
            implementation = pyjwt.get_algorithm_by_name(name)
            signature = implementation.sign(signing_input, _prepared(name, self.secret))
        except (NotImplementedError, pyjwt.InvalidKeyError, TypeError) as error:
            raise ValueError(f"the key cannot sign under {name}") from error
        # Of two ECDSA signatures that verify, some services take only the lower one: an honest one must be that.
        return _with_low_s(signature, ORDERS[name]) if name in ORDERS else signature

    def verifies(self, token: Jwt) -> bool:
        """Whether this key made the signature of `token`."""
        algorithm = token.header.get("alg")
        if not isinstance(algorithm, str):
            return False
        try:
            if algorithm in _HMAC:
                return hmac.compare_digest(self.sign(token.signing_input, algorithm), token.signature)
            public = _private(self.secret).public_key()
        except (ValueError, TypeError):
            return False
        return verified_by(public, token)


def verified_by(public: object, token: Jwt) -> bool:
    """Whether a public key verifies the signature of `token` by the algorithm that its header names."""
    try:
        algorithm = pyjwt.get_algorithm_by_name(token.algorithm)
        key = algorithm.prepare_key(public)
    except (NotImplementedError, ValueError, TypeError, pyjwt.PyJWTError):
        return False  # PyJWT's words for: no algorithm; bytes that are no such key; a key of another family; a weak one
    return bool(algorithm.verify(token.signing_input, key, token.signature))


def _with_low_s(signature: bytes, order: int) -> bytes:
    half = len(signature) // 2
    s = int.from_bytes(signature[half:], "big")
    return signature[:half] + min(s, order - s).to_bytes(half, "big")


@lru_cache(maxsize=32)
def _prepared(algorithm: str, secret: Secret) -> Any:
    """The key as PyJWT uses it; loading an RSA key checks its primes, which takes 40 ms each time."""
    return pyjwt.get_algorithm_by_name(algorithm).prepare_key(secret.reveal())


@lru_cache(maxsize=32)
def _private(secret: Secret) -> Any:
    """The private key in a PEM text, loaded once for the same reason. Raises ValueError."""
    return serialization.load_pem_private_key(secret.reveal().encode(), password=None)


def attacker_keys() -> dict[str, SigningKey]:
    """Fresh keys of every family that an attacker may make up, by algorithm name."""
    pairs: dict[str, Any] = {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    keys = {
        name: SigningKey(
            name,
            Secret(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode(),
            ),
            source="made up by the attacker",
        )
        for name, key in pairs.items()
    }
    digest = hashes.Hash(hashes.SHA256())
    digest.update(keys["ES256"].secret.reveal().encode())
    keys["HS256"] = SigningKey("HS256", Secret(digest.finalize().hex()), source="made up by the attacker")
    return keys


# Claims that say nothing of whose token it is.
_OF_REFERENCES = frozenset({"jti", "iat", "nbf", "iss", "aud", "typ", "type"})


@dataclass(frozen=True, slots=True)
class Jwt:
    """A compact JWS (RFC 7515 §7.1) taken apart. The three texts are kept as they were.

    Every edit returns a new token whose *other* parts are byte for byte the old ones, so that a refusal is
    a refusal of exactly this edit.
    """

    header_text: str
    payload_text: str
    signature_text: str
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_reference(self) -> bool:
        """Whether its claims name nothing but itself (RFC 7519 §4.1.7): whose it is, the service looks up."""
        return "jti" in self.claims and self.claims.keys() <= _OF_REFERENCES

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take a token apart; None when it is not a compact JWS with JSON objects in it."""
        parts = text.split(".")
        if len(parts) != 3:
            return None
        try:
            header, claims = json.loads(unb64url(parts[0])), json.loads(unb64url(parts[1]))
        except (ValueError, RecursionError):
            return None
        if not isinstance(header, dict) or not isinstance(claims, dict):
            return None
        return cls(parts[0], parts[1], parts[2], header, claims)

    @classmethod
    def build(
        cls,
        header: Mapping[str, Any],
        claims: Mapping[str, Any],
        key: SigningKey | None = None,
    ) -> Self:
        """A new token, signed by `key` under the header's `alg` if it can, unsigned without a key."""
        return cls._from(compact_json(dict(header)), compact_json(dict(claims)), header, claims).signed(key)

    @classmethod
    def raw(
        cls,
        header_json: str,
        payload_json: str,
        key: SigningKey | None = None,
        algorithm: str | None = None,
    ) -> Self:
        """A token around hand-written JSON texts, for what a serialiser would not write."""
        return cls._from(header_json, payload_json, {}, {}).signed(key, algorithm)

    @classmethod
    def _from(
        cls,
        header_json: str,
        payload_json: str,
        header: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> Self:
        return cls(
            b64url(header_json.encode("utf-8", "surrogatepass")),
            b64url(payload_json.encode("utf-8", "surrogatepass")),
            "",
            header,
            claims,
        )

    @property
    def text(self) -> str:
        """The compact serialisation."""
        return f"{self.header_text}.{self.payload_text}.{self.signature_text}"

    @property
    def signing_input(self) -> bytes:
        """What the signature covers (RFC 7515 §5.1)."""
        return f"{self.header_text}.{self.payload_text}".encode("ascii")

    @property
    def signature(self) -> bytes:
        """The signature's bytes; empty when its text is not base64url."""
        try:
            return unb64url(self.signature_text)
        except ValueError:
            return b""

    @property
    def algorithm(self) -> str:
        """The header's `alg`, "" when it is not a text."""
        name = self.header.get("alg")
        return name if isinstance(name, str) else ""

    def with_header(self, **members: object) -> Self:
        """Replace or add header members; payload and signature stay."""
        header = {**self.header, **members}
        return replace(self, header=header, header_text=b64url(compact_json(header).encode()))

    def without_header(self, *names: str) -> Self:
        """Drop header members; payload and signature stay."""
        header = {key: value for key, value in self.header.items() if key not in names}
        return replace(self, header=header, header_text=b64url(compact_json(header).encode()))

    def with_header_json(self, text: str) -> Self:
        """Replace the header by a hand-written JSON text."""
        return replace(self, header={}, header_text=b64url(text.encode("utf-8", "surrogatepass")))

    def with_claims(self, **members: object) -> Self:
        """Replace or add claims; header and signature stay."""
        claims = {**self.claims, **members}
        return replace(self, claims=claims, payload_text=b64url(compact_json(claims).encode()))

    def without_claims(self, *names: str) -> Self:
        """Drop claims; header and signature stay."""
        claims = {key: value for key, value in self.claims.items() if key not in names}
        return replace(self, claims=claims, payload_text=b64url(compact_json(claims).encode()))

    def with_signature(self, signature: bytes) -> Self:
        """Replace the signature's bytes."""
        return replace(self, signature_text=b64url(signature))

    def unsigned(self) -> Self:
        """Drop the signature and keep the last dot."""
        return replace(self, signature_text="")

    def with_flipped_signature(self) -> Self:
        """Flip one bit in the first signature byte: never the last character, whose low bits are padding."""
        signature = self.signature
        return self.with_signature(bytes([signature[0] ^ 1]) + signature[1:]) if signature else self

    def signed(self, key: SigningKey | None, algorithm: str | None = None) -> Self:
        """Sign header and payload as they stand. Without a key the signature is empty."""
        if key is None:
            return self.unsigned()
        name = algorithm or (self.algorithm or key.algorithm)
        return self.with_signature(key.sign(self.signing_input, name))
