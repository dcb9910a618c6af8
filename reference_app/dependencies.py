"""Who is calling, and may they: settings, credentials, limits, and the dependencies that routes declare.

The order in this file is the order of trust: settings and keys first, then what is built on them (tokens,
passwords, limits, mail), then one dependency per credential kind, the unified `get_current_user`, and last
what is asked about an authenticated caller.
"""

import base64
import hashlib
import hmac
import json
import logging
import math
import os
import re
import secrets
import string
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast
from urllib.parse import urlsplit

import jwt
import jwt.algorithms
from anyio import CapacityLimiter, to_thread
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from fastapi import Depends, Header, Request, Security, WebSocket
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, OAuth2PasswordBearer, SecurityScopes
from fastapi.security.utils import get_authorization_scheme_param
from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from starlette import status
from starlette.exceptions import HTTPException

from .database import (
    ID_PATTERN,
    ApiKey,
    Database,
    LoginSession,
    OneTimeToken,
    RefreshToken,
    Transaction,
    User,
    digest,
    hash_api_key,
    new_id,
)
from .models import (
    Role,
    Scope,
    TokenResponse,
    is_derived_from,
    normalise_email,
    normalise_password,
    validate_new_password,
)

# Starlette renamed these two: the old names warn in new releases, and old releases lack the new names.
HTTP_413: int = (
    getattr(status, "HTTP_413_CONTENT_TOO_LARGE", None) or status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
)
HTTP_422: int = (
    getattr(status, "HTTP_422_UNPROCESSABLE_CONTENT", None) or status.HTTP_422_UNPROCESSABLE_ENTITY
)

SESSION_COOKIE = (
    "__Host-session_token"  # the prefix binds it to this host and to https (RFC 6265bis §4.1.3.2)
)
CSRF_HEADER = "X-CSRF-Token"
REALM = "reference-app"
BEARER_CHALLENGE = f'Bearer realm="{REALM}"'
API_KEY_CHALLENGE = f'ApiKey realm="{REALM}"'
SESSION_CHALLENGE = f'Session realm="{REALM}"'
ANY_CHALLENGE = f"{BEARER_CHALLENGE}, {API_KEY_CHALLENGE}, {SESSION_CHALLENGE}"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

ROLE_SCOPES: Mapping[str, frozenset[str]] = {
    Role.USER: frozenset(set(Scope) - {Scope.ADMIN}),
    Role.ADMIN: frozenset(Scope),
}

audit_log = logging.getLogger("reference_app.audit")


def utc_now() -> datetime:
    """Return the time that every expiry decision is made with."""
    return datetime.now(UTC)


# ------------------------------------------------------------------------------------------------- settings


class ConfigurationError(RuntimeError):
    """The service cannot start; the text says which variable to change."""


# Fragments of the secrets that tutorials print and nobody replaces (ASVS V13.2.3, V13.3.1).
PLACEHOLDERS = (
    "change",
    "secret",
    "your-",
    "your_",
    "password",
    "example",
    "placeholder",
    "insecure",
    "09d25e094f",
)
MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: as long as the hash output
MIN_DISTINCT_CHARACTERS = 10
MIN_RSA_BITS = 2048

# Memory in KiB that Argon2id needs at a number of passes, with one lane (ASVS V11.4.2, appendix C).
ARGON2_MINIMUM = {1: 47_104, 2: 19_456, 3: 12_288}


def refuse_weak_secret(value: SecretStr) -> SecretStr:
    """Return a secret that chance could have made; raise ValueError for any other."""
    text = value.get_secret_value()
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"is shorter than {MIN_SECRET_BYTES} bytes")
    if any(placeholder in text.casefold() for placeholder in PLACEHOLDERS):
        raise ValueError("is a placeholder")
    if len(set(text)) < MIN_DISTINCT_CHARACTERS:
        raise ValueError("is not random")
    return value


