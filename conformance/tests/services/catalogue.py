"""Every service of this folder: how to start it, how a person signs in, which route names them.

for service in SERVICES:     with serve(service.create_app()) as url, httpx.Client(base_url=url) as client:
client.get(service.witness, headers=service.sign_in(client, "alice"))
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from services import (
    apikey_app,
    authx_app,
    basic_app,
    cookie_app,
    envelope_app,
    starlette_app,
    tutorial_app,
    users_app,
)
from services.people import PEOPLE
from services.serving import App


@dataclass(frozen=True)
class Service:
    """A foreign service, ready to start."""

    name: str
    create_app: Callable[[], App]
    sign_in: Callable[[httpx.Client, str], dict[str, str]]  # the headers that carry the credential
    witness: str  # the route that names its caller
    document: str | None = "/openapi.json"
    refusal: int = 401  # what the witness answers to nobody


def _form_bearer(path: str, suffix: str = "") -> Callable[[httpx.Client, str], dict[str, str]]:
    def sign_in(client: httpx.Client, name: str) -> dict[str, str]:
        answer = client.post(path, data={"username": name + suffix, "password": PEOPLE[name]})
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    return sign_in


def _users_cookie(client: httpx.Client, name: str) -> dict[str, str]:
    form = {"username": f"{name}@example.com", "password": PEOPLE[name]}
    return _cookie(client.post("/auth/cookie/login", data=form), "fastapiusersauth")


def _authx(client: httpx.Client, name: str) -> dict[str, str]:
    answer = client.post("/login", json={"username": name, "password": PEOPLE[name]})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


def _envelope(client: httpx.Client, name: str) -> dict[str, str]:
    answer = client.post("/api/session", json={"identifier": name, "passphrase": PEOPLE[name]})
    return {"X-Session-Token": answer.raise_for_status().json()["data"]["session"]["token"]}


def _members(client: httpx.Client, name: str) -> dict[str, str]:
    return _cookie(client.post("/login", data={"user": name, "secret": PEOPLE[name]}), "sid")


def _starlette(client: httpx.Client, name: str) -> dict[str, str]:
    answer = client.post("/sessions", json={"name": name, "password": PEOPLE[name]})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['accessToken']}"}


def _api_key(_: httpx.Client, name: str) -> dict[str, str]:
    return {"X-API-Key": apikey_app.KEYS[name]}


def _basic(_: httpx.Client, name: str) -> dict[str, str]:
    pair = base64.b64encode(f"{name}:{PEOPLE[name]}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _cookie(answer: httpx.Response, name: str) -> dict[str, str]:
    """Carry a cookie by hand: a jar withholds `Secure` ones over http, and remembers too much."""
    value = answer.headers["set-cookie"].partition(";")[0].removeprefix(f"{name}=")
    answer.cookies.clear()
    return {"Cookie": f"{name}={value}"}


SERVICES: tuple[Service, ...] = (
    Service("users-jwt", users_app.create_app, _form_bearer("/auth/jwt/login", "@example.com"), "/users/me"),
    Service("users-cookie", users_app.create_app, _users_cookie, "/users/me"),
    Service("authx", authx_app.create_app, _authx, "/me"),
    Service("tutorial", tutorial_app.create_app, _form_bearer("/token"), "/users/me"),
    Service("envelope", envelope_app.create_app, _envelope, "/api/profile", "/api/schema/openapi.json"),
    Service("cookie", cookie_app.create_app, _members, "/account", refusal=303),
    Service("apikey", apikey_app.create_app, _api_key, "/v1/whoami"),
    Service("basic", basic_app.create_app, _basic, "/whoami"),
    Service("starlette", starlette_app.create_app, _starlette, "/whoami", None),
)
