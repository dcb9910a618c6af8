"""The reference app is found out completely, from nothing but the application."""

from __future__ import annotations

import secrets
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth_conformance.credentials import Kind
from auth_conformance.discovery.gaps import REMEDIES
from auth_conformance.discovery.writing import as_toml
from auth_conformance.model import Need
from auth_conformance.testing import FAST_HASHING

if TYPE_CHECKING:
    from pathlib import Path

    from auth_conformance.target import Target

NEEDS_NOT_FOUND = {Need.ADMIN, Need.DATABASE, Need.RESTART, Need.MAILBOX}

PASSWORD_FLOWS = {
    "POST /auth/password/change": ("current_password", "new_password"),
    "POST /auth/password/forgot": ("email",),
    "POST /auth/password/reset": ("token", "new_password"),
    "POST /auth/verify": ("token",),
    "POST /auth/verify/resend": ("email",),
}


def flows_for_passwords(target: Target) -> dict[str, tuple[str | None, ...]]:
    change, recovery, verification = target.password_change, target.recovery, target.verification
    if change is None or recovery is None or verification is None or verification.ask is None:
        return {}
    return {
        change.form.operation.name: (change.current, change.new),
        recovery.ask.form.operation.name: (recovery.ask.user,),
        recovery.confirm.form.operation.name: (recovery.confirm.token, recovery.confirm.password),
        verification.confirm.form.operation.name: (verification.confirm.token,),
        verification.ask.form.operation.name: (verification.ask.user,),
    }


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_everything_is_found(
    learn: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, algorithm: str
) -> None:
    create_app = pytest.importorskip("reference_app").create_app
    monkeypatch.setenv("SECRET_KEY", secrets.token_urlsafe(48))
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'reference.db'}")
    monkeypatch.setenv("JWT_ALGORITHM", algorithm)
    for name, value in FAST_HASHING.items():
        monkeypatch.setenv(name, value)
    if algorithm == "ES256":
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        monkeypatch.setenv("JWT_PRIVATE_KEY", pem.decode())
    lesson = learn(create_app(), {})
    target = lesson.target
    assert len(lesson.log) <= 100
    assert [(login.operation.name, login.encoding, login.carrier.kind) for login in target.logins] == [
        ("POST /auth/token", "form", Kind.BEARER),
        ("POST /auth/login", "json", Kind.BEARER),
        ("POST /auth/session", "json", Kind.COOKIE),
    ]
    assert target.logins[2].csrf == "/csrf_token"
    assert target.witness is not None
    assert (target.witness.operation.name, target.witness.identity) == ("GET /users/me", "/email")
    assert target.witness.operation.source is not None
    assert target.witness.operation.source.path.endswith("routes.py")
    assert target.refresh is not None
    assert target.keys is not None
    assert target.keys.expiry_field == "expires_at"
    assert {carrier.place for carrier in target.keys.carriers} == {"header", "query"}
    assert target.objects is not None
    assert target.objects.update is not None
    assert target.register is not None
    assert target.delete_account is not None
    assert target.users is not None
    assert target.users.disable is not None
    assert target.users.disable.body == {"is_active": False}
    assert target.users.promote is not None
    assert target.users.promote.body == {"role": "admin"}
    assert target.users.delete is not None
    assert target.users.delete.operation.name == "DELETE /admin/users/{user_id}"
    assert target.sessions is not None
    assert target.sessions.end is not None
    assert target.sessions.end.name == "DELETE /auth/sessions/{session_id}"
    assert flows_for_passwords(target) == PASSWORD_FLOWS
    assert {item.kind for item in target.logouts} == {Kind.BEARER, Kind.COOKIE}
    assert target.signing_keys[0].algorithm == algorithm
    assert bool(target.public_keys) == (algorithm == "ES256")
    assert set(target.remedies) == NEEDS_NOT_FOUND
    own = [lines for lines in REMEDIES.values() if 'app = "module:app"' in lines]
    assert all("if it is ASGI" in lines for lines in own), "what only Python can do is offered to everybody"
    tables = tomllib.loads(as_toml(target, lesson.settings))
    tables.pop("app")
    again = learn(create_app(), {}, **tables).target
    assert set(again.remedies) == NEEDS_NOT_FOUND
    assert [login.operation.name for login in again.logins] == [
        login.operation.name for login in target.logins
    ]
    assert again.keys is not None
    assert {carrier.place for carrier in again.keys.carriers} == {"header", "query"}
    assert {(item.operation.name, item.kind) for item in again.logouts} == {
        (item.operation.name, item.kind) for item in target.logouts
    }
