"""The reference app keeps its promises: features, refusals, one error body, lifecycle."""

import asyncio
import base64
import hmac
import json
import logging
import os
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi import FastAPI

from reference_app import create_app
from reference_app.dependencies import ConfigurationError, Settings, load_settings

BASE = "https://testserver"
COOKIE = "__Host-session_token"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DATABASE_URL = os.environ.get("REFERENCE_APP_TEST_DATABASE_URL", "sqlite+aiosqlite://")


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "secret_key": secrets.token_urlsafe(48),
        "database_url": DATABASE_URL,
        "public_url": BASE,
        "cors_origins": ["https://app.example.com"],
        "password_hash_memory_kib": 8,
        "password_hash_time_cost": 1,
        "allow_weak_password_hashing": True,
        "rate_limit_register": "1000/minute",
        "rate_limit_recovery": "1000/minute",
    }
    return Settings(**values | changes)


class Person:
    """Somebody who uses the service."""

    def __init__(self, api: "Api", email: str, password: str) -> None:
        self.api = api
        self.email = email
        self.password = password
        self.refresh_token = ""
        self.headers: dict[str, str] = {}

    async def log_in(self) -> "Person":
        tokens = (await self.api.post("/auth/login", self.credentials)).json()
        self.refresh_token = tokens["refresh_token"]
        self.headers = bearer(tokens["access_token"])
        return self

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.email, "password": self.password}

    async def open_session(self, **headers: str) -> tuple[dict[str, str], str]:
        answer = await self.api.post("/auth/session", self.credentials, headers)
        cookie = re.match(rf"{COOKIE}=([^;]+);", answer.headers["set-cookie"])
        assert cookie is not None
        return {"Cookie": f"{COOKIE}={cookie[1]}"}, answer.json()["csrf_token"]

    async def make_key(self, **body: Any) -> dict[str, Any]:
        answer = await self.api.post("/keys", {"name": "key", **body}, self.headers)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def id(self) -> str:
        return str((await self.api.get("/users/me", self.headers)).json()["id"])