class Settings(BaseSettings):
    """The configuration: one environment variable per field, same name in capitals.

    Secrets have no defaults. Everything else has the value that production should start from.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)

    secret_key: SecretStr
    previous_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    database_url: str = Field(default="sqlite+aiosqlite:///./reference_app.db", min_length=1)
    public_url: str = Field(default="http://localhost:8000", pattern=r"^https?://[^/?#@]+$")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    docs_enabled: bool = True

    jwt_algorithm: Literal["HS256", "ES256", "RS256"] = "HS256"
    jwt_private_key: SecretStr | None = None
    jwt_previous_public_keys: str = ""
    jwt_issuer: str = Field(default="reference-app", min_length=1)
    jwt_audience: str = Field(default="reference-app-api", min_length=1)
    access_token_seconds: int = Field(default=900, ge=1, le=900)
    refresh_token_seconds: int = Field(default=7 * 86_400, ge=1)
    refresh_family_seconds: int = Field(default=30 * 86_400, ge=1)

    session_idle_seconds: int = Field(default=1_800, ge=1)
    session_absolute_seconds: int = Field(default=43_200, ge=1)
    max_sessions_per_user: int = Field(default=100, ge=1)
    max_api_keys_per_user: int = Field(default=50, ge=1)

    require_verified_email: bool = False
    reset_token_seconds: int = Field(default=1_800, ge=1, le=3_600)
    verification_token_seconds: int = Field(default=86_400, ge=1)
    mail_directory: Path | None = None
    admin_email: str | None = None
    admin_password: SecretStr | None = None

    password_hash_memory_kib: int = Field(default=19_456, ge=8)
    password_hash_time_cost: int = Field(default=2, ge=1)
    password_hash_parallelism: int = Field(default=1, ge=1)
    allow_weak_password_hashing: bool = False

    login_attempt_limit: int = Field(default=10, ge=1)
    login_attempt_window_seconds: int = Field(default=900, ge=1)
    rate_limit_storage_url: str = Field(default="async+memory://", pattern=r"^async\+")
    rate_limit_login: str = "300/minute"
    rate_limit_register: str = "50/minute"
    rate_limit_recovery: str = "50/minute"
    rate_limit_refresh: str = "300/minute"
    rate_limit_user: str = "1200/minute"
    max_body_bytes: int = Field(default=131_072, ge=1_024)
    websocket_check_seconds: float = Field(default=5.0, gt=0)

    @field_validator("previous_secret_keys", "cors_origins", mode="before")
    @classmethod
    def split(cls, value: object) -> object:
        """Read a list as it is written in the environment: separated by commas."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def strong(cls, value: SecretStr) -> SecretStr:
        """Refuse a guessable secret."""
        return refuse_weak_secret(value)

    @field_validator("previous_secret_keys")
    @classmethod
    def all_strong(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        """Refuse guessable secrets."""
        return tuple(map(refuse_weak_secret, value))

    @field_validator("cors_origins")
    @classmethod
    def exact_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse wildcards, patterns and `null`: an origin is scheme, host and port (ASVS V3.4.2)."""
        for origin in value:
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or origin != f"{parts.scheme}://{parts.netloc}"
                or "*" in origin
            ):
                raise ValueError("must be a comma-separated list of origins such as https://app.example.com")
        return value

    @field_validator(
        "rate_limit_login",
        "rate_limit_register",
        "rate_limit_recovery",
        "rate_limit_refresh",
        "rate_limit_user",
    )
    @classmethod
    def limit(cls, value: str) -> str:
        """Refuse a limit that the limiter cannot read."""
        parse(value)
        return value

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Refuse combinations that would be weaker than each part."""
        passes = min(self.password_hash_time_cost, max(ARGON2_MINIMUM))
        if self.password_hash_memory_kib < ARGON2_MINIMUM[passes] and not self.allow_weak_password_hashing:
            raise ValueError(
                f"PASSWORD_HASH_MEMORY_KIB must be at least {ARGON2_MINIMUM[passes]} with this "
                "PASSWORD_HASH_TIME_COST; only tests may set ALLOW_WEAK_PASSWORD_HASHING"
            )
        if self.jwt_algorithm != "HS256" and self.jwt_private_key is None:
            raise ValueError(
                f"JWT_PRIVATE_KEY must hold a PEM private key for JWT_ALGORITHM {self.jwt_algorithm}"
            )
        if (self.admin_email is None) != (self.admin_password is None):
            raise ValueError("ADMIN_EMAIL and ADMIN_PASSWORD must be set together or not at all")
        if self.admin_email is not None and self.admin_password is not None:
            normalise_email(self.admin_email)
            validate_new_password(self.admin_password)
        return self


def load_settings() -> Settings:
    """Read the environment.

    Raises ConfigurationError with one sentence per mistake; no sentence repeats a value.
    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # the environment supplies the members
    except ValidationError as error:
        raise ConfigurationError(" ".join(map(_explain, error.errors(include_url=False)))) from None


def _explain(problem: Mapping[str, Any]) -> str:
    variable = "_".join(str(part) for part in problem["loc"][:1]).upper()
    if problem["type"] == "missing":
        hint = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        return f"{variable} is not set; make a value with: {hint}."
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{variable} {text}." if variable else f"{text}."


# --------------------------------------------------------------------------------------------------- errors


class ApiError(HTTPException):
    """A refusal with its machine code; `routes` turns it into the one error body."""

    def __init__(
        self, status_code: int, error: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status_code, detail=message, headers=headers)
        self.error = error
        self.message = message


def unauthorised(error: str, message: str, challenge: str) -> ApiError:
    """Return a 401; every one names a scheme that would be accepted (RFC 9110 §11.6.1)."""
    return ApiError(
        status.HTTP_401_UNAUTHORIZED,
        error,
        message,
        headers={"WWW-Authenticate": challenge},
    )


def invalid_token() -> ApiError:
    """Return the one answer to every bad bearer token; which defect it has is nobody's business."""
    return unauthorised(
        "invalid_token",
        "The access token is invalid, expired or revoked.",
        f'{BEARER_CHALLENGE}, error="invalid_token"',
    )


def invalid_api_key() -> ApiError:
    """Return the one answer to every bad API key."""
    return unauthorised("invalid_api_key", "The API key is invalid, expired or revoked.", API_KEY_CHALLENGE)


def invalid_session() -> ApiError:
    """Return the one answer to every bad session cookie."""
    return unauthorised("invalid_session", "The session is unknown or over.", SESSION_CHALLENGE)


def forbidden(error: str, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Return a 403: we know who asks, and they may not."""
    return ApiError(status.HTTP_403_FORBIDDEN, error, message, headers)


def not_found() -> ApiError:
    """Return a 404, for what does not exist and for what belongs to somebody else."""
    return ApiError(status.HTTP_404_NOT_FOUND, "not_found", "There is nothing here.")


def conflict(error: str, message: str) -> ApiError:
    """Return a 409: the request is fine and the state is not."""
    return ApiError(status.HTTP_409_CONFLICT, error, message)


def too_many_requests(retry_after: float) -> ApiError:
    """Return a 429 that says when to come back (RFC 6585 §4)."""
    return ApiError(
        status.HTTP_429_TOO_MANY_REQUESTS,
        "too_many_requests",
        "Too many requests. Try again later.",
        headers={"Retry-After": str(max(1, math.ceil(retry_after)))},
    )


# --------------------------------------------------------------------------------------------------- tokens

ACCESS = "at+jwt"  # RFC 9068 §2.1
REFRESH = "rt+jwt"
CLOCK_SKEW = timedelta(seconds=5)
MAX_TOKEN_LENGTH = 4_096
LATEST_DATE = 253_402_300_800  # the year 10000; what is beyond counts milliseconds, or is a joke
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

SigningKey = bytes | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
VerificationKey = bytes | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: str
    session_id: str
    token_id: str
    scopes: frozenset[str]


class TokenCodec:
    """Issues and verifies the JWTs of this service with one algorithm and a ring of keys.

    The current key signs; it and the previous ones verify, chosen by `kid`. A key that is taken out of the
    configuration verifies nothing any more (ASVS V13.3.4).
    """

    def __init__(self, settings: Settings) -> None:
        self.algorithm = settings.jwt_algorithm
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._signing_key, verification_keys = _load_keys(settings)
        self._verification_keys = {_key_id(key): key for key in verification_keys}
        self._current_key_id = _key_id(verification_keys[0])

    def public_keys(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs; none if the algorithm is symmetric."""
        return [
            {**_public_jwk(key), "kid": key_id, "use": "sig", "alg": self.algorithm}
            for key_id, key in self._verification_keys.items()
            if not isinstance(key, bytes)
        ]

    def encode(
        self,
        kind: str,
        *,
        user_id: str,
        session_id: str,
        token_id: str,
        scopes: frozenset[str],
        expires_at: datetime,
    ) -> str:
        """Return a signed token of a kind; the subject is the immutable id of the account."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "sid": session_id,
            "jti": token_id,
            "iat": now,
            "nbf": now,
            "exp": int(expires_at.timestamp()),
            "scope": " ".join(sorted(scopes)),
        }
        headers = {"typ": kind, "kid": self._current_key_id}
        token = jwt.encode(claims, self._signing_key, self.algorithm, headers)
        return _with_low_s(token) if self.algorithm == "ES256" else token

    def decode(self, token: str, kind: str) -> Claims:
        """Return the claims of a valid token of a kind.

        Raises jwt.InvalidTokenError for anything else.
        """
        try:
            return self._decode(token, kind)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise jwt.InvalidTokenError("malformed token") from error

    def _decode(self, token: str, kind: str) -> Claims:
        header = _read_canonical(token, self.algorithm)
        if header.get("typ") != kind:
            # A refresh token has the same key, issuer and audience; only its type differs (RFC 8725 §3.11).
            raise jwt.InvalidTokenError("wrong kind of token")
        if "crit" in header or "b64" in header:
            raise jwt.InvalidTokenError("an extension that is not understood")  # RFC 7515 §4.1.11
        # `kid` is only an index into our own keys. Keys in the header (jwk, x5c, jku) are not looked at.
        key = self._verification_keys.get(str(header.get("kid")))
        if key is None:
            raise jwt.InvalidTokenError("unknown key")
        payload = jwt.decode(
            token,
            key,
            algorithms=[self.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=CLOCK_SKEW,
            options={
                "require": ["exp", "nbf", "iat", "iss", "aud", "sub", "jti"],
                "verify_signature": True,
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_aud": True,
                "verify_iss": True,
            },
        )
        return _read_claims(payload)


def _load_keys(settings: Settings) -> tuple[SigningKey, list[VerificationKey]]:
    # The current key comes first.
    if settings.jwt_private_key is None:
        ring = [settings.secret_key, *settings.previous_secret_keys]
        shared: list[VerificationKey] = [secret.get_secret_value().encode() for secret in ring]
        return settings.secret_key.get_secret_value().encode(), shared
    try:
        private = load_pem_private_key(_pem(settings.jwt_private_key.get_secret_value()), password=None)
        blocks = re.findall(r"-----BEGIN.*?-----END[^-]*-----", settings.jwt_previous_public_keys, re.DOTALL)
        previous = [load_pem_public_key(_pem(block)) for block in blocks]
    except (ValueError, TypeError):
        raise ConfigurationError(
            "JWT_PRIVATE_KEY or JWT_PREVIOUS_PUBLIC_KEYS is not readable as PEM."
        ) from None
    wanted = ec.EllipticCurvePrivateKey if settings.jwt_algorithm == "ES256" else rsa.RSAPrivateKey
    if settings.jwt_algorithm == "HS256" or not isinstance(private, wanted):
        raise ConfigurationError("JWT_PRIVATE_KEY does not fit JWT_ALGORITHM.")
    ring_keys: list[VerificationKey] = []
    for key in (private.public_key(), *previous):
        is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        is_strong_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or not (
            is_p256 or is_strong_rsa
        ):
            raise ConfigurationError(f"JWT keys must be P-256, or RSA with at least {MIN_RSA_BITS} bits.")
        ring_keys.append(key)
    return private, ring_keys


def _pem(text: str) -> bytes:
    return text.replace("\\n", "\n").encode()  # .env files and some secret stores keep one line


def _public_jwk(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> dict[str, Any]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key))
    else:
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))
    return {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}


def _key_id(key: VerificationKey) -> str:
    # For a secret, a MAC under it: a plain hash would invite offline guessing. For a public key, its
    # thumbprint (RFC 7638).
    if isinstance(key, bytes):
        return hmac.digest(key, b"key id", "sha256").hex()[:16]
    canonical = json.dumps(_public_jwk(key), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _read_canonical(token: str, algorithm: str) -> dict[str, Any]:
    # One token has one spelling: no padding, no spare bits, no repeated members, UTF-8 only, and of the two
    # ECDSA signatures that verify, the lower one (RFC 7515 §2, RFC 4648 §3.5, ASVS V1.1.1).
    if len(token) > MAX_TOKEN_LENGTH or not COMPACT_JWS.fullmatch(token):
        raise jwt.InvalidTokenError("not a compact JWS")
    parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]
    if ".".join(map(_base64url, parts)) != token:
        raise jwt.InvalidTokenError("not canonical base64url")
    header, payload = (
        json.loads(part.decode(), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
        for part in parts[:2]
    )
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise jwt.InvalidTokenError("not JSON objects")
    if algorithm == "ES256" and int.from_bytes(parts[2][32:]) > P256_ORDER // 2:
        raise jwt.InvalidTokenError("not the canonical signature")
    return header


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _with_low_s(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    s = int.from_bytes(raw[32:])
    if s > P256_ORDER // 2:
        raw = raw[:32] + (P256_ORDER - s).to_bytes(32)
    return f"{signed}.{_base64url(raw)}"


def _read_claims(payload: Mapping[str, Any]) -> Claims:
    # Python is generous where RFC 7519 is not: int("9"), int(True) and float("nan") would all pass for dates.
    for name in ("exp", "nbf", "iat"):
        if name in payload and not _is_numeric_date(payload[name]):
            raise jwt.InvalidTokenError("not a date")
    names = [payload.get("sub"), payload.get("sid")]
    if not all(isinstance(name, str) and ID_PATTERN.fullmatch(name) for name in names):
        raise jwt.InvalidTokenError("not one of our identifiers")
    return Claims(
        user_id=str(payload["sub"]),
        session_id=str(payload["sid"]),
        token_id=str(payload["jti"]),
        scopes=frozenset(str(payload.get("scope", "")).split()),
    )


def _is_numeric_date(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST_DATE


# ------------------------------------------------------------------------------------------------ passwords


class PasswordHasher:
    """Argon2id, away from the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._hash = PasswordHash(
            (
                Argon2Hasher(
                    time_cost=settings.password_hash_time_cost,
                    memory_cost=settings.password_hash_memory_kib,
                    parallelism=settings.password_hash_parallelism,
                ),
            )
        )
        # One core stays free for requests that need no hash (ASVS V15.2.2).
        self._capacity = CapacityLimiter(max(1, (os.cpu_count() or 2) - 1))
        # Verified against when nobody has the name that was given: same cost, no match.
        self.dummy_hash = self._hash.hash(secrets.token_urlsafe())

    async def hash(self, password: SecretStr) -> str:
        """Return the hash of a password."""
        return await to_thread.run_sync(self._hash.hash, password.get_secret_value(), limiter=self._capacity)

    async def verify(self, password: SecretStr, hashed: str) -> tuple[bool, str | None]:
        """Return whether the password fits, and a new hash if the old one has outdated parameters."""
        return await to_thread.run_sync(
            self._hash.verify_and_update, password.get_secret_value(), hashed, limiter=self._capacity
        )


# ------------------------------------------------------------------------------------------ limits and mail


class RateLimiter:
    """Moving windows over requests; counters that must outlive the process are in the database instead."""

    def __init__(self, storage_url: str) -> None:
        storage = storage_from_string(storage_url)
        if not isinstance(storage, Storage):
            raise ConfigurationError("RATE_LIMIT_STORAGE_URL must name an asynchronous storage.")
        self._limiter = MovingWindowRateLimiter(storage)

    async def hit(self, limit: str, *key: str) -> None:
        """Count a request; raise ApiError 429 if it is one too many."""
        item: RateLimitItem = parse(limit)
        if not await self._limiter.hit(item, *key):
            window = await self._limiter.get_window_stats(item, *key)
            raise too_many_requests(window.reset_time - time.time())


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one address."""

    recipient: str
    subject: str
    body: str


class Outbox:
    """Where mail leaves. The last messages stay readable for tests; a directory hands them to a mailer.

    It is memory and not a table, because a mail holds a token that the database must not (ASVS V6.5.2).
    """

    def __init__(self, directory: Path | None) -> None:
        self.messages: deque[Mail] = deque(maxlen=1_000)
        self._directory = directory

    def send(self, mail: Mail) -> None:
        """Deliver one message."""
        self.messages.append(mail)
        if self._directory is not None:
            file = self._directory / f"{time.time_ns()}-{secrets.token_hex(4)}.eml"
            file.touch(mode=0o600)
            file.write_text(f"To: {mail.recipient}\nSubject: {mail.subject}\n\n{mail.body}\n")

    def last_to(self, recipient: str) -> Mail | None:
        """Return the newest message to an address."""
        return next((mail for mail in reversed(self.messages) if mail.recipient == recipient), None)


@dataclass(slots=True)
class Services:
    """What one running application consists of; kept on `app.state`, never in a module."""

    settings: Settings
    tokens: TokenCodec
    database: Database
    passwords: PasswordHasher
    limiter: RateLimiter
    outbox: Outbox
    next_purge: datetime = field(default_factory=utc_now)


def get_services(request: Request) -> Services:
    """Return the services of the application that received the request."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def client_address(request: Request) -> str:
    """Return the address of the peer. Forwarding headers are the business of the server's proxy settings."""
    return request.client.host if request.client else "unknown"


def audit(request: Request, event: str, outcome: str, who: str) -> None:
    """Write one line about a security event (ASVS V16.3).

    JSON escapes line breaks, so a name cannot forge a second line (V16.4.1). It is written at once and not in
    a background task: those are dropped when a request ends in an exception, and refusals matter most here.
    """
    line = {
        "time": utc_now().isoformat(timespec="milliseconds"),
        "event": event,
        "outcome": outcome,
        "who": who,
        "address": client_address(request),
    }
    audit_log.info(json.dumps(line))


def hide_query(record: logging.LogRecord) -> bool:
    """Filter for uvicorn's access log: cut off the query, which may hold an API key (ASVS V14.2.1)."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


class AddressLimit:
    """Dependency that limits one kind of request per client address; `name` picks the setting."""

    _settings: ClassVar[Mapping[str, Callable[[Settings], str]]] = {
        "login": lambda settings: settings.rate_limit_login,
        "register": lambda settings: settings.rate_limit_register,
        "recovery": lambda settings: settings.rate_limit_recovery,
        "refresh": lambda settings: settings.rate_limit_refresh,
    }

    def __init__(self, name: str) -> None:
        self._name = name
        self._limit = self._settings[name]

    async def __call__(self, request: Request, services: ServicesDep) -> None:
        """Count the request."""
        await services.limiter.hit(self._limit(services.settings), self._name, client_address(request))


# ---------------------------------------------------------------------------------------------- credentials


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: the account, and what this credential may do on its behalf."""

    user: User
    scheme: Literal["bearer", "api_key", "session"]
    scopes: frozenset[str]
    session: LoginSession | None = None
    api_key: ApiKey | None = None


bearer_scheme = OAuth2PasswordBearer(
    tokenUrl="/auth/token",
    scheme_name="BearerToken",
    scopes={
        Scope.NOTES_READ: "Read your notes.",
        Scope.NOTES_WRITE: "Create, change and delete your notes.",
        Scope.PROFILE_WRITE: "Change your profile.",
        Scope.KEYS_MANAGE: "Create, rotate and revoke your API keys.",
        Scope.ADMIN: "Manage accounts; only for administrators.",
    },
    description="A short-lived JWT in the `Authorization` header.",
    auto_error=False,
)
api_key_header = APIKeyHeader(
    name="X-API-Key",
    scheme_name="ApiKeyHeader",
    description="An API key in a header: the right place for it.",
    auto_error=False,
)
api_key_query = APIKeyQuery(
    name="api_key",
    scheme_name="ApiKeyQuery",
    description="An API key in the URL, which ends up in logs: for clients that cannot set headers.",
    auto_error=False,
)
session_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="SessionCookie",
    description=f"A browser session. Requests that change something need the `{CSRF_HEADER}` header as well.",
    auto_error=False,
)


async def get_optional_user_bearer(
    request: Request, services: ServicesDep, token: Annotated[str | None, Security(bearer_scheme)]
) -> Principal | None:
    """Return the caller that the `Authorization` header names; None if there is no such header.

    Raises ApiError: 400 for two headers (a proxy in front may have believed the other one, RFC 6750 §3.1),
    401 for anything but one valid access token of a living login and an active account.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        return None
    if len(headers) > 1:
        raise ApiError(
            status.HTTP_400_BAD_REQUEST,
            "invalid_request",
            "There is more than one Authorization header.",
            headers={"WWW-Authenticate": f'{BEARER_CHALLENGE}, error="invalid_request"'},
        )
    try:
        claims = services.tokens.decode(token or "", ACCESS)
    except jwt.InvalidTokenError:
        raise invalid_token() from None
    async with services.database.transaction() as tx:
        session = await tx.sessions.get_live(claims.session_id, utc_now())
        user = await tx.users.get_active(claims.user_id)
    if session is None or user is None:
        raise invalid_token()
    # The role is the one of now, not the one at login (ASVS V8.3.2).
    return Principal(user, "bearer", claims.scopes & ROLE_SCOPES[user.role], session=session)


API_KEY_PATTERN = re.compile(r"(rk_[a-z0-9]{8})_[A-Za-z0-9_-]{43}")


def new_api_key(
    owner_id: str, name: str, scopes: Iterable[str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Return a new API key as a row, and in clear for its owner: a public prefix and 256 random bits."""
    prefix = "rk_" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    secret = f"{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        id=new_id(),
        user_id=owner_id,
        name=name,
        prefix=prefix,
        key_digest=hash_api_key(secret),
        scopes=list(scopes),
        created_at=utc_now(),
        expires_at=expires_at,
    )
    return row, secret


