"""A small service with accounts, sessions, notes and an administrator; a test replaces one decision of its house."""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from checks.token_app import PEOPLE
from services.serving import App
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_conformance import catalog
from auth_conformance.clock import Clock
from auth_conformance.credentials import Carrier, Kind
from auth_conformance.discovery.sampling import build_request
from auth_conformance.model import Result
from auth_conformance.probe import Scene
from auth_conformance.runner import run_check
from auth_conformance.secret import Secret
from auth_conformance.target import (
    Account,
    Login,
    Logout,
    Objects,
    Operation,
    Parameter,
    Refresh,
    Register,
    Target,
    Witness,
)
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

BEARER = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
COOKIE = Carrier(Kind.COOKIE, "cookie", "sid")
ROOT = "root-Orchard-Lantern-63"
ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=Lax"


class Refused(Exception):  # noqa: N818 - a decision, not an error
    """The caller gets this status."""

    def __init__(self, status: int = 401, text: str = "no") -> None:
        self.status, self.text = status, text


@dataclass
class House:
    """Everything that happens; sound as it stands."""

    passwords: dict[str, str] = field(default_factory=lambda: {**PEOPLE, "root": ROOT})
    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)
    refreshes: dict[str, tuple[str, str]] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    profiles: dict[str, dict[str, str]] = field(default_factory=dict)
    attributes: str = ATTRIBUTES
    anybody_announces = False

    def check(self, name: str, password: str) -> None:
        """Whether the password is right, and how a wrong one is answered."""
        if self.failures.get(name, 0) >= 10:
            raise Refused(429, "too many")
        if self.passwords.get(name) != password:
            self.failures[name] = self.failures.get(name, 0) + 1
            raise Refused
        self.failures.pop(name, None)

    def caller(self, token: str | None) -> str:
        if token not in self.sessions:
            raise Refused
        return self.sessions[token][0]

    def open(self, name: str, presented: str | None) -> str:
        self.sessions.pop(presented or "", None)
        token = secrets.token_urlsafe(24)
        self.sessions[token] = (name, secrets.token_hex(4))
        return token

    def end(self, token: str) -> None:
        _, family = self.sessions.pop(token)
        self.refreshes = {key: value for key, value in self.refreshes.items() if value[1] != family}

    def rotate(self, refresh: str) -> tuple[str, str]:
        """A new access and refresh token."""
        if refresh in self.used:
            family = self.used[refresh]
            self.refreshes = {key: value for key, value in self.refreshes.items() if value[1] != family}
            self.sessions = {key: value for key, value in self.sessions.items() if value[1] != family}
        if refresh not in self.refreshes:
            raise Refused
        name, family = self.refreshes.pop(refresh)
        self.used[refresh] = family
        return self.issue(name, family)

    def issue(self, name: str, family: str) -> tuple[str, str]:
        token, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.sessions[token] = (name, family)
        self.refreshes[refresh] = (name, family)
        return token, refresh

    def note(self, number: str, name: str | None) -> str:
        owner, text = self.notes.get(number, ("", ""))
        if name is None:
            raise Refused
        if owner != name:
            raise Refused(404)
        return text

    def feed(self) -> list[str]:
        """What strangers see of the notes."""
        return [f"{len(self.notes)} notes"]

    def profile(self, name: str) -> dict[str, str]:
        return self.profiles.setdefault(name, {"nickname": "nobody", "role": "member"})

    def describe(self, name: str, body: dict[str, Any]) -> None:
        """What a profile takes of what is sent."""
        if "nickname" in body:
            self.profile(name)["nickname"] = str(body["nickname"])

    def guard(self, name: str) -> None:
        if name != "root":
            raise Refused(403)