class Api:
    """One running application and a client that keeps no cookies."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        answer = await self.client.request(method, path, **rest)
        self.client.cookies.clear()
        return answer

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.send("GET", path, headers=headers)

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self.send("POST", path, json=body, headers=headers)

    async def person(self, email: str | None = None) -> Person:
        new = Person(self, email or f"p{uuid.uuid4().hex}@example.com", secrets.token_urlsafe(16))
        answer = await self.post("/auth/register", new.credentials)
        assert answer.status_code == 202, answer.text
        return await new.log_in()

    async def administrator(self) -> Person:
        boss = await self.person()
        async with self.app.state.services.database.transaction() as tx:
            (await tx.users.get(await boss.id())).role = "admin"
        return await boss.log_in()

    def mailed_token(self, email: str) -> str:
        mail = self.app.state.outbox.last_to(email)
        return str(mail.body.rpartition("Token: ")[2])

    async def status(self, headers: dict[str, str]) -> int:
        return (await self.get("/users/me", headers)).status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Api]:
    app = create_app(settings(**changes))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=BASE) as client,
    ):
        yield Api(app, client)


def scenario(**changes: Any) -> Callable[[Callable[[Api], Awaitable[None]]], Callable[[], None]]:
    """Turn a coroutine that wants a running application into a test."""

    def decorate(body: Callable[[Api], Awaitable[None]]) -> Callable[[], None]:
        def test() -> None:
            async def play() -> None:
                async with running(**changes) as api:
                    await body(api)

            asyncio.run(play())

        return test

    return decorate


def assert_error(answer: httpx.Response, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert re.fullmatch(r"[a-z_]{3,40}", body["error"])
    assert body["message"]
    assert code in {None, body["error"]}
    assert ("www-authenticate" in answer.headers) or status != 401
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["strict-transport-security"]
    assert answer.headers["vary"] == "Origin"


# ------------------------------------------------------------------------------------------------- settings


def test_no_secret_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SECRET_KEY is not set"):
        create_app()


@pytest.mark.parametrize(
    "value", ["", "tiny", "changethis" * 4, "None", "a" * 64, "test-secret-key-for-testing-only", "abc" * 20]
)
def test_weak_secret_no_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SECRET_KEY", value)
    with pytest.raises(ConfigurationError, match="SECRET_KEY") as refusal:
        create_app()
    assert not value or value not in str(refusal.value).replace("SECRET_KEY", "")


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", secrets.token_urlsafe(48))
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example:8443")
    assert load_settings().cors_origins == ("https://a.example", "https://b.example:8443")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"PASSWORD_HASH_MEMORY_KIB": "8"}, "PASSWORD_HASH_MEMORY_KIB must be at least 19456"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS must be a comma-separated list"),
        ({"CORS_ORIGINS": "null"}, "CORS_ORIGINS"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM"),
        ({"JWT_ALGORITHM": "ES256"}, "JWT_PRIVATE_KEY must hold"),
        ({"JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY": "x"}, "not readable as PEM"),
        ({"ADMIN_EMAIL": "root@example.com"}, "together"),
        ({"RATE_LIMIT_LOGIN": "many"}, "RATE_LIMIT_LOGIN"),
        ({"ACCESS_TOKEN_SECONDS": "3600"}, "ACCESS_TOKEN_SECONDS"),
    ],
)
def test_wrong_settings_are_explained(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], sentence: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", secrets.token_urlsafe(48))
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=sentence):
        create_app()


def test_production_cost_is_the_default() -> None:
    chosen = Settings(secret_key=secrets.token_urlsafe(48))
    assert (chosen.password_hash_memory_kib, chosen.password_hash_time_cost) == (19_456, 2)


# ------------------------------------------------------------------------------------------- error contract


@scenario(max_api_keys_per_user=1, rate_limit_recovery="1/minute")
async def test_every_failure_has_one_body(api: Api) -> None:
    ada = await api.person()
    await ada.make_key()
    plain = {"Content-Type": "text/plain"}
    as_json = {"Content-Type": "application/json"}
    assert_error(await api.get("/users/me"), 401, "not_authenticated")
    assert_error(await api.get("/users/me", bearer("junk")), 401, "invalid_token")
    assert_error(await api.get("/users/me", {"X-API-Key": "junk"}), 401, "invalid_api_key")
    assert_error(await api.get("/users/me?api_key=junk"), 401, "invalid_api_key")
    assert_error(await api.get("/users/me", {"Cookie": f"{COOKIE}=junk"}), 401, "invalid_session")
    assert_error(await api.get("/admin/users", ada.headers), 403, "insufficient_scope")
    assert_error(await api.get("/nowhere"), 404, "not_found")
    assert_error(await api.get("/users/me/", ada.headers), 404, "not_found")
    assert_error(await api.get("/notes/1_0", ada.headers), 404, "not_found")
    wrong_verb = await api.send("PUT", "/notes", headers=ada.headers)
    assert_error(wrong_verb, 405, "method_not_allowed")
    assert wrong_verb.headers["allow"] == "GET, POST"
    assert_error(await api.post("/keys", {"name": "second"}, ada.headers), 409, "too_many_keys")
    too_big = b" " * 200_000
    assert_error(await api.send("POST", "/auth/login", content=too_big, headers=as_json), 413)
    assert_error(await api.send("POST", "/auth/login", content=_stream(too_big), headers=as_json), 413)
    assert_error(await api.send("POST", "/auth/login", content=b"{}", headers=plain), 415)
    assert_error(await api.send("POST", "/auth/login", content=b"{", headers=as_json), 422)
    assert_error(await api.post("/auth/login", {"email": "x"}), 422, "validation_failed")
    await api.post("/auth/password/forgot", {"email": ada.email})
    throttled = await api.post("/auth/password/forgot", {"email": ada.email})
    assert_error(throttled, 429, "too_many_requests")
    assert 0 < int(throttled.headers["retry-after"]) <= 60
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    assert_error(await api.send("OPTIONS", "/users/me", headers=preflight), 400, "cors_refused")
    api.app.state.services.database = None
    assert_error(await api.get("/users/me", ada.headers), 500, "internal_error")


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1_000):
        yield data[start : start + 1_000]


@scenario()
async def test_input_is_never_echoed(api: Api) -> None:
    canary = "canary" + secrets.token_hex(8)
    as_json = {"Content-Type": "application/json"}
    for answer in [
        await api.post("/auth/register", {"email": "nobody", "password": canary}),
        await api.post("/auth/register", {"password": canary}),
        await api.post("/auth/register", {"email": "a@b.example", "password": canary[:3]}),
        await api.post("/auth/register", {"email": "a@b.example", "password": [canary]}),
        await api.post("/auth/register", {"email": "a@b.example", "password": canary, canary: 1}),
        await api.send("POST", "/auth/login", content=f'{{"{canary}'.encode(), headers=as_json),
        await api.send(
            "POST", "/auth/login", content=canary.encode(), headers={"Content-Type": "text/plain"}
        ),
        await api.post("/auth/token", {"username": "x", "password": canary}),
        await api.get("/users/me", bearer(canary)),
        await api.get(f"/{canary}?api_key={canary}"),
    ]:
        assert answer.status_code >= 400
        assert canary not in answer.text + str(answer.headers)


@scenario()
async def test_hostile_credentials_are_refused_calmly(api: Api) -> None:
    deep = _b64(b'{"alg":' + b"[" * 1_500 + b"]" * 1_500 + b"}")
    huge = _b64(b'{"alg":"HS256","typ":"at+jwt","kid":' + b"9" * 2_000 + b"}")
    utf16 = _b64('{"alg":"HS256","typ":"at+jwt"}'.encode("utf-16"))
    lone = _b64(b'{"alg":"HS256","typ":"at+jwt","kid":"\\ud800"}')
    tokens = [
        deep,
        huge,
        utf16,
        lone,
        _b64(b"null"),
        _b64(b'{"kid":[],"typ":{}}'),
        "..",
        "a.b.c",
        "",
        "x" * 60_000,
    ]
    for head in tokens:
        assert_error(await api.get("/users/me", bearer(f"{head}.{head}.x")), 401)
    raw: list[tuple[bytes, bytes]] = [
        (b"authorization", b"Bearer \xff\xfe"),
        (b"authorization", b"Basic eDp4"),
        (b"authorization", b"Basic ===="),
        (b"authorization", b""),
        (b"authorization", b"Bearer"),
        (b"authorization", b"Bearer\tx"),
        (b"x-api-key", b"\xff" * 100),
        (b"x-api-key", b"k" * 8_192),
        (b"x-api-key", b""),
        (b"cookie", f"{COOKIE}=".encode() + b"\xf0\x9f" * 2_000),
        (b"cookie", f"{COOKIE}".encode()),
    ]
    for header in raw:
        assert_error(await api.send("GET", "/users/me", headers=[header]), 401)
    as_json = {"Content-Type": "application/json"}
    for body in (
        b'{"email":"\\ud800"}',
        b'{"email":"ada@example.com","password":"half of \\ud800"}',
        b"[" * 50_000,
        b'{"a":' + b"9" * 50_000 + b"}",
        b"\xff",
        b"NaN",
        b'"\x00"',
    ):
        answer = await api.send("POST", "/auth/login", content=body, headers=as_json)
        assert answer.status_code in {400, 422}
        assert answer.json()["error"]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# -------------------------------------------------------------------------- registration, mail and password


@scenario()
async def test_registration_reveals_nothing_and_keeps_the_first_password(api: Api) -> None:
    ada = await api.person(f"Ada.{uuid.uuid4().hex}@Example.com")
    spellings = [
        ada.email.upper(),
        f"  {ada.email}\t",
        ada.email.replace("@", "\uff20"),
        ada.email.replace("A", "\uff21"),
    ]
    for spelling in spellings:
        again = await api.post("/auth/register", {"email": spelling, "password": secrets.token_urlsafe()})
        fresh = await api.post(
            "/auth/register", {"email": f"{uuid.uuid4()}@x.example", "password": secrets.token_urlsafe()}
        )
        assert (again.status_code, again.text) == (fresh.status_code, fresh.text)
        assert (
            await api.post("/auth/login", {"email": spelling, "password": ada.password})
        ).status_code == 200
    assert api.app.state.outbox.last_to(ada.email.lower()).subject == "About your account"
    for odd in (
        "a\u200bb@x.example",
        "a\x00@x.example",
        "a b@x.example",
        "ädä@x.example",
        "a@x",
        "@x.example",
    ):
        assert_error(
            await api.post("/auth/register", {"email": odd, "password": secrets.token_urlsafe()}), 422
        )


@scenario()
async def test_simultaneous_registrations_make_one_account(api: Api) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    bodies = [{"email": email, "password": secrets.token_urlsafe()} for _ in range(8)]
    answers = await asyncio.gather(*(api.post("/auth/register", body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}
    logins = [(await api.post("/auth/login", body)).status_code for body in bodies]
    assert sorted(logins) == [200] + [401] * 7


@scenario()
async def test_password_policy(api: Api) -> None:
    weak = [
        "short",
        "password1",
        "12345678",
        "qwertyuiop",
        "passwordpassword",
        "P4ssw0rd!",
        "letmein2024",
        "a\x00" * 9,
    ]
    for password in [*weak, "x" * 129, "someone-and-more"]:
        body = {"email": "someone@example.com", "password": password}
        assert_error(await api.post("/auth/register", body), 422)
    fine = [
        "zqvkwjxhpmrtnbcgdfsl",
        "59381746029385716420",
        "  inner and outer  ",
        "é" * 64,
        "x7" + "k9f" * 42,
        "🦀🐙🦑🐌🐝🦋🐞🦗",
    ]
    for password in fine:
        body = {"email": f"{uuid.uuid4().hex}@example.com", "password": password}
        assert (await api.post("/auth/register", body)).status_code == 202
        assert (await api.post("/auth/login", body)).status_code == 200
        for altered in (password[:-1], password + "x", password.strip() + "\0"):
            assert_error(await api.post("/auth/login", body | {"password": altered}), 401)


@scenario(require_verified_email=True)
async def test_verification_by_mail(api: Api) -> None:
    email, password = f"{uuid.uuid4().hex}@example.com", secrets.token_urlsafe()
    await api.post("/auth/register", {"email": email, "password": password})
    assert_error(
        await api.post("/auth/login", {"email": email, "password": password}), 403, "email_not_verified"
    )
    assert_error(await api.post("/auth/login", {"email": email, "password": password + "x"}), 401)
    old = api.mailed_token(email)
    await api.post("/auth/verify/resend", {"email": email})
    new = api.mailed_token(email)
    assert_error(await api.post("/auth/verify", {"token": old}), 400)
    reset = await api.post("/auth/password/reset", {"token": new, "new_password": secrets.token_urlsafe()})
    assert_error(reset, 400)
    assert (await api.post("/auth/verify", {"token": new})).status_code == 204
    assert_error(await api.post("/auth/verify", {"token": new}), 400)
    assert (await api.post("/auth/login", {"email": email, "password": password})).status_code == 200


@scenario()
async def test_password_reset_is_single_use_and_ends_everything(api: Api) -> None:
    ada = await api.person()
    cookie, _ = await ada.open_session()
    unknown = await api.post("/auth/password/forgot", {"email": f"{uuid.uuid4()}@x.example"})
    known = await api.send(
        "POST", "/auth/password/forgot", json={"email": ada.email}, headers={"Host": "evil.example"}
    )
    assert (unknown.status_code, unknown.text) == (known.status_code, known.text)
    token = api.mailed_token(ada.email)
    assert BASE in api.app.state.outbox.last_to(ada.email).body
    weak = await api.post("/auth/password/reset", {"token": token, "new_password": "password1"})
    assert_error(weak, 422)
    passwords = [secrets.token_urlsafe() for _ in range(8)]
    answers = await asyncio.gather(
        *(api.post("/auth/password/reset", {"token": token, "new_password": new}) for new in passwords)
    )
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 7
    winner = passwords[[answer.status_code for answer in answers].index(204)]
    assert await api.status(ada.headers) == await api.status(cookie) == 401
    assert_error(await api.post("/auth/login", ada.credentials), 401)
    assert (await api.post("/auth/login", ada.credentials | {"password": winner})).status_code == 200


@scenario()
async def test_expired_reset_token(api: Api) -> None:
    ada = await api.person()
    await api.post("/auth/password/forgot", {"email": ada.email})
    body = {"token": api.mailed_token(ada.email), "new_password": secrets.token_urlsafe()}
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=1_801)):
        assert_error(await api.post("/auth/password/reset", body), 400, "invalid_mailed_token")


@scenario()
async def test_password_change(api: Api) -> None:
    ada = await api.person()
    other, key = (
        await Person(api, ada.email, ada.password).log_in(),
        await ada.make_key(scopes=["keys:manage"]),
    )
    cookie, csrf = await ada.open_session()
    new = secrets.token_urlsafe()
    wrong = {"current_password": new, "new_password": new}
    right = {"current_password": ada.password, "new_password": new}
    assert_error(await api.post("/auth/password/change", wrong, ada.headers), 403, "wrong_password")
    assert_error(
        await api.post("/auth/password/change", right, {"X-API-Key": key["key"]}), 403, "login_required"
    )
    weak = right | {"new_password": "x-" + ada.email.partition("@")[0]}
    assert_error(await api.post("/auth/password/change", weak, ada.headers), 422, "weak_password")
    changed = await api.post("/auth/password/change", right, {**cookie, "X-CSRF-Token": csrf})
    assert changed.status_code == 204
    assert COOKIE in changed.headers["set-cookie"]
    assert {await api.status(who) for who in (ada.headers, other.headers, cookie)} == {401}
    assert await api.status({"X-API-Key": key["key"]}) == 200
    assert_error(await api.post("/auth/login", ada.credentials), 401)
    ada.password = new
    await ada.log_in()
    again = {"current_password": new, "new_password": secrets.token_urlsafe()}
    assert (await api.post("/auth/password/change", again, ada.headers)).status_code == 204
    assert await api.status(ada.headers) == 200


# --------------------------------------------------------------------------------------- login and throttle


@scenario(login_attempt_limit=4)
async def test_throttle_is_uniform_and_recovers(api: Api) -> None:
    ada = await api.person()
    for email in (ada.email, f"{uuid.uuid4()}@x.example"):
        codes = [
            (await api.post("/auth/login", {"email": spelling, "password": "wrong"})).status_code
            for spelling in (email, email.upper(), f" {email}", email, email, email.upper())
        ]
        assert codes == [401] * 4 + [429] * 2
    held = await api.post("/auth/login", ada.credentials, {"X-Forwarded-For": "203.0.113.9"})
    assert_error(held, 429)
    assert await api.status(ada.headers) == 200
    assert (await (await api.person()).log_in()).headers
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(held.headers["retry-after"]) + 1)):
        assert (await api.post("/auth/login", ada.credentials)).status_code == 200


@scenario(login_attempt_limit=5)
async def test_a_burst_cannot_outrun_the_throttle(api: Api) -> None:
    ada = await api.person()
    wrong = ada.credentials | {"password": "wrong"}
    answers = await asyncio.gather(*(api.post("/auth/login", wrong) for _ in range(20)))
    assert sum(answer.status_code == 401 for answer in answers) <= 5 + (0 if "sqlite" in DATABASE_URL else 20)


@scenario()
async def test_unknown_and_known_cost_the_same_hashing(api: Api) -> None:
    ada = await api.person()
    hasher = api.app.state.services.passwords
    original, calls = hasher.verify, []

    async def counted(password: object, hashed: str) -> object:
        calls.append(hashed.rpartition("$")[0].rpartition("$")[0])
        return await original(password, hashed)

    hasher.verify = counted
    first = await api.post("/auth/login", ada.credentials | {"password": "wrong"})
    second = await api.post("/auth/login", {"email": "x@y.example", "password": "wrong"})
    assert first.text == second.text
    assert first.headers == second.headers
    assert len(calls) == 2
    assert calls[0] == calls[1]


@scenario()
async def test_form_login_grants_what_was_asked_for(api: Api) -> None:
    ada = await api.person()
    form = {
        "grant_type": "password",
        "username": ada.email,
        "password": ada.password,
        "scope": "notes:read admin",
    }
    tokens = (await api.send("POST", "/auth/token", data=form)).json()
    assert tokens["scope"] == "notes:read"
    narrow = bearer(tokens["access_token"])
    assert (await api.get("/notes", narrow)).status_code == 200
    refused = await api.post("/notes", {"title": "x"}, narrow)
    assert_error(refused, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    refreshed = (await api.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})).json()
    assert refreshed["scope"] == "notes:read"


# --------------------------------------------------------------------------------------------------- tokens


@scenario()
async def test_refresh_reuse_ends_the_family_and_no_other(api: Api) -> None:
    ada = await api.person()
    other = await Person(api, ada.email, ada.password).log_in()
    second = (await api.post("/auth/refresh", {"refresh_token": ada.refresh_token})).json()
    third = (await api.post("/auth/refresh", {"refresh_token": second["refresh_token"]})).json()
    assert await api.status(bearer(third["access_token"])) == 200
    assert_error(await api.post("/auth/refresh", {"refresh_token": ada.refresh_token}), 401)
    assert_error(await api.post("/auth/refresh", {"refresh_token": third["refresh_token"]}), 401)
    assert await api.status(bearer(third["access_token"])) == await api.status(ada.headers) == 401
    assert await api.status(other.headers) == 200


@scenario()
async def test_refresh_works_once_under_concurrency(api: Api) -> None:
    for _ in range(3):
        ada = await api.person()
        body = {"refresh_token": ada.refresh_token}
        answers = await asyncio.gather(*(api.post("/auth/refresh", body) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


@scenario()
async def test_token_kinds_are_not_interchangeable(api: Api) -> None:
    ada = await api.person()
    access = ada.headers["Authorization"].removeprefix("Bearer ")
    assert await api.status(bearer(ada.refresh_token)) == 401
    assert_error(await api.post("/auth/refresh", {"refresh_token": access}), 401)


def _sign(key: str, claims: dict[str, Any], header: dict[str, Any]) -> str:
    signed = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(hmac.digest(key.encode(), signed.encode(), 'sha256'))}"


def test_only_honest_claims_are_accepted() -> None:
    key = secrets.token_urlsafe(48)

    @scenario(secret_key=key)
    async def body(api: Api) -> None:
        ada, bob = await api.person(), await api.person()
        token = ada.headers["Authorization"].removeprefix("Bearer ")
        good = jwt.decode(token, options={"verify_signature": False})
        head = jwt.get_unverified_header(token)
        now = datetime.now(UTC).timestamp()
        assert await api.status(bearer(_sign(key, good, head))) == 200
        assert await api.status(bearer(_sign(key, good | {"exp": now + 60.5, "jti": "other"}, head))) == 200
        ends: list[Any] = [now - 6, None, "1999999999", True, [now + 60], {}, (now + 60) * 1_000, 1e20]
        bad: list[dict[str, Any]] = [
            *({"exp": value} for value in ends),
            *({"exp": float(value)} for value in ("nan", "inf", "-inf")),
            {"nbf": now + 301},
            {"iat": now + 3_600},
            *({"aud": value} for value in (None, "", [], "other", ["other"], "reference-app-api/", {"a": 1})),
            *({"iss": value} for value in (None, "other", "reference-app/", ["reference-app"], "reference")),
            *(
                {"sub": value}
                for value in (None, "", 1, [good["sub"]], str(uuid.uuid4()), good["sub"].upper(), "\ud800")
            ),
            {"sub": good["sub"] + "\0"},
            *({"sid": value} for value in (None, "", 1, str(uuid.uuid4()), "\ud800")),
            {"jti": None},
            {"jti": 1},
        ]
        for change in bad:
            assert await api.status(bearer(_sign(key, good | change, head))) == 401, change
        for claim in ("exp", "nbf", "iat", "iss", "aud", "sub", "jti", "sid"):
            lacking = {name: value for name, value in good.items() if name != claim}
            assert await api.status(bearer(_sign(key, lacking, head))) == 401, claim
        headers: list[dict[str, Any]] = [
            *({"alg": value} for value in ("none", "None", "", None, "hs256", "HS512", ["HS256"], "RS256")),
            *({"typ": value} for value in ("JWT", "rt+jwt", "AT+JWT", None, ["at+jwt"])),
            *({"kid": value} for value in ("", None, "../../dev/null", ["x"], "' OR 1=1--")),
            *({"crit": value} for value in (["exp"], [], "x", ["b64"])),
            {"b64": False},
        ]
        for change in headers:
            assert await api.status(bearer(_sign(key, good, head | change))) == 401, change
        twice = _b64(json.dumps(good).encode()[:-1] + b',"sub":"' + (await bob.id()).encode() + b'"}')
        signed = f"{token.partition('.')[0]}.{twice}"
        assert (
            await api.status(bearer(f"{signed}.{_b64(hmac.digest(key.encode(), signed.encode(), 'sha256'))}"))
            == 401
        )
        embedded = head | {"jwk": {"kty": "oct", "k": _b64(b"k" * 32)}}
        assert await api.status(bearer(_sign("k" * 32, good, embedded))) == 401
        for respelt in (
            token + "=",
            token[:-1] + chr(ord(token[-1]) + 1),
            token + ".",
            f"{token} {token}",
            "." + token,
        ):
            assert await api.status(bearer(respelt)) == 401, respelt

    body()


def test_expired_access_token() -> None:
    @scenario()
    async def body(api: Api) -> None:
        ada = await api.person()
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=890)):
            assert await api.status(ada.headers) == 200
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=906)):
            assert await api.status(ada.headers) == 401

    body()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _new_key(algorithm: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    return (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else rsa.generate_private_key(65_537, 2_048)
    )


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_asymmetric_keys_and_rotation(algorithm: str, tmp_path: Path) -> None:
    first, second = _new_key(algorithm), _new_key(algorithm)
    fixed = {
        "database_url": f"sqlite+aiosqlite:///{tmp_path}/app.db",
        "secret_key": secrets.token_urlsafe(48),
        "jwt_algorithm": algorithm,
    }

    async def play() -> None:
        async with running(jwt_private_key=_pem(first), **fixed) as api:
            ada = await api.person()
            assert await api.status(ada.headers) == 200
            published = (await api.get("/.well-known/jwks.json")).json()["keys"]
            assert len(published) == 1
            assert not {"d", "p", "q", "k"} & published[0].keys()
            token = ada.headers["Authorization"].removeprefix("Bearer ")
            head, claims = (
                jwt.get_unverified_header(token),
                jwt.decode(token, options={"verify_signature": False}),
            )
            assert head["kid"] == published[0]["kid"]
            jwt.decode(token, jwt.PyJWK(published[0]), audience="reference-app-api")
            spki = first.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (_public_pem(first), spki.decode("latin-1")):
                assert await api.status(bearer(_sign(public, claims, head | {"alg": "HS256"}))) == 401
            if algorithm == "ES256":
                signed, _, signature = token.rpartition(".")
                raw = base64.urlsafe_b64decode(signature + "==")
                twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
                assert await api.status(bearer(f"{signed}.{_b64(twin)}")) == 401
        overlap = {"jwt_private_key": _pem(second), "jwt_previous_public_keys": _public_pem(first)}
        async with running(**overlap, **fixed) as api:
            assert await api.status(ada.headers) == 200
            kids = [key["kid"] for key in (await api.get("/.well-known/jwks.json")).json()["keys"]]
            assert len(set(kids)) == 2
            new = await Person(api, ada.email, ada.password).log_in()
            assert jwt.get_unverified_header(new.headers["Authorization"][7:])["kid"] == kids[0]
        async with running(jwt_private_key=_pem(second), **fixed) as api:
            assert await api.status(ada.headers) == 401
            assert await api.status(new.headers) == 200

    asyncio.run(play())


def test_shared_secret_rotation(tmp_path: Path) -> None:
    old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    url = f"sqlite+aiosqlite:///{tmp_path}/app.db"

    async def play() -> None:
        async with running(secret_key=old, database_url=url) as api:
            ada = await api.person()
            assert (await api.get("/.well-known/jwks.json")).status_code == 404
        async with running(secret_key=new, previous_secret_keys=old, database_url=url) as api:
            assert await api.status(ada.headers) == 200
        async with running(secret_key=new, database_url=url) as api:
            assert await api.status(ada.headers) == 401

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------- sessions


@scenario()
async def test_session_cookie_and_its_attributes(api: Api) -> None:
    ada = await api.person()
    answer = await api.post("/auth/session", ada.credentials)
    cookie = answer.headers["set-cookie"]
    for attribute in ("Secure", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert attribute in cookie
    assert "Domain" not in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    assert value not in answer.text
    assert await api.status({"Cookie": f"{COOKIE}={value}"}) == 200
    for wrong in (
        f'{COOKIE}="{value}"',
        f"{COOKIE.lower()}={value}",
        f"{COOKIE}={value}x",
        f"{COOKIE}={value[:-1]}",
    ):
        assert await api.status({"Cookie": wrong}) == 401
    assert await api.status({"Cookie": f"{COOKIE}={value}; {COOKIE}=x"}) == 401
    assert await api.status(bearer(value)) == await api.status({"X-API-Key": value}) == 401


@scenario()
async def test_login_renews_the_session(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    first, _ = await ada.open_session()
    second, _ = await ada.open_session(**first)
    third, _ = await bob.open_session(**second)
    planted, _ = await ada.open_session(Cookie=f"{COOKIE}={'x' * 43}")
    assert planted["Cookie"] != f"{COOKIE}={'x' * 43}"
    assert [await api.status(cookie) for cookie in (first, second, third, planted)] == [401, 401, 200, 200]


@scenario()
async def test_session_ends_when_idle_and_at_its_limit(api: Api) -> None:
    ada = await api.person()
    idle, _ = await ada.open_session()
    busy, _ = await ada.open_session()
    start = datetime.now(UTC)
    for minutes in range(20, 720, 20):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            assert await api.status(busy) == 200, minutes
            if minutes == 40:
                assert await api.status(idle) == 401
    with time_machine.travel(start + timedelta(minutes=721)):
        assert await api.status(busy) == 401


@scenario()
async def test_csrf(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    cookie, csrf = await ada.open_session()
    _, foreign = await bob.open_session()
    note = {"title": "x"}
    refused: list[dict[str, str]] = [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": foreign},
        {"X-CSRF-Token": csrf, "Origin": "https://evil.example"},
        {"X-CSRF-Token": csrf, "Origin": "null"},
        {"X-CSRF-Token": csrf, "Sec-Fetch-Site": "cross-site"},
    ]
    for headers in refused:
        assert_error(await api.post("/notes", note, cookie | headers), 403, "csrf_failed")
    for decoy in ({"Authorization": "Bearer x"}, {"X-API-Key": "x"}, {"Authorization": ""}):
        assert_error(await api.post("/notes", note, cookie | decoy), 401)
    assert_error(await api.post("/notes?api_key=x", note, cookie), 401)
    for origin in ({}, {"Origin": BASE}, {"Origin": "https://app.example.com"}):
        assert (await api.post("/notes", note, cookie | {"X-CSRF-Token": csrf} | origin)).status_code == 201
    assert (await api.get("/auth/session", cookie)).json()["csrf_token"] == csrf
    evil = await api.post("/auth/session", ada.credentials, {"Origin": "https://evil.example"})
    assert_error(evil, 403, "csrf_failed")
    plain = cookie | {"X-CSRF-Token": csrf, "Content-Type": "text/plain"}
    assert_error(await api.send("POST", "/notes", content=b'{"title":"x"}', headers=plain), 415)


@scenario()
async def test_logout_ends_one_login(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    other = await Person(api, ada.email, ada.password).log_in()
    cookie, csrf = await ada.open_session()
    assert (await api.post("/auth/logout", headers=ada.headers)).status_code == 204
    assert await api.status(ada.headers) == 401
    assert_error(await api.post("/auth/refresh", {"refresh_token": ada.refresh_token}), 401)
    assert_error(await api.post("/auth/logout", headers=ada.headers), 401)
    assert {await api.status(who) for who in (other.headers, cookie, bob.headers)} == {200}
    gone = await api.post("/auth/logout", headers=cookie | {"X-CSRF-Token": csrf})
    assert gone.status_code == 204
    assert f'{COOKIE}=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict; Secure' in gone.headers["set-cookie"]
    assert gone.headers["clear-site-data"]
    assert await api.status(cookie) == 401
    key = await other.make_key()
    assert_error(await api.post("/auth/logout", headers={"X-API-Key": key["key"]}), 403, "login_required")
    await other.log_in()
    assert (await api.post("/auth/logout-all", headers=other.headers)).status_code == 204
    assert await api.status(other.headers) == 401
    assert await api.status({"X-API-Key": key["key"]}) == 200


@scenario(max_sessions_per_user=3)
async def test_sessions_are_listed_ended_and_limited(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    second = await Person(api, ada.email, ada.password).log_in()
    listed = (await api.get("/auth/sessions", ada.headers)).json()
    assert [session["is_current"] for session in listed] == [False, True]
    assert {await api.status(bearer(session["id"])) for session in listed} == {401}
    theirs = listed[0]["id"]
    assert_error(await api.send("DELETE", f"/auth/sessions/{theirs}", headers=bob.headers), 404)
    assert await api.status(second.headers) == 200
    assert (await api.send("DELETE", f"/auth/sessions/{theirs}", headers=ada.headers)).status_code == 204
    assert await api.status(second.headers) == 401
    for _ in range(3):
        await second.log_in()
    assert await api.status(ada.headers) == 401
    assert len((await api.get("/auth/sessions", second.headers)).json()) == 3


# -------------------------------------------------------------------------------- several credentials, keys


@scenario()
async def test_several_credentials(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    ada_cookie, _ = await ada.open_session()
    bob_key = {"X-API-Key": (await bob.make_key())["key"]}
    ada_key = {"X-API-Key": (await ada.make_key())["key"]}
    for mixed in (ada.headers | bob_key, ada_cookie | bob_key, bob.headers | ada_cookie):
        assert_error(await api.get("/users/me", mixed), 401, "conflicting_credentials")
    for bad in ({"X-API-Key": "junk"}, {"Cookie": f"{COOKIE}=junk"}):
        assert await api.status(ada.headers | bad) == 401
    for bad in (bearer("junk"), {"Authorization": "Basic eDp4"}, {"Authorization": "Token x"}):
        assert await api.status(ada_key | bad) == await api.status(ada_cookie | bad) == 401
    assert await api.status(ada.headers | ada_key | ada_cookie) == 200
    assert_error(await api.get(f"/users/me?api_key={bob_key['X-API-Key']}", ada_key), 401)
    both = [("Authorization", ada.headers["Authorization"]), ("Authorization", bob.headers["Authorization"])]
    assert_error(await api.send("GET", "/users/me", headers=both), 400, "invalid_request")
    assert (await api.get("/auth/login", ada.headers)).json()["kind"] == "bearer"
    assert (await api.get("/auth/key", ada_key)).json()["name"] == "key"
    assert_error(await api.get("/auth/login", ada_key), 401)
    assert_error(await api.get("/auth/key", ada.headers), 401)
    assert_error(await api.get("/auth/session", ada.headers), 401)


@scenario()
async def test_keys_are_verified_in_full_and_stored_hashed(api: Api) -> None:
    ada = await api.person()
    made = await ada.make_key()
    key = made["key"]
    for wrong in (
        key[:-1],
        key + "x",
        made["prefix"],
        key.swapcase(),
        made["id"],
        f'"{key}"',
        f"{key},{key}",
        f"{key[:20]}%",
    ):
        assert await api.status({"X-API-Key": wrong}) == 401, wrong
    changed = key[:20] + ("A" if key[20] != "A" else "B") + key[21:]
    assert await api.status({"X-API-Key": changed}) == 401
    shown = await api.get("/keys", ada.headers)
    assert key not in shown.text
    assert "digest" not in shown.text
    assert key not in (await api.get(f"/keys/{made['id']}", ada.headers)).text
    async with api.app.state.services.database.transaction() as tx:
        row = await tx.api_keys.find_by_prefix(made["prefix"])
    assert key[12:24] not in str(vars(row))
    assert await api.status({"X-API-Key": row.key_digest}) == 401


@scenario()
async def test_keys_cannot_escalate(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    manager = {"X-API-Key": (await ada.make_key(scopes=["keys:manage"]))["key"]}
    reader = {"X-API-Key": (await ada.make_key())["key"]}
    wide = await ada.make_key(scopes=["notes:read", "notes:write"])
    assert_error(await api.post("/keys", {"name": "k"}, reader), 403, "insufficient_scope")
    assert_error(
        await api.post("/keys", {"name": "k", "scopes": ["notes:write"]}, manager), 403, "scope_not_yours"
    )
    assert_error(
        await api.post("/keys", {"name": "k", "scopes": ["admin"]}, ada.headers), 403, "scope_not_yours"
    )
    assert_error(await api.post("/keys", {"name": "k", "user_id": await bob.id()}, ada.headers), 422)
    assert_error(await api.post(f"/keys/{wide['id']}/rotate", headers=manager), 403, "scope_not_yours")
    assert_error(await api.post(f"/keys/{wide['id']}/rotate", headers=bob.headers), 404)
    assert_error(await api.send("DELETE", f"/keys/{wide['id']}", headers=bob.headers), 404)
    assert_error(await api.send("DELETE", "/users/me", headers=manager), 403)
    rotated = (await api.post(f"/keys/{wide['id']}/rotate", headers=ada.headers)).json()
    assert await api.status({"X-API-Key": wide["key"]}) == 401
    assert (await api.post("/notes", {"title": "x"}, {"X-API-Key": rotated["key"]})).status_code == 201
    assert (await api.send("DELETE", f"/keys/{rotated['id']}", headers=ada.headers)).status_code == 204
    assert await api.status({"X-API-Key": rotated["key"]}) == 401
    assert await api.status(reader) == 200


@scenario()
async def test_key_expiry(api: Api) -> None:
    ada = await api.person()
    now = datetime.now(UTC)
    ahead = (now + timedelta(minutes=10)).astimezone()
    key = {"X-API-Key": (await ada.make_key(expires_at=ahead.isoformat()))["key"]}
    endless = {"X-API-Key": (await ada.make_key())["key"]}
    with time_machine.travel(now + timedelta(minutes=9)):
        assert await api.status(key) == 200
    with time_machine.travel(now + timedelta(minutes=10, seconds=1)):
        assert await api.status(key) == 401
        assert await api.status(endless) == 200
    past, naive, far = now - timedelta(1), ahead.replace(tzinfo=None), now + timedelta(400)
    for wrong in (past.isoformat(), naive.isoformat(), far.isoformat(), "9999-12-31T00:00:00Z", "soon", -1):
        assert_error(await api.post("/keys", {"name": "k", "expires_at": wrong}, ada.headers), 422)


# ------------------------------------------------------------------------------------- objects and accounts


@scenario()
async def test_notes_belong_to_their_owner(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    canary = secrets.token_hex(8)
    note = (await api.post("/notes", {"title": "t", "content": canary}, ada.headers)).json()
    path = f"/notes/{note['id']}"
    for answer in (
        await api.get(path, bob.headers),
        await api.send("PATCH", path, json={"title": "stolen"}, headers=bob.headers),
        await api.send("DELETE", path, headers=bob.headers),
        await api.get(path.upper().replace("/NOTES", "/notes"), ada.headers),
    ):
        assert_error(answer, 404, "not_found")
    assert canary not in (await api.get("/notes?owner_id=" + await ada.id(), bob.headers)).text
    assert (await api.get(path, ada.headers)).json() == note
    patched = await api.send("PATCH", path, json={"content": "new"}, headers=ada.headers)
    assert (patched.json()["title"], patched.json()["content"]) == ("t", "new")
    assert_error(await api.send("PATCH", path, json={"owner_id": "x"}, headers=ada.headers), 422)
    assert_error(await api.get("/notes?limit=1000000", ada.headers), 422)
    assert (await api.send("DELETE", path, headers=ada.headers)).status_code == 204
    assert_error(await api.get(path, ada.headers), 404)


@scenario()
async def test_privileged_fields_cannot_be_set(api: Api) -> None:
    ada = await api.person()
    for field in ("role", "is_active", "is_verified", "id", "password_hash", "email"):
        assert_error(
            await api.send(
                "PATCH", "/users/me", json={"display_name": "A", field: "admin"}, headers=ada.headers
            ),
            422,
        )
        body = {
            "email": f"{uuid.uuid4().hex}@example.com",
            "password": secrets.token_urlsafe(),
            field: "admin",
        }
        if field != "email":
            assert_error(await api.post("/auth/register", body), 422)
    for name in ("O'Brien", "D'Arcy-Ó", '"quoted"', "<script>", None):
        changed = await api.send("PATCH", "/users/me", json={"display_name": name}, headers=ada.headers)
        assert changed.json()["display_name"] == name
    for name in ("a\r\nb", "a\x00", "\u202eabc", " ", "x" * 101):
        assert_error(
            await api.send("PATCH", "/users/me", json={"display_name": name}, headers=ada.headers), 422
        )


@scenario()
async def test_disabled_and_enabled_again(api: Api) -> None:
    boss, ada, bob = await api.administrator(), await api.person(), await api.person()
    cookie, _ = await ada.open_session()
    key = {"X-API-Key": (await ada.make_key())["key"]}
    await api.post("/auth/password/forgot", {"email": ada.email})
    reset = {"token": api.mailed_token(ada.email), "new_password": secrets.token_urlsafe()}
    path = f"/admin/users/{await ada.id()}"
    assert_error(await api.send("PATCH", path, json={"is_active": False}, headers=bob.headers), 403)
    blocked = await api.send("PATCH", path, json={"is_active": False}, headers=boss.headers)
    assert blocked.json()["is_active"] is False
    everything = (ada.headers, cookie, key)
    assert {await api.status(who) for who in everything} == {401}
    assert_error(await api.post("/auth/refresh", {"refresh_token": ada.refresh_token}), 401)
    assert_error(await api.post("/auth/login", ada.credentials), 401, "invalid_credentials")
    assert_error(await api.post("/auth/password/reset", reset), 400)
    await api.send("PATCH", path, json={"is_active": True}, headers=boss.headers)
    assert {await api.status(who) for who in everything} == {401}
    assert_error(await api.post("/auth/password/reset", reset), 400)
    assert await api.status((await ada.log_in()).headers) == 200
    assert await api.status(bob.headers) == 200


@scenario()
async def test_roles_take_effect_at_once(api: Api) -> None:
    boss, ada = await api.administrator(), await api.person()
    path = f"/admin/users/{await ada.id()}"
    assert_error(await api.get("/admin/users", ada.headers), 403)
    await api.send("PATCH", path, json={"role": "admin"}, headers=boss.headers)
    await ada.log_in()
    key = {"X-API-Key": (await ada.make_key(scopes=["admin"]))["key"]}
    weak = {"X-API-Key": (await ada.make_key(scopes=["notes:read"]))["key"]}
    assert (await api.get("/admin/users", key)).status_code == 200
    assert_error(await api.get("/admin/users", weak), 403)
    await api.send("PATCH", path, json={"role": "user"}, headers=boss.headers)
    assert_error(await api.get("/admin/users", ada.headers), 403)
    assert_error(await api.get("/admin/users", key), 403)
    renewed = (await api.post("/auth/refresh", {"refresh_token": ada.refresh_token})).json()
    assert "admin" not in renewed["scope"]
    assert (await api.send("DELETE", f"{path}/sessions", headers=boss.headers)).status_code == 204
    assert await api.status(ada.headers) == 401
    assert (await api.send("DELETE", path, headers=boss.headers)).status_code == 204
    assert_error(await api.get(path, boss.headers), 404)


@scenario()
async def test_a_new_account_inherits_nothing(api: Api) -> None:
    ada = await api.person()
    cookie, _ = await ada.open_session()
    key = {"X-API-Key": (await ada.make_key())["key"]}
    note = (await api.post("/notes", {"title": "x"}, ada.headers)).json()
    old_id = await ada.id()
    assert (await api.send("DELETE", "/users/me", headers=ada.headers)).status_code == 204
    heir = await api.person(ada.email)
    assert await heir.id() != old_id
    assert {await api.status(who) for who in (ada.headers, cookie, key)} == {401}
    assert_error(await api.post("/auth/refresh", {"refresh_token": ada.refresh_token}), 401)
    assert_error(await api.get(f"/notes/{note['id']}", heir.headers), 404)
    assert (await api.get("/notes", heir.headers)).json() == []


@scenario(database_url="sqlite+aiosqlite://")
async def test_somebody_stays_administrator(api: Api) -> None:
    boss = await api.administrator()
    path = f"/admin/users/{await boss.id()}"
    for change in ({"role": "user"}, {"is_active": False}):
        assert_error(await api.send("PATCH", path, json=change, headers=boss.headers), 409)
    for own in (path, "/users/me"):
        assert_error(await api.send("DELETE", own, headers=boss.headers), 409, "last_administrator")
    await api.administrator()
    assert (await api.send("DELETE", "/users/me", headers=boss.headers)).status_code == 204


def test_administrator_from_the_environment() -> None:
    email, password = f"root-{uuid.uuid4().hex}@example.com", secrets.token_urlsafe()

    @scenario(admin_email=email, admin_password=password)
    async def body(api: Api) -> None:
        boss = await Person(api, email, password).log_in()
        assert (await api.get("/admin/users", boss.headers)).status_code == 200

    body()


# -------------------------------------------------------------------------------------------- over restarts


def test_what_survives_a_restart(tmp_path: Path) -> None:
    fixed = {
        "database_url": f"sqlite+aiosqlite:///{tmp_path}/app.db",
        "secret_key": secrets.token_urlsafe(48),
        "login_attempt_limit": 3,
    }

    async def play() -> None:
        async with running(**fixed) as api:
            ada, bob = await api.person(), await api.person()
            await api.post("/auth/logout", headers=ada.headers)
            used = bob.refresh_token
            bob_now = (await api.post("/auth/refresh", {"refresh_token": used})).json()
            for _ in range(3):
                await api.post("/auth/login", {"email": ada.email, "password": "wrong"})
        assert (tmp_path / "app.db").stat().st_mode & 0o077 == 0
        async with running(**fixed) as api:
            assert await api.status(ada.headers) == 401
            assert_error(await api.post("/auth/login", ada.credentials), 429)
            assert await api.status(bearer(bob_now["access_token"])) == 200
            assert_error(await api.post("/auth/refresh", {"refresh_token": used}), 401)
            assert await api.status(bearer(bob_now["access_token"])) == 401

    asyncio.run(play())


def test_several_applications_in_one_process(tmp_path: Path) -> None:
    async def play() -> None:
        urls = [f"sqlite+aiosqlite:///{tmp_path}/{name}.db" for name in "ab"]
        async with running(database_url=urls[0]) as one, running(database_url=urls[1]) as two:
            ada = await one.person()
            assert await one.status(ada.headers) == 200
            assert await two.status(ada.headers) == 401

    asyncio.run(play())


# ---------------------------------------------------------------------------------- browser, logs, document


@scenario()
async def test_cors_knows_its_origins(api: Api) -> None:
    ada = await api.person()
    listed = await api.get("/users/me", ada.headers | {"Origin": "https://app.example.com"})
    assert listed.headers["access-control-allow-origin"] == "https://app.example.com"
    for origin in (
        "null",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://appXexample.com",
    ):
        answer = await api.get("/users/me", ada.headers | {"Origin": origin, "Cookie": "a=b"})
        assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PATCH"}
    granted = await api.send("OPTIONS", "/users/me", headers=preflight)
    assert granted.status_code == 200
    assert granted.headers["vary"].startswith("Origin")


def test_audit_lines_name_who_and_what(caplog: pytest.LogCaptureFixture) -> None:
    @scenario()
    async def body(api: Api) -> None:
        ada = await api.person()
        await api.post("/auth/login", ada.credentials | {"password": "wrong-canary"})
        await api.post("/auth/login", {"email": 'x\r\n"level":"INFO"@y.example', "password": "wrong-canary"})
        await api.get("/admin/users", ada.headers)
        await api.post("/auth/logout", headers=ada.headers)
        lines = [
            json.loads(record.message) for record in caplog.records if record.name == "reference_app.audit"
        ]
        seen = {(line["event"], line["outcome"]) for line in lines}
        assert seen >= {
            ("register", "accepted"),
            ("login", "accepted"),
            ("login", "refused"),
            ("authorise", "refused"),
            ("logout", "accepted"),
        }
        assert ada.email in {line["who"] for line in lines}
        everything = "\n".join(record.getMessage() for record in caplog.records)
        for secret in (ada.password, ada.refresh_token, ada.headers["Authorization"][7:], "wrong-canary"):
            assert secret not in everything

    body()


@scenario()
async def test_document_is_complete(api: Api) -> None:
    document = (await api.get("/openapi.json")).json()
    public = {
        "/health",
        "/auth/register",
        "/auth/verify",
        "/auth/verify/resend",
        "/auth/password/forgot",
        "/auth/password/reset",
        "/auth/token",
        "/auth/login",
        "/auth/session",
        "/auth/refresh",
    }
    ids = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            assert operation["tags"]
            assert operation["summary"]
            assert operation["description"]
            is_public = path in public and (method, path) not in {
                ("get", "/auth/login"),
                ("get", "/auth/session"),
            }
            assert bool(operation.get("security")) != is_public, path
            expected = {"422", "429"} | (set() if is_public else {"401", "403"})
            assert path == "/health" or expected <= operation["responses"].keys(), path
            for code, answer in operation["responses"].items():
                if code >= "400":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorResponse"}
                assert code != "401" or "WWW-Authenticate" in answer["headers"]
                assert code != "429" or "Retry-After" in answer["headers"]
            if not is_public:
                # Every documented protection is real: neither a body nor an id gets an answer first.
                concrete = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
                assert (await api.send(method.upper(), concrete, json={})).status_code == 401, path
    assert len(ids) == len(set(ids))
    assert "HTTPValidationError" not in document["components"]["schemas"]
    schemes = document["components"]["securitySchemes"]
    assert schemes.keys() == {"BearerToken", "ApiKeyHeader", "ApiKeyQuery", "SessionCookie"}
    page = await api.get("/docs")
    assert page.status_code == 200
    assert "'sha256-" in page.headers["content-security-policy"]


def test_access_log_has_no_query() -> None:
    create_app(settings())
    line = '%s - "%s %s HTTP/%s" %d'
    args = ("127.0.0.1:1", "GET", "/users/me?api%5Fkey=canary", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, line, args, None)
    assert logging.getLogger("uvicorn.access").filter(record)
    assert record.getMessage() == '127.0.0.1:1 - "GET /users/me HTTP/1.1" 200'


@scenario(docs_enabled=False)
async def test_document_can_be_switched_off(api: Api) -> None:
    assert_error(await api.get("/docs"), 404)
    assert_error(await api.get("/openapi.json"), 404)