async def get_optional_api_key(
    request: Request,
    services: ServicesDep,
    in_header: Annotated[str | None, Security(api_key_header)],
    in_query: Annotated[str | None, Security(api_key_query)],
) -> Principal | None:
    """Return the caller whose API key is in the header or in the query; None if there is none.

    Raises ApiError 401 for anything but one valid, unexpired, unrevoked key of an active account.
    """
    del in_header, in_query  # declared for the OpenAPI document; they hide an empty or second key
    presented = [*request.headers.getlist("x-api-key"), *request.query_params.getlist("api_key")]
    if not presented:
        return None
    match = API_KEY_PATTERN.fullmatch(presented[0])
    if len(presented) > 1 or match is None:
        raise invalid_api_key()
    async with services.database.transaction() as tx:
        key = await tx.api_keys.find_by_prefix(match[1])
        if key is None or not hmac.compare_digest(key.key_digest, hash_api_key(presented[0])):
            raise invalid_api_key()
        if key.expires_at is not None and key.expires_at <= utc_now():
            raise invalid_api_key()
        user = await tx.users.get_active(key.user_id)
    if user is None:
        raise invalid_api_key()
    return Principal(user, "api_key", frozenset(key.scopes) & ROLE_SCOPES[user.role], api_key=key)


def presented_session_cookies(request: Request) -> list[str]:
    """Return the session cookies as they were sent.

    `request.cookies` keeps the last of several and takes quotes off; a session id has one spelling.
    """
    pairs = [pair.partition("=") for line in request.headers.getlist("cookie") for pair in line.split(";")]
    return [value.strip() for name, _, value in pairs if name.strip() == SESSION_COOKIE]