def create_app(house: House) -> App:
    def token_of(request: Request) -> str | None:
        header = request.headers.get("authorization", "")
        return header[7:] if header.startswith("Bearer ") else request.cookies.get("sid")

    def answered(handler: Callable[[Request, dict[str, Any]], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                body = await request.json() if await request.body() else {}
                found = handler(request, body)
            except Refused as refused:
                return JSONResponse({"detail": refused.text}, refused.status)
            except (ValueError, KeyError):
                return JSONResponse({"detail": "no such body"}, 422)
            return found if isinstance(found, Response) else JSONResponse(found)

        return answer

    def register(_: Request, body: dict[str, Any]) -> Any:
        if body["username"] in house.passwords:
            raise Refused(409)
        house.passwords[body["username"]] = body["password"]
        return {"username": body["username"]}

    def login(_: Request, body: dict[str, Any]) -> Any:
        house.check(body["username"], body["password"])
        token, refresh = house.issue(body["username"], secrets.token_hex(4))
        return {"access_token": token, "refresh_token": refresh}

    def enter(request: Request, body: dict[str, Any]) -> Any:
        house.check(body["username"], body["password"])
        token = house.open(body["username"], request.cookies.get("sid"))
        return JSONResponse({}, headers={"Set-Cookie": f"sid={token}{house.attributes}"})

    def logout(request: Request, _: dict[str, Any]) -> Any:
        house.caller(token_of(request))
        house.end(token_of(request) or "")
        return JSONResponse({}, headers={"Set-Cookie": f"sid=; Max-Age=0{house.attributes}"})

    def refresh(_: Request, body: dict[str, Any]) -> Any:
        token, following = house.rotate(body["refresh_token"])
        return {"access_token": token, "refresh_token": following}

    def me(request: Request, _: dict[str, Any]) -> Any:
        name = house.caller(token_of(request))
        return {"username": name, **house.profile(name)}

    def settings(request: Request, body: dict[str, Any]) -> Any:
        house.describe(house.caller(token_of(request)), body)
        return {"saved": True}

    def write(request: Request, body: dict[str, Any]) -> Any:
        number = str(next(house.numbers))
        house.notes[number] = house.caller(token_of(request)), body["text"]
        return {"id": int(number)}

    def read(request: Request, _: dict[str, Any]) -> Any:
        token = token_of(request)
        name = house.caller(token) if token is not None else None
        return {"text": house.note(request.path_params["id"], name)}

    def people(request: Request, _: dict[str, Any]) -> Any:
        house.guard(house.caller(token_of(request)))
        return sorted(house.passwords)

    def drop(request: Request, _: dict[str, Any]) -> Any:
        house.guard(house.caller(token_of(request)))
        name = request.path_params["username"]
        if house.passwords.pop(name, None) is None:
            raise Refused(404)
        house.sessions = {key: value for key, value in house.sessions.items() if value[0] != name}
        return Response(status_code=204)

    def announce(request: Request, _: dict[str, Any]) -> Any:
        name = house.caller(token_of(request))
        if not house.anybody_announces:
            house.guard(name)
        return {"announced": True}

    def route(path: str, handler: Callable[[Request, dict[str, Any]], Any], method: str = "GET") -> Route:
        return Route(path, answered(handler), methods=[method])

    return Starlette(
        routes=[
            route("/register", register, "POST"),
            route("/login", login, "POST"),
            route("/enter", enter, "POST"),
            route("/logout", logout, "POST"),
            route("/refresh", refresh, "POST"),
            route("/me", me),
            route("/settings/profile", settings, "PATCH"),
            route("/notes", write, "POST"),
            route("/notes/{id}", read),
            route("/feed", lambda *_: house.feed()),
            route("/admin/people", people),
            route("/admin/people/{username}", drop, "DELETE"),
            route("/admin/notices", announce, "POST"),
            route("/health", lambda *_: {"status": "ok"}),
        ]
    )


def operation(name: str, **more: Any) -> Operation:
    method, _, path = name.partition(" ")
    return Operation(method, path, **more)


def known(**changes: Any) -> Target:
    """What a tester knows about the service."""
    everybody = {**PEOPLE, "root": ROOT}
    accounts = {
        label: Account(label, name, Secret(everybody[name]))
        for label, name in {"a": "alice", "b": "bob", "admin": "root"}.items()
    }
    login = Login(
        operation("POST /login"),
        "json",
        "username",
        "password",
        BEARER,
        token="/access_token",
        refresh="/refresh_token",
    )
    enter = Login(operation("POST /enter"), "json", "username", "password", COOKIE, cookie="sid")
    logout = operation("POST /logout")
    protected = (frozenset({"x"}),)
    notes = operation("GET /notes/{id}", security=protected, parameters=(Parameter("id", "path"),))
    target = Target(
        "app",
        "accounts",
        operations=(
            notes,
            operation("GET /admin/people"),
            operation("DELETE /admin/people/{username}"),
            operation("GET /me"),
        ),
        carriers=(BEARER, COOKIE),
        accounts=accounts,
        logins=(login, enter),
        register=Register(operation("POST /register"), "json", "username", "password"),
        refresh=Refresh(
            operation("POST /refresh"), "json", "refresh_token", "/access_token", "/refresh_token"
        ),
        logouts=(Logout(logout, Kind.BEARER), Logout(logout, Kind.COOKIE)),
        objects=Objects(operation("POST /notes"), notes, {}, "text", "/id", "id"),
        witness=Witness(operation("GET /me"), "/username"),
        public=operation("GET /health"),
        in_process=True,
    )
    return replace(target, **changes)


def judged(code: str, house: House | App, target: Target | None = None, *, timeout: float = 2) -> Result:
    """The result of one check, whose requests wait `timeout` seconds for their answers."""
    app = create_app(house) if isinstance(house, House) else house

    async def run() -> Result:
        transport = AsgiTransport(app, agent="tests", timeout=timeout)
        recorder = Recorder(transport, Redactor(), clock=Clock(movable=True))
        scene = Scene(target or known(), recorder, "run", patience=0.0, sampler=build_request)
        return await run_check(catalog.load()[code], scene)

    return asyncio.run(run())


def violations(result: Result) -> Mapping[str, str]:
    """Operation and severity of each finding."""
    return {finding.message: finding.severity.value for finding in result.findings}
