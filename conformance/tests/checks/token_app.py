"""A small service with tokens and keys whose every decision is a parameter, and a target that knows it."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from services.serving import App
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_conformance import catalog
from auth_conformance.clock import Clock
from auth_conformance.credentials import Carrier, Jwt, Kind, SigningKey, unb64url
from auth_conformance.model import Need, Result
from auth_conformance.probe import Scene
from auth_conformance.runner import run_check
from auth_conformance.secret import Secret
from auth_conformance.target import Account, KeyManagement, Login, Operation, Policy, Refresh, Target, Witness
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

SECRET = "b7f3c1a9e05d4826937f1c64da80be52c9417e6f0a3d58b2"
PEOPLE = {"alice": "alice-Tangerine-Lagoon-41", "bob": "bob-Velvet-Harbour-87"}
BEARER = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
KEY = Carrier(Kind.KEY, "header", "X-API-Key")
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}

Claims = Mapping[str, Any]


class Refused(Exception):  # noqa: N818 - a decision, not an error
    """Not one of ours."""


@dataclass
class Tokens:
    """Issues and reads JWTs; a test replaces one decision."""

    key: SigningKey = field(default_factory=lambda: SigningKey("HS256", Secret(SECRET)))
    lifetime: float = 900.0
    leeway: float = 0.0
    header: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Jwt], None] = lambda _: None
    verify: Callable[[Jwt], bool] | None = None
    clock: Callable[[], float] = time.time
    kind: str | None = None

    def issue(self, name: str, **claims: object) -> str:
        now = int(self.clock())
        content = {"sub": name, "iat": now, "exp": int(now + self.lifetime), **self.extra, **claims}
        content = {key: value for key, value in content.items() if value is not None}
        return Jwt.build({"alg": self.key.algorithm, "typ": "JWT", **self.header}, content, self.key).text

    def read(self, text: str) -> Claims:
        token = Jwt.parse(text)
        if token is None:
            raise Refused
        mine = token.algorithm == self.key.algorithm and self.key.verifies(token)
        if not (mine or (self.verify is not None and self.verify(token))):
            raise Refused
        end = token.claims.get("exp")
        if end is not None and (not isinstance(end, int | float) or end + self.leeway <= self.clock()):
            raise Refused
        self.check(token)
        return token.claims


@dataclass
class Opaque:
    """Opaque tokens, kept in memory."""

    lifetime: float = 900.0
    clock: Callable[[], float] = time.time
    sessions: dict[str, tuple[str, float]] = field(default_factory=dict)

    def issue(self, name: str, **_: object) -> str:
        text = secrets.token_urlsafe(32)
        self.sessions[text] = (name, self.clock() + self.lifetime)
        return text

    def read(self, text: str) -> Claims:
        name, end = self.sessions.get(text, ("", 0.0))
        if end <= self.clock():
            raise Refused
        return {"sub": name}


def no_end(_: str) -> datetime | None:
    return None


def aware(text: str) -> datetime | None:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment <= datetime.now(UTC):
        raise ValueError(text)
    return moment


@dataclass
class Keys:
    """Makes and checks API keys; a test replaces one decision."""

    make: Callable[[], str] = lambda: f"rk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    same: Callable[[str, str], bool] = hmac.compare_digest
    end: Callable[[str], datetime | None] = aware
    over: Callable[[datetime], bool] = lambda end: end <= datetime.now(UTC)
    store: Callable[[str, str], None] = lambda _key, _id: None
    rows: dict[str, tuple[str, str, datetime | None]] = field(default_factory=dict)

    def owner(self, presented: str) -> str:
        for key, (_, name, end) in self.rows.items():
            if self.same(key, presented) and not (end is not None and self.over(end)):
                return name
        raise Refused


def create_app(
    tokens: Tokens | Opaque,
    keys: Keys | None = None,
    *,
    login_extra: Callable[[], dict[str, Any]] = dict,
    refresh: bool = False,
    access: Callable[[Claims], bool] = lambda _: True,
    refreshes: Callable[[Claims], bool] = lambda claims: claims.get("use") == "refresh",
) -> App:
    """The service. `login_extra` is what a login says beside the token; `access` and `refreshes` tell kinds."""
    keys = keys or Keys()
    used: set[str] = set()

    def caller(request: Request) -> str:
        header = request.headers.get("authorization", "")
        if header.startswith("Bearer "):
            claims = tokens.read(header[7:])
            if not access(claims):
                raise Refused
            return str(claims["sub"])
        if "x-api-key" in request.headers:
            return keys.owner(request.headers["x-api-key"])
        raise Refused

    def refused() -> Response:
        return JSONResponse({"detail": "no"}, 401, {"WWW-Authenticate": "Bearer"})

    def given(name: str) -> dict[str, Any]:
        own = {"jti": secrets.token_hex(8)} if refresh else {}
        body = {"access_token": tokens.issue(name, **own), "token_type": "bearer", **login_extra()}
        if refresh:
            body["refresh_token"] = tokens.issue(name, use="refresh", jti=secrets.token_hex(8))
        return body

    async def login(request: Request) -> Response:
        body = await request.json()
        if PEOPLE.get(body.get("username")) != body.get("password"):
            return refused()
        return JSONResponse(given(body["username"]))

    async def renew(request: Request) -> Response:
        text = (await request.json()).get("refresh_token", "")
        try:
            claims = tokens.read(text)
        except Refused:
            return refused()
        if not refreshes(claims) or text in used:
            return refused()
        used.add(text)
        return JSONResponse(given(claims["sub"]))

    async def me(request: Request) -> Response:
        try:
            return JSONResponse({"username": caller(request)})
        except Refused:
            return refused()

    async def make_key(request: Request) -> Response:
        try:
            name, body = caller(request), json.loads(await request.body() or b"{}")
            end = keys.end(body["expires_at"]) if body.get("expires_at") is not None else None
        except Refused:
            return refused()
        except (ValueError, TypeError):
            return JSONResponse({"detail": "no such end"}, 422)
        key, number = keys.make(), secrets.token_hex(8)
        keys.rows[key] = (number, name, end)
        keys.store(key, number)
        made = datetime.now(UTC).isoformat()
        return JSONResponse(
            {"id": number, "key": key, "created_at": made, "expires_at": end and end.isoformat()}, 201
        )

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/refresh", renew, methods=["POST"]),
            Route("/me", me),
            Route("/keys", make_key, methods=["POST"]),
            Route("/health", health),
        ],
        exception_handlers={404: lambda *_: JSONResponse({"detail": "not found"}, 404)},
    )


_END = {"type": "object", "properties": {"expires_at": {"type": "string", "format": "date-time"}}}


def known(*, refresh: bool = False, movable: bool = True, **changes: Any) -> Target:
    """What discovery would know about the service."""
    accounts = {
        label: Account(label, name, Secret(PEOPLE[name])) for label, name in zip("ab", PEOPLE, strict=True)
    }
    login = Login(
        Operation("POST", "/login"),
        "json",
        "username",
        "password",
        BEARER,
        token="/access_token",
        refresh="/refresh_token" if refresh else None,
    )
    target = Target(
        "app" if movable else "url",
        "service",
        carriers=(BEARER, KEY),
        accounts=accounts,
        logins=(login,),
        refresh=Refresh(
            Operation("POST", "/refresh"), "json", "refresh_token", "/access_token", "/refresh_token"
        )
        if refresh
        else None,
        keys=KeyManagement(
            Operation("POST", "/keys", bodies={"application/json": _END}),
            {},
            "/key",
            (KEY,),
            identifier="/id",
            expiry_field="expires_at",
        ),
        witness=Witness(Operation("GET", "/me"), "/username"),
        public=Operation("GET", "/health"),
        signing_keys=(SigningKey("HS256", Secret(SECRET)),),
        has_document=True,
        in_process=movable,
        policy=Policy(),
        remedies={Need.SIGNING_KEY: "[signing]", Need.REFRESH: "[refresh]", Need.DATABASE: "database = …"},
    )
    return replace(target, **changes)


def judged(code: str, app: App, target: Target | None = None) -> Result:
    """Run one check against the service."""
    about = target or known()

    async def run() -> Result:
        transport = AsgiTransport(app, agent="test", timeout=2.0)
        await transport.start()
        try:
            recorder = Recorder(transport, Redactor(), clock=Clock(movable=about.in_process))
            return await run_check(catalog.load()[code], Scene(about, recorder, "run1", patience=0.0))
        finally:
            await transport.close()

    result = asyncio.run(run())
    assert result.name != "errored", result.verdict
    assert result.requests <= result.rule.budget
    return result


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mac(token: Jwt, secret: bytes) -> bool:
    """Whether this HMAC secret made the signature, whatever the algorithm."""
    name = HASHES.get(token.algorithm)
    return name is not None and hmac.digest(secret, token.signing_input, name) == token.signature


__all__ = [
    "Claims",
    "Keys",
    "Opaque",
    "Refused",
    "Tokens",
    "create_app",
    "digest",
    "judged",
    "known",
    "mac",
    "unb64url",
]