async def get_optional_session_user(
    request: Request, services: ServicesDep, cookie: Annotated[str | None, Security(session_cookie)]
) -> Principal | None:
    """Return the caller of the browser session; None if there is no session cookie.

    Raises ApiError 401 for anything but one cookie of a living session and an active account.
    """
    del cookie  # declared for the OpenAPI document
    presented = presented_session_cookies(request)
    if not presented:
        return None
    if len(presented) > 1:
        raise invalid_session()
    idle = timedelta(seconds=services.settings.session_idle_seconds)
    async with services.database.transaction() as tx:
        session = await tx.sessions.resume(digest(presented[0]), utc_now(), idle)
        user = await tx.users.get_active(session.user_id) if session else None
    if session is None or user is None:
        raise invalid_session()
    return Principal(user, "session", ROLE_SCOPES[user.role], session=session)


async def get_current_user_bearer(
    principal: Annotated[Principal | None, Depends(get_optional_user_bearer)],
) -> Principal:
    """Return the caller of a bearer token; raise ApiError 401 without one."""
    if principal is None:
        raise unauthorised("not_authenticated", "This operation needs a bearer token.", BEARER_CHALLENGE)
    return principal


async def get_api_key(principal: Annotated[Principal | None, Depends(get_optional_api_key)]) -> Principal:
    """Return the caller of an API key; raise ApiError 401 without one."""
    if principal is None:
        raise unauthorised("not_authenticated", "This operation needs an API key.", API_KEY_CHALLENGE)
    return principal


