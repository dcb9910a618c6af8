"""Loading an application: every mistake is one sentence that says what and where."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from services import tutorial_app

from auth_conformance.discovery.application import load_app
from auth_conformance.discovery.guards import guards_of
from auth_conformance.discovery.routes import seen_routes
from auth_conformance.engine import opened
from auth_conformance.settings import ConfigurationError, load
from auth_conformance.transports.asgi import AsgiTransport

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
        ("shop_main:needs", ["1 arguments (argument)", "Write a function that calls it"]),
        ("shop_main:coroutine_factory", ["the factory is a coroutine"]),
        ("shop_main:coroutine_factory()", ["the factory is a coroutine"]),
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


LIFESPANS = """
import contextlib
import sys
from fastapi import FastAPI

@contextlib.asynccontextmanager
async def down(app):
    raise RuntimeError("no database at db:5432")
    yield

@contextlib.asynccontextmanager
async def leaves(app):
    sys.exit("SHOP_KEY is not set")
    yield

down_app = FastAPI(lifespan=down)
leaving_app = FastAPI(lifespan=leaves)

async def bare(scope, receive, send):
    raise KeyError(scope["type"])
"""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("down_app", "shop_spans:down_app refused to start: RuntimeError: no database at db:5432 ("),
        ("leaving_app", "shop_spans:leaving_app refused to start: SystemExit: SHOP_KEY is not set."),
    ],
)
def test_a_lifespan_that_fails_is_one_sentence(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop_spans", raising=False)
    (tmp_path / "shop_spans.py").write_text(LIFESPANS)
    settings = load({"app": f"shop_spans:{name}", "app_dir": str(tmp_path)}, start=tmp_path)

    async def start() -> None:
        async with opened(settings):
            raise AssertionError("it did not start")

    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(start())
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_an_application_without_a_lifespan_starts_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "shop_spans.py").write_text(LIFESPANS)
    monkeypatch.delitem(sys.modules, "shop_spans", raising=False)
    transport = AsgiTransport(load_app("shop_spans:bare", str(tmp_path)), agent="tests")

    async def start() -> None:
        await transport.start()
        await transport.close()
        gc.collect()

    asyncio.run(start())
    assert not caplog.records


def test_a_root_path_is_no_part_of_the_paths_in_this_process(learn: Any) -> None:
    app = tutorial_app.create_app()
    app.root_path = "/gateway"
    target = learn(app).target
    assert [login.operation.name for login in target.logins] == ["POST /token"]
    assert target.witness is not None
    assert target.witness.operation.name == "GET /users/me"
    assert not [item for item in target.operations if item.path.startswith("/gateway")]


def test_what_runs_in_place_of_a_guard_is_no_guard_unless_it_looks_itself() -> None:
    def caller(token: Annotated[str, Security(OAuth2PasswordBearer("token"))]) -> str:
        return token

    def by_key(key: Annotated[str, Security(APIKeyHeader(name="X-API-Key"))]) -> str:
        return key

    app = FastAPI()
    app.get("/me", dependencies=[Depends(caller)])(lambda: {"me": 1})
    assert guards_of(app)["GET /me"] == ("caller",)
    app.dependency_overrides[caller] = lambda: "developer"
    assert guards_of(app)["GET /me"] == ()
    app.dependency_overrides[caller] = by_key
    assert guards_of(app)["GET /me"] == ("by_key",)
