"""Users from a Web Fuzzing Commons file get in, whichever way the file says that they do."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from services import apikey_app
from services.catalogue import SERVICES
from services.people import PEOPLE

from auth_conformance.credentials import Kind
from auth_conformance.discovery.writing import as_toml
from auth_conformance.settings import ConfigurationError, load

if TYPE_CHECKING:
    from pathlib import Path

APPS = {service.name: service.create_app for service in SERVICES}


def pair(name: str, user: str = "username", password: str = "password") -> dict[str, str]:  # noqa: S107 - names of fields
    return {"username": name, "password": PEOPLE[name], "usernameField": user, "passwordField": password}


def basic(name: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{PEOPLE[name]}".encode()).decode()


def logging_in(template: dict[str, Any], **fields: str) -> dict[str, Any]:
    return {
        "auth": [
            {"name": name, "loginEndpointAuth": {"payloadUserPwd": pair(name, **fields)}}
            for name in ("alice", "bob")
        ],
        "authTemplate": {"loginEndpointAuth": {"verb": "POST", **template}},
    }


def fixed(values: dict[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "auth": [
            {"name": name, "fixedHeaders": [{"name": header, "value": value}]}
            for name, (header, value) in values.items()
        ]
    }


FORM = "application/x-www-form-urlencoded"
OLD = {"extractFromField": "/access_token", "httpHeaderName": "Authorization", "headerPrefix": "Bearer "}
NEW = {
    "extractFrom": "body",
    "extractSelector": "/data/session/token",
    "sendIn": "header",
    "sendName": "X-Session-Token",
    "sendTemplate": "{token}",
}
RAW = {
    "auth": [
        {
            "name": name,
            "loginEndpointAuth": {
                "endpoint": "/sessions",
                "verb": "POST",
                "payloadRaw": json.dumps({"name": name, "password": PEOPLE[name]}),
                "token": {"extractFromField": "/accessToken"},
            },
        }
        for name in ("alice", "bob")
    ]
}


ENVELOPE = logging_in({"endpoint": "/api/session", "token": NEW}, user="identifier", password="passphrase")
COOKIE = logging_in(
    {"endpoint": "/login", "contentType": FORM, "expectCookies": True}, user="user", password="secret"
)


@pytest.mark.parametrize(
    ("name", "document", "kind"),
    [
        ("tutorial", logging_in({"endpoint": "/token", "contentType": FORM, "token": OLD}), Kind.BEARER),
        ("envelope", ENVELOPE, Kind.BEARER),
        ("cookie", COOKIE, Kind.COOKIE),
        ("starlette", RAW, Kind.BEARER),
        ("apikey", fixed({name: ("X-API-Key", key) for name, key in apikey_app.KEYS.items()}), Kind.KEY),
        ("basic", fixed({name: ("Authorization", basic(name)) for name in ("alice", "bob")}), Kind.BASIC),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)  # fmt: skip
def test_its_users_get_in(
    name: str, document: dict[str, Any], kind: Kind, learn: Any, tmp_path: Path
) -> None:
    file = tmp_path / "users.json"
    file.write_text(json.dumps(document), "utf-8")
    lesson = learn(APPS[name](), {}, kind="url", users_file=str(file))
    target = lesson.target
    assert target.witness is not None
    assert {"a", "b"} <= target.accounts.keys()
    assert kind in target.kinds()
    text = as_toml(target, lesson.settings)
    assert not any(secret in text for secret in [*PEOPLE.values(), *apikey_app.KEYS.values()])
    assert "users_file = " in text


def test_the_first_two_and_an_administrator_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(
        """
auth:
  - {name: SUPERADMIN, fixedHeaders: [{name: Authorization, value: Bearer aaaa}]}
  - {name: FOO, fixedHeaders: [{name: Authorization, value: JWT bbbb}]}
  - {name: BAR, fixedHeaders: [{name: Cookie, value: "sid=cccc; theme=dark"}]}
  - {name: BAZ, fixedHeaders: [{name: Authorization, value: Bearer dddd}]}
""",
        "utf-8",
    )
    accounts = load({"users_file": str(file)}, start=tmp_path).accounts
    assert {name: item.role for name, item in accounts.items()} == {
        "SUPERADMIN": "admin",
        "FOO": "a",
        "BAR": "b",
    }
    assert accounts["FOO"].carrier == "header Authorization JWT"
    assert accounts["FOO"].token is not None
    assert accounts["FOO"].token.secret().reveal() == "bbbb"
    assert accounts["BAR"].cookie is not None
    assert accounts["BAR"].cookie.secret().reveal() == "sid=cccc"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2", "neither YAML, JSON nor TOML"),
        ("users: []", "it needs a list 'auth'"),
        ("auth: [{name: FOO}]", "user FOO: it has neither fixedHeaders nor loginEndpointAuth"),
        ("auth: [{name: FOO, fixedHeaders: [{name: X}]}]", "a header needs a name and a value"),
        (
            "auth: [{name: FOO, loginEndpointAuth: {verb: POST, endpoint: login}}]",
            "endpoint has to be a path",
        ),
        ("auth: [{name: FOO, loginEndpointAuth: {verb: FETCH, endpoint: /login}}]", "verb has to be one of"),
        (
            "auth: [{name: FOO, loginEndpointAuth: {verb: POST, externalEndpointURL: 'https://idp.example/token'}}]",
            "https://idp.example, another host than the target, and credentials go nowhere else",
        ),
        (
            "auth: [{name: FOO, loginEndpointAuth: {verb: POST, endpoint: /l, payloadRaw: 'hunter22'}}]",
            "give payloadUserPwd instead of payloadRaw",
        ),
        (
            "auth: [{name: F, loginEndpointAuth: {endpoint: /l, payloadUserPwd: {username: a, password: 22}}}]",
            "payloadUserPwd lacks password, usernameField, passwordField, or it is no text: put quotes around it",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load({"users_file": str(file), "url": "https://shop.example"}, start=tmp_path)
    assert sentence in str(caught.value)
    assert "hunter22" not in str(caught.value)