async def get_session_user(
    principal: Annotated[Principal | None, Depends(get_optional_session_user)],
) -> Principal:
    """Return the caller of a browser session; raise ApiError 401 without one."""
    if principal is None:
        raise unauthorised("not_authenticated", "This operation needs a session cookie.", SESSION_CHALLENGE)
    return principal


async def get_current_user(
    bearer: Annotated[Principal | None, Depends(get_optional_user_bearer)],
    api_key: Annotated[Principal | None, Depends(get_optional_api_key)],
    session: Annotated[Principal | None, Depends(get_optional_session_user)],
) -> Principal:
    """Return the caller, by whichever credential; the first of bearer token, API key and session counts.

    A bad credential is never ignored in favour of a good one: the dependencies above have refused it already.
    Raises ApiError 401 without a credential, or if the credentials belong to different people (ASVS V15.3.7).
    """
    principals = [principal for principal in (bearer, api_key, session) if principal is not None]
    if not principals:
        raise unauthorised("not_authenticated", "This operation needs a credential.", ANY_CHALLENGE)
    if len({principal.user.id for principal in principals}) > 1:
        raise unauthorised("conflicting_credentials", "The credentials name different people.", ANY_CHALLENGE)
    return principals[0]


CurrentUser = Annotated[Principal, Depends(get_current_user)]
SessionUser = Annotated[Principal, Depends(get_session_user)]
BearerUser = Annotated[Principal, Depends(get_current_user_bearer)]
ApiKeyUser = Annotated[Principal, Depends(get_api_key)]


