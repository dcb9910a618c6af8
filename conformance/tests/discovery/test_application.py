"""Loading an application: every mistake is one sentence that says what and where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from auth_conformance.discovery.application import load_app
from auth_conformance.discovery.routes import seen_routes
from auth_conformance.settings import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import os
from fastapi import APIRouter, FastAPI

router = APIRouter(prefix="/r")

@router.get("/listed")
def listed():
    return {}

@router.get("/hidden/{number:int}", include_in_schema=False)
def hidden(number: int):
    return {}

def create_app():
    app = FastAPI()
    app.include_router(router, prefix="/api")
    app.mount("/inner", inner)
    return app

inner = FastAPI()

@inner.get("/deep")
async def deep():
    return {}

app = create_app()
wrapped = lambda scope, receive, send: app(scope, receive, send)

def needs(argument):
    return app

def failing():
    raise RuntimeError("no\\n  database")

def settings():
    from pydantic import BaseModel
    class Settings(BaseModel):
        secret_key: str
        port: int
    return Settings(port="hunter2-in-clear")

def wsgi(environ, start_response):
    return []

async def coroutine_factory():
    return app

number = 5
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("shop_main", "shop_broken", "shop_syntax", "shop_exit"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "shop_main.py").write_text(MODULE)
    (tmp_path / "shop_broken.py").write_text("import shop_main\nimport not_installed_here\n")
    (tmp_path / "shop_syntax.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "shop_exit.py").write_text("raise SystemExit('SECRET_KEY is not set')\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    "spec", ["shop_main:app", "shop_main:create_app()", "shop_main:create_app", "shop_main:wrapped"]
)
def test_applications_and_factories(shop: str, spec: str) -> None:
    assert callable(load_app(spec, shop))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("shop_main", ["write module:app"]),
        ("nowhere_at_all:app", ["no module 'nowhere_at_all'"]),
        ("shop_main:ap", ["no attribute 'ap'", "did you mean 'app'"]),
        ("shop_broken:app", ["not_installed_here", "shop_broken.py:2"]),
        ("shop_syntax:app", ["SyntaxError", "shop_syntax.py:2"]),
        ("shop_exit:app", ["SystemExit: SECRET_KEY is not set", "shop_exit.py:1"]),
        ("shop_main:failing", ["RuntimeError: no database", "shop_main.py:"]),
        ("shop_main:settings()", ["secret_key: Field required"]),
        ("shop_main:needs", ["1 arguments"]),
        ("shop_main:wsgi", ["WSGI"]),
        ("shop_main:number", ["int"]),
    ],
)
def test_every_mistake_is_one_sentence(shop: str, spec: str, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_app(spec, shop)
    message = str(caught.value)
    assert "\n" not in message
    assert "hunter2" not in message
    assert "Traceback" not in message
    for word in words:
        assert word in message


def test_routes_with_their_lines_hidden_and_mounted(shop: str) -> None:
    routes = {route.operation.name: route for route in seen_routes(load_app("shop_main:app", shop))}
    assert not routes["GET /api/r/listed"].hidden
    hidden = routes["GET /api/r/hidden/{number}"]
    assert hidden.hidden
    assert hidden.operation.parameters[0].schema == {"type": "integer"}
    assert hidden.operation.source is not None
    assert hidden.operation.source.function == "hidden"
    assert hidden.operation.source.line == 11
    assert "GET /inner/deep" in routes
    assert seen_routes(object()) == ()
