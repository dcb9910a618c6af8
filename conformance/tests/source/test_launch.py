"""Starts of the application in processes of their own: what the source says it needs, and what a start shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth_conformance.source.launch import (
    Start,
    base_environment,
    find_spec,
    preloaded,
    randomised,
    secret_variables,
    start_all,
)
from auth_conformance.source.tree import read_tree
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
import os
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

class Base(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")

class Settings(Base):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    jwt_secret: str
    token_lifetime: int = 60
    session_tokens: int = 3
    mail_password: str = Field(validation_alias="SMTP_PASSWORD")
    firma: SecretStr = Field(min_length=32)
    regreso: SecretStr = SecretStr("")
    aviso: SecretStr = Field(default=SecretStr(""))

class Other:
    admin_password: str

PEPPER = os.environ["PASSWORD_PEPPER"]
KEY = os.getenv("API_SECRET", "")
PORT = os.getenv("PORT", "8000")

def required(name):
    return os.environ[name]

SIGNING = required("SHOP_SIGNING_SECRET")
REGION = required("SHOP_REGION")
"""


def test_the_variables_that_secrets_are_read_from(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS)
    names = secret_variables(read_tree(tmp_path))
    assert sorted(names) == [
        *("API_SECRET", "PASSWORD_PEPPER", "SHOP_FIRMA", "SHOP_JWT_SECRET", "SHOP_SIGNING_SECRET"),
        "SMTP_PASSWORD",
    ]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("from fastapi import FastAPI\nother = FastAPI()\napp = FastAPI()\n", "shop:app"),
        ("from starlette.applications import Starlette\nsite = Starlette()\n", "shop:site"),
        ("import fastapi\ndef create_app(debug=False):\n    return fastapi.FastAPI()\n", "shop:create_app()"),
        ("import fastapi\ndef create_app(settings):\n    return fastapi.FastAPI()\n", ""),
        ("def create_app():\n    return None\n", ""),
    ],
)
def test_what_starts_the_application(text: str, spec: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(text)
    found, folder = find_spec(read_tree(tmp_path))
    assert found == spec
    assert folder == (str(tmp_path) if spec else "")


def test_the_environment_of_a_start_holds_neither_our_settings_nor_the_users_database() -> None:
    given = {
        "AUTH_CONFORMANCE_URL": "https://example.com",
        "PYTEST_ADDOPTS": "-x",
        "DATABASE_URL": "sqlite+aiosqlite:////srv/shop.db",
        "CACHE": "redis://localhost",
        "HOME": "/root",
    }
    assert base_environment(given, "/start") == {
        "DATABASE_URL": "sqlite+aiosqlite:////start/started.db",
        "CACHE": "redis://localhost",
        "HOME": "/root",
    }


def test_secrets_are_made_up_anew_where_chance_can_make_them() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"
    given = {"A": "changethis", "KEY": pem, "DSN": "https://user@example.com", "EMPTY": "", "OTHER": "same"}
    made = randomised(given, ["A", "KEY", "DSN", "EMPTY", "ABSENT"])
    assert len(made["A"]) > 40
    assert {**made, "A": "changethis"} == given
    assert randomised(given, ["A"])["A"] != made["A"]


APP = """
import os, socket, sys
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

print("noise that is no answer")
secret = os.environ["SHOP_SECRET"]
if not secret:
    raise ValueError("SHOP_SECRET is empty, and was " + os.environ["MARK"])
if secret == "exit":
    sys.exit(3)


async def look(request):
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)
        network = "reached"
    except OSError as error:
        network = str(error)
    Path("left.txt").write_text("x")
    return JSONResponse(
        {"body": (await request.body()).decode(), "secret": secret, "network": network, "q": request.query_params["q"]},
        status_code=201,
    )


app = Starlette(routes=[Route("/look", look, methods=["POST"])])
"""


def test_each_start_has_its_own_environment_and_says_how_it_went(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    tree = read_tree(tmp_path)
    assert "starlette.applications" in preloaded(tree)
    starts = [
        Start("honest", {"SHOP_SECRET": "one"}),
        Start("other", {"SHOP_SECRET": "two"}),
        Start("unset", {}),
        Start("empty", {"SHOP_SECRET": "", "MARK": "a-value-to-keep"}),
        Start("exits", {"SHOP_SECRET": "exit"}),
    ]
    request = HttpRequest("POST", "/look", (("q", "1"),), (("X-Any", "thing"),), b"text")
    went = {
        item.name: item for item in start_all("shop:app", str(tmp_path), starts, [request], preloaded(tree))
    }
    assert {name: (item.started, item.said) for name, item in went.items()} == {
        "honest": (True, ""),
        "other": (True, ""),
        "unset": (False, "KeyError"),
        # The type says enough: the text of an error may hold a value of the environment.
        "empty": (False, "ValueError"),
        "exits": (False, "SystemExit"),
    }
    for name, secret in (("honest", "one"), ("other", "two")):
        reply = went[name].replies[0]
        assert reply.status == 201
        assert reply.json == {
            "body": "text",
            "secret": secret,
            "network": "no network for an application that is only started",
            "q": "1",
        }
    assert not went["unset"].replies
    assert {path.name for path in tmp_path.iterdir()} <= {"shop.py", "__pycache__"}


def test_a_module_that_is_not_there_is_no_start(tmp_path: Path) -> None:
    went = start_all("nowhere:app", str(tmp_path), [Start("honest", {})], [], [])
    assert [(item.started, item.said) for item in went] == [(False, "ModuleNotFoundError")]