async def authenticate_websocket(websocket: WebSocket, services: Services) -> Principal:
    """Return the caller of a WebSocket handshake, by the credentials of any other request.

    CORS does not cover WebSockets: a page of another site may open one, and the browser sends the cookie along.
    So a cookie counts only from our own origins (ASVS V4.4.2). Raises ApiError.
    """
    request = cast(
        "Request", websocket
    )  # what is read of it, headers and query, both kinds of connection have
    bearer = await get_optional_user_bearer(
        request, services, get_authorization_scheme_param(websocket.headers.get("authorization"))[1]
    )
    api_key = await get_optional_api_key(request, services, None, None)
    session = await get_optional_session_user(request, services, None)
    principal = await get_current_user(bearer, api_key, session)
    if session is not None:
        await require_own_origin(request, services)
    return principal


async def is_still_valid(services: Services, principal: Principal) -> bool:
    """Say whether a caller who was let in would be let in now (ASVS V7.4.1)."""
    now = utc_now()
    async with services.database.transaction() as tx:
        if await tx.users.get_active(principal.user.id) is None:
            return False
        if principal.session is not None:
            return await tx.sessions.get_live(principal.session.id, now) is not None
        key = (
            await tx.api_keys.get_own(principal.api_key.id, principal.user.id) if principal.api_key else None
        )
    return key is not None and (key.expires_at is None or key.expires_at > now)


# -------------------------------------------------------------------------------------------- authorisation


async def require_scopes(request: Request, security_scopes: SecurityScopes, principal: CurrentUser) -> None:
    """Raise ApiError 403 unless the credential has the scopes that the operation declares.

    Use it as `Security(require_scopes, scopes=[...])`; the scopes then stand in the OpenAPI document, too.
    """
    if not principal.scopes.issuperset(security_scopes.scopes):
        audit(request, "authorise", "refused", principal.user.id)
        raise forbidden(
            "insufficient_scope",
            "Your role, or this credential, does not cover the operation.",
            {
                "WWW-Authenticate": f'{BEARER_CHALLENGE}, error="insufficient_scope", '
                f'scope="{security_scopes.scope_str}"'
            },
        )


async def require_interactive(principal: CurrentUser) -> None:
    """Raise ApiError 403 for API keys: they do not manage the account that they belong to (ASVS V7.5.1)."""
    if principal.scheme == "api_key":
        raise forbidden("login_required", "This operation needs a login; an API key is not enough.")


async def limit_user(services: ServicesDep, principal: CurrentUser) -> None:
    """Raise ApiError 429 if one account asks too often, whatever the credentials and addresses."""
    await services.limiter.hit(services.settings.rate_limit_user, "user", principal.user.id)


