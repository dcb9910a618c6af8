"""The bundled reference app, ready to be tested: fresh secrets, its own database, and a flaw if asked for."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from auth_conformance.settings import ConfigurationError, Settings, load
from auth_conformance.testing import Flaw, environment, seeded

ALGORITHMS = ("HS256", "ES256", "RS256")
ORIGIN = "https://app.example.com"

# How long sessions of the reference app live, in seconds.
LIMITS = {"session_idle": 1_800.0, "session_absolute": 43_200.0, "refresh_family": 2_592_000.0}


def package() -> Path:
    """The folder of the reference app. Raises ConfigurationError when the demo extra is not installed."""
    spec = importlib.util.find_spec("reference_app")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The reference app is not installed: pip install 'fastapi-auth-conformance[demo]'."
        )
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("sqlalchemy") is None:
        raise ConfigurationError(
            "The demo needs FastAPI and more: pip install 'fastapi-auth-conformance[demo]'."
        )
    return Path(spec.origin).parent


def private_key(algorithm: str) -> str:
    """A new private key in PEM for ES256 or RS256."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def rotation(algorithm: str, values: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
    """What a rotation of the app's signing key would change, by the names of variables; and those variables."""
    if algorithm == "HS256":
        after = {"SECRET_KEY": {"env": "NEXT_SECRET_KEY"}}
        overlap = {**after, "PREVIOUS_SECRET_KEYS": {"env": "SECRET_KEY"}}
        return {"overlap": overlap, "after": after}, {"NEXT_SECRET_KEY": secrets.token_urlsafe(48)}
    old = serialization.load_pem_private_key(values["JWT_PRIVATE_KEY"].encode(), password=None)
    public = old.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    after = {"JWT_PRIVATE_KEY": {"env": "NEXT_JWT_PRIVATE_KEY"}}
    overlap = {**after, "JWT_PREVIOUS_PUBLIC_KEYS": {"env": "LAST_JWT_PUBLIC_KEY"}}
    keys = {"NEXT_JWT_PRIVATE_KEY": private_key(algorithm), "LAST_JWT_PUBLIC_KEY": public.decode()}
    return {"overlap": overlap, "after": after}, keys


@contextmanager
def bundled(
    *, algorithm: str = "HS256", flaw: Flaw | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[tuple[object, Settings]]:
    """The reference app and what a tester of it would configure, for as long as the block runs.

    `extra` are further environment variables of the app. Nothing outside a temporary folder is written.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="auth-conformance-demo-"))
        database = f"sqlite+aiosqlite:///{folder}/demo.db"
        mails = stack.enter_context(tempfile.TemporaryDirectory(prefix="auth-conformance-mails-"))
        password = f"{secrets.token_urlsafe(18)}-7qX"
        values = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE_URL": database,
            "CORS_ORIGINS": ORIGIN,
            "ADMIN_EMAIL": "root.operator@example.com",
            "ADMIN_PASSWORD": password,
            "JWT_ALGORITHM": algorithm,
            "MAIL_DIRECTORY": mails,
            # A run makes more accounts in a minute than one address ever would.
            "RATE_LIMIT_LOGIN": "3000/minute",
            "RATE_LIMIT_REGISTER": "150/minute",
            "RATE_LIMIT_RECOVERY": "80/minute",
            **(flaw.environment if flaw else {}),
            **(extra or {}),
        }
        algorithm = values["JWT_ALGORITHM"]
        if algorithm != "HS256":
            values.setdefault("JWT_PRIVATE_KEY", private_key(algorithm))
        for name in [name for name in os.environ if name.startswith("AUTH_CONFORMANCE_")]:
            # The demo is its own configuration: what the user has set is about another target.
            stack.enter_context(_without(name))
        stack.enter_context(environment(values))
        turned, next_keys = rotation(algorithm, values)
        stack.enter_context(environment(next_keys))
        stack.enter_context(_own_filters("uvicorn.access"))
        module = stack.enter_context(seeded(package(), flaw.edits if flaw else ()))
        configuration = dict(flaw.configuration) if flaw else {}
        asked = {"POST /auth/register": 150.0, "POST /auth/password/forgot": 80.0}
        usual = {"origins": [ORIGIN], "request_limits": asked, **LIMITS}
        policy = {**usual, **configuration.pop("policy", {})}
        if "ALLOW_WEAK_PASSWORD_HASHING" in (extra or {}):
            policy.setdefault("test_hashing", True)
        settings = load(
            {
                "database": {"env": "DATABASE_URL"},
                "accounts": {
                    "admin": {
                        "username": values["ADMIN_EMAIL"],
                        "password": {"env": "ADMIN_PASSWORD"},
                        "role": "admin",
                    }
                },
                "policy": policy,
                "mailbox": {"folder": mails},
                "restart": f"{module.__name__}:create_app",
                "app_dir": str(Path(module.__file__ or folder).parents[1]),
                "rotation": turned,
                "websockets": [{"path": "/notes/live", "message": '{"note_id": "{id}"}'}],
                **configuration,
            },
            start=Path(folder),
        )
        yield module.create_app(), settings


@contextmanager
def _without(name: str) -> Iterator[None]:
    value = os.environ.pop(name)
    try:
        yield
    finally:
        os.environ[name] = value


@contextmanager
def _own_filters(name: str) -> Iterator[None]:
    """The app filters a logger of the process: a second app in it must not be covered by the first one's filter."""
    logger = logging.getLogger(name)
    before = list(logger.filters)
    logger.filters.clear()
    try:
        yield
    finally:
        logger.filters[:] = before
