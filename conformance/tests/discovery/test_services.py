"""The foreign services of the tests are found out without a line of configuration but the accounts."""

from __future__ import annotations

from typing import Any

import pytest
from services.apikey_app import KEYS
from services.catalogue import SERVICES

from auth_conformance.credentials import Kind
from auth_conformance.model import Need

EXPECTED: dict[str, dict[str, Any]] = {
    "users-jwt": {
        "witness": ("GET /users/me", "/email"),
        "logins": [
            ("POST /auth/jwt/login", "form", Kind.BEARER),
            ("POST /auth/cookie/login", "form", Kind.COOKIE),
        ],
        "logouts": {"POST /auth/jwt/logout", "POST /auth/cookie/logout"},
        "register": "POST /auth/register",
        "change": ("PATCH /users/me", "password"),
        "absent": {Need.REFRESH, Need.KEY_MANAGEMENT, Need.OBJECTS, Need.API_KEY, Need.PUBLIC_KEY},
    },
    "authx": {
        "witness": ("GET /me", "/user_id"),
        "second": "GET /protected",
        "logins": [("POST /login", "json", Kind.BEARER)],
        "logouts": {"POST /logout"},
        "refresh": ("POST /refresh", "header"),
        "absent": {Need.REGISTER, Need.KEY_MANAGEMENT, Need.OBJECTS, Need.COOKIE, Need.TWO_SCHEMES},
    },
    "tutorial": {
        "witness": ("GET /users/me", "/username"),
        "second": "GET /users/me/items",
        "logins": [("POST /token", "form", Kind.BEARER)],
        "absent": {Need.LOGOUT, Need.REFRESH, Need.REGISTER, Need.OBJECTS, Need.COOKIE},
    },
    "envelope": {
        "witness": ("GET /api/profile", "/data/identifier"),
        "second": "GET /api/notes",
        "logins": [("POST /api/session", "json", Kind.BEARER)],
        "logouts": {"DELETE /api/session"},
        "objects": ("POST /api/notes", "/data/id"),
        "absent": {Need.JWT, Need.SIGNING_KEY, Need.REFRESH, Need.REGISTER, Need.COOKIE},
    },
    "cookie": {
        "witness": ("GET /account", "text <h1>Signed in as {}<"),
        "logins": [("POST /login", "form", Kind.COOKIE)],
        "logouts": {"POST /logout"},
        "absent": {Need.JWT, Need.BEARER, Need.REFRESH, Need.REGISTER},
    },
    "apikey": {
        "witness": ("GET /v1/whoami", "/owner"),
        "second": "GET /v1/widgets",
        "logins": [],
        "objects": ("POST /v1/widgets", "/id"),
        "absent": {Need.LOGIN, Need.LOGOUT, Need.REFRESH, Need.BEARER, Need.JWT},
    },
    "basic": {
        "witness": ("GET /whoami", "/name"),
        "second": "GET /drawer",
        "logins": [],
        "absent": {Need.LOGIN, Need.LOGOUT, Need.BEARER, Need.COOKIE},
    },
    "starlette": {
        "witness": ("GET /whoami", "/name"),
        "logins": [("POST /sessions", "json", Kind.BEARER)],
        "logouts": {"DELETE /sessions/current"},
        "absent": {Need.OPENAPI, Need.JWT},
    },
}
BY_NAME = {service.name: service for service in SERVICES}


@pytest.mark.parametrize("kind", ["app", "url"])
@pytest.mark.parametrize("name", EXPECTED)
def test_every_service_is_found_out(
    name: str, kind: str, learn: Any, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    expected = EXPECTED[name]
    suffix = "@example.com" if name.startswith("users") else ""
    accounts: dict[str, Any] = {
        label: {"username": person + suffix, "password": {"env": f"PASSWORD_OF_{person.upper()}"}}
        for label, person in (("a", "alice"), ("b", "bob"))
    }
    if name == "apikey":
        for person, key in KEYS.items():
            monkeypatch.setenv(f"KEY_OF_{person.upper()}", key)
        accounts = {
            label: {"username": person, "key": {"env": f"KEY_OF_{person.upper()}"}}
            for label, person in (("a", "alice"), ("b", "bob"))
        }
    lesson = learn(BY_NAME[name].create_app(), accounts, kind=kind)
    target = lesson.target
    record_property("requests", len(lesson.log))
    assert target.witness is not None
    assert (target.witness.operation.name, target.witness.identity) == expected["witness"]
    found = [(login.operation.name, login.encoding, login.carrier.kind) for login in target.logins]
    assert found == expected["logins"]
    if "second" in expected:
        assert target.second is not None
        assert target.second.operation.name == expected["second"]
    if "logouts" in expected:
        assert {item.operation.name for item in target.logouts} == expected["logouts"]
    if "register" in expected:
        assert target.register is not None
        assert target.register.operation.name == expected["register"]
    if "change" in expected:
        change = target.password_change
        assert change is not None
        assert (change.form.operation.name, change.new, change.current) == (*expected["change"], None)
    if "refresh" in expected:
        assert target.refresh is not None
        assert (target.refresh.operation.name, target.refresh.place) == expected["refresh"]
    if "objects" in expected:
        assert target.objects is not None
        assert (target.objects.create.name, target.objects.identifier) == expected["objects"]
        assert target.objects.delete is not None
    if name != "starlette":
        assert target.public is not None
        assert target.has_document
    missing = expected["absent"] - target.absent.keys()
    assert not missing - ({Need.JWT} if kind == "url" and name == "starlette" else set())
    assert len(lesson.log) <= 150
    wrong = [
        reply.status
        for request, reply in lesson.log
        if request.method == "POST"
        and any(password.encode() in (request.body or b"") for password in ("Tangerine", "Velvet"))
        and reply.status in (400, 401, 403)
    ]
    assert not wrong