def csrf_token(services: Services, session_id: str) -> str:
    """Return the CSRF token of a session: bound to it, gone with it, and stored nowhere."""
    key = services.settings.secret_key.get_secret_value().encode()
    return hmac.digest(key, f"csrf:{session_id}".encode(), "sha256").hex()


async def require_own_origin(request: Request, services: ServicesDep) -> None:
    """Raise ApiError 403 if a browser says that another site made it send this request (ASVS V3.5.1)."""
    origins = request.headers.getlist("origin")
    allowed = {services.settings.public_url, *services.settings.cors_origins}
    foreign_site = request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    if not allowed.issuperset(origins) or (not origins and foreign_site):
        raise forbidden("csrf_failed", "The request comes from another site.")


async def require_csrf_token(
    request: Request,
    services: ServicesDep,
    principal: CurrentUser,
    token: Annotated[
        str,
        Header(alias=CSRF_HEADER, description="Needed for changes if the session cookie authenticates them."),
    ] = "",
) -> None:
    """Raise ApiError 403 for a change that a session cookie authenticates without its CSRF token.

    What counts is the credential that authenticated. That others are merely present proves nothing: a page of
    somebody else can put `api_key=x` into a form, too.
    """
    if request.method in SAFE_METHODS or principal.scheme != "session" or principal.session is None:
        return
    await require_own_origin(request, services)
    if not hmac.compare_digest(token.encode(), csrf_token(services, principal.session.id).encode()):
        raise forbidden("csrf_failed", f"The {CSRF_HEADER} header is missing or wrong.")


async def require_json(request: Request) -> None:
    """Raise ApiError 415 unless the body is declared as JSON: what forms can send is not (ASVS V3.5.2)."""
    media_types = request.headers.getlist("content-type")
    if len(media_types) != 1 or media_types[0].partition(";")[0].strip().lower() != "application/json":
        raise ApiError(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send application/json."
        )


async def require_identifiers(request: Request) -> None:
    """Raise ApiError 404 if an identifier in the path cannot be one of ours."""
    if not all(ID_PATTERN.fullmatch(identifier) for identifier in request.path_params.values()):
        raise not_found()


# ------------------------------------------------------------------------------------------------ processes


async def check_password(request: Request, services: Services, email: str, password: SecretStr) -> User:
    """Return the account that an address and its password name.

    Unknown, disabled and wrong take the same path, the same time and the same answer (ASVS V6.3.8).

    Raises ApiError: 401 if they do not fit, 403 if the address still has to be confirmed, 429 after too many
    attempts.
    """
    try:
        name = normalise_email(email)
    except ValueError:
        name = digest(repr(email))  # nobody's name, with a counter of its own
    settings, now = services.settings, utc_now()
    window = timedelta(seconds=settings.login_attempt_window_seconds)
    async with services.database.transaction() as tx:
        retry_at = await tx.attempts.reserve(name, now, settings.login_attempt_limit, window)
        user = await tx.users.find_by_email(name)
    if retry_at is not None:
        audit(request, "login", "throttled", name)
        raise too_many_requests((retry_at - now).total_seconds())
    stored_hash = services.passwords.dummy_hash if user is None else user.password_hash
    fits, new_hash = await services.passwords.verify(password, stored_hash)
    if user is None or not fits or not user.is_active:
        audit(request, "login", "refused", name)
        raise unauthorised(
            "invalid_credentials", "The e-mail address or the password is wrong.", BEARER_CHALLENGE
        )
    if settings.require_verified_email and not user.is_verified:
        raise forbidden("email_not_verified", "Confirm your e-mail address first.")
    async with services.database.transaction() as tx:
        await tx.attempts.clear(name)
        current = await tx.users.get(user.id)
        if new_hash is not None and current is not None:
            current.password_hash = new_hash
    audit(request, "login", "accepted", user.id)
    return user


async def start_login(
    tx: Transaction, services: Services, user: User, *, cookie: str | None = None
) -> LoginSession:
    """Store and return a new login: a browser session if there is a cookie value, else a token family."""
    settings, now = services.settings, utc_now()
    seconds = settings.refresh_family_seconds if cookie is None else settings.session_absolute_seconds
    login = LoginSession(
        id=new_id(),
        user_id=user.id,
        kind="bearer" if cookie is None else "browser",
        cookie_digest=None if cookie is None else digest(cookie),
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    return await tx.sessions.start(login, settings.max_sessions_per_user)


def issue_tokens(
    tx: Transaction, services: Services, user: User, login: LoginSession, scopes: frozenset[str]
) -> TokenResponse:
    """Return a new access token and a new refresh token of one family."""
    settings, now = services.settings, utc_now()
    access_end = now + timedelta(seconds=settings.access_token_seconds)
    refresh_end = min(now + timedelta(seconds=settings.refresh_token_seconds), login.expires_at)
    refresh_id = new_id()
    tx.refresh_tokens.add(
        RefreshToken(id=refresh_id, session_id=login.id, scopes=sorted(scopes), expires_at=refresh_end)
    )
    return TokenResponse(
        access_token=services.tokens.encode(
            ACCESS,
            user_id=user.id,
            session_id=login.id,
            token_id=new_id(),
            scopes=scopes,
            expires_at=access_end,
        ),
        refresh_token=services.tokens.encode(
            REFRESH,
            user_id=user.id,
            session_id=login.id,
            token_id=refresh_id,
            scopes=scopes,
            expires_at=refresh_end,
        ),
        expires_in=settings.access_token_seconds,
        scope=" ".join(sorted(scopes)),
    )


async def open_browser_session(
    tx: Transaction, services: Services, request: Request, user: User
) -> tuple[LoginSession, str]:
    """Start a browser session and return it with its cookie value.

    The value is always new, and the session that the request came with ends: an id that somebody planted
    before the login is worth nothing after it (ASVS V7.2.4).
    """
    for old in presented_session_cookies(request):
        await tx.sessions.end_by_cookie(digest(old), utc_now())
    cookie = secrets.token_urlsafe(32)
    return await start_login(tx, services, user, cookie=cookie), cookie


async def log_in(
    request: Request, services: Services, email: str, password: SecretStr, wanted: str = ""
) -> TokenResponse:
    """Check a password and return tokens, with the wanted scopes as far as the account has them."""
    user = await check_password(request, services, email, password)
    scopes = ROLE_SCOPES[user.role]
    if wanted.split():
        scopes &= frozenset(wanted.split())
    async with services.database.transaction() as tx:
        login = await start_login(tx, services, user)
        return issue_tokens(tx, services, user, login, scopes)


async def rotate_tokens(request: Request, services: Services, refresh_token: str) -> TokenResponse:
    """Exchange a refresh token for new tokens.

    A token that comes back after its use has been stolen, from the client or by it: the whole family ends
    (RFC 9700 §4.14.2). Raises ApiError 401 for every token that does not work.
    """
    refusal = unauthorised(
        "invalid_refresh_token", "The refresh token is invalid or used up.", BEARER_CHALLENGE
    )
    try:
        claims = services.tokens.decode(refresh_token, REFRESH)
    except jwt.InvalidTokenError:
        raise refusal from None
    now = utc_now()
    async with services.database.transaction() as tx:
        claimed = await tx.refresh_tokens.claim(claims.token_id, now)
        login = await tx.sessions.get_live(claims.session_id, now)
        user = await tx.users.get_active(claims.user_id)
        if claimed is None:
            await tx.sessions.end(claims.session_id, now)
        elif login is not None and user is not None:
            return issue_tokens(tx, services, user, login, frozenset(claimed.scopes) & ROLE_SCOPES[user.role])
    audit(request, "refresh", "refused", claims.user_id)
    raise refusal


async def confirm_password(request: Request, services: Services, user: User, password: SecretStr) -> None:
    """Raise ApiError unless this is the password of the caller: 403 if not, 429 if throttled."""
    try:
        await check_password(request, services, user.email, password)
    except ApiError as refusal:
        if refusal.status_code == status.HTTP_401_UNAUTHORIZED:
            raise forbidden("wrong_password", "The current password is wrong.") from None
        raise


def refuse_derived_password(password: SecretStr, email: str) -> None:
    """Raise ApiError 422 for a password made of the address that it protects."""
    if is_derived_from(password.get_secret_value(), email):
        raise ApiError(
            HTTP_422, "weak_password", "The password must not contain your name or this service's."
        )


async def change_password(
    tx: Transaction, user_id: str, new_hash: str, keep_session: str | None = None
) -> User | None:
    """Set a password, end the other logins of the account, and forget outstanding reset tokens.

    API keys go on: they do not derive from the password, and have their own revocation (ASVS V7.4.3).
    """
    user = await tx.users.get_active(user_id)
    if user is not None:
        user.password_hash = new_hash
        await tx.sessions.end_all(user_id, utc_now(), keep=keep_session)
        await tx.one_time_tokens.discard(user_id, "reset")
    return user


# Background tasks: they run after the answer, so that its timing says nothing about the account.


async def mail_token(services: Services, email: str, purpose: Literal["reset", "verify"]) -> None:
    """Mail a one-time token to an address if it belongs to an active account that can use one."""
    settings = services.settings
    seconds = settings.reset_token_seconds if purpose == "reset" else settings.verification_token_seconds
    token = secrets.token_urlsafe(32)
    async with services.database.transaction() as tx:
        user = await tx.users.find_by_email(email)
        if user is None or not user.is_active or (purpose == "verify" and user.is_verified):
            return
        await tx.one_time_tokens.replace(
            OneTimeToken(
                token_digest=digest(token),
                user_id=user.id,
                purpose=purpose,
                expires_at=utc_now() + timedelta(seconds=seconds),
            )
        )
    # The link is built from configuration; the Host header is the client's (ASVS V4.1.3).
    link = f"{settings.public_url}/{purpose}#token={token}"
    subject = "Set a new password" if purpose == "reset" else "Confirm your address"
    services.outbox.send(Mail(email, subject, f"{subject}: {link}\n\nToken: {token}"))


def mail_notice(services: Services, email: str, notice: str) -> None:
    """Tell the owner of an address about something that happened to the account (ASVS V6.3.7)."""
    services.outbox.send(Mail(email, "About your account", notice))


async def purge_expired(services: Services) -> None:
    """Forget what has expired, at most once an hour (ASVS V14.2.7)."""
    now = utc_now()
    if now < services.next_purge:
        return
    services.next_purge = now + timedelta(hours=1)
    async with services.database.transaction() as tx:
        await tx.sessions.purge(now)
        await tx.one_time_tokens.purge(now)
        await tx.attempts.purge(now - timedelta(seconds=services.settings.login_attempt_window_seconds))


async def create_admin(services: Services) -> None:
    """Create the administrator that the environment names, unless the address has an account already."""
    settings = services.settings
    if settings.admin_email is None or settings.admin_password is None:
        return
    password_hash = await services.passwords.hash(normalise_password(settings.admin_password))
    async with services.database.transaction() as tx:
        await tx.users.add(
            User(
                email=normalise_email(settings.admin_email),
                password_hash=password_hash,
                role=Role.ADMIN,
                is_verified=True,
                created_at=utc_now(),
            )
        )
