"""A document that takes longer than the run waits is not missing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from auth_conformance.model import Need
from auth_conformance.settings import ConfigurationError
from auth_conformance.transports.asgi import AsgiTransport

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIN = {
    "operation": "POST /login",
    "encoding": "json",
    "user_field": "username",
    "password_field": "password",
    "token": "/access_token",
}


def late(times: int) -> Any:
    """A service whose document takes its time, so many times."""
    app = FastAPI()
    asked = 0

    @app.post("/login")
    async def login(body: dict[str, str]) -> dict[str, str]:
        return {"access_token": f"token-of-{body['username']}-1f9a"}

    async def target(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        if scope.get("path") == "/openapi.json":
            asked += 1
            await asyncio.sleep(1 if asked <= times else 0)
        await app(scope, receive, send)

    return target


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsgiTransport, "__init__", _hasty(AsgiTransport.__init__))


def _hasty(original: Callable[..., None]) -> Callable[..., None]:
    def init(self: AsgiTransport, app: Any, **more: Any) -> None:
        original(self, app, **{**more, "timeout": 0.2})

    return init


def test_a_document_that_is_made_when_it_is_first_asked_for_is_read(learn: Any) -> None:
    lesson = learn(late(1), kind="url", login=[LOGIN])
    assert any(operation.name == "POST /login" for operation in lesson.target.operations)
    assert Need.OPENAPI in lesson.target.met_needs()


def test_a_document_that_does_not_come_in_time_is_not_said_to_be_missing(learn: Any) -> None:
    target = learn(late(9), kind="url", login=[LOGIN], timeout=0.2).target
    assert Need.OPENAPI not in target.absent
    assert target.remedies[Need.OPENAPI] == (
        "timeout = 30  # seconds: /openapi.json gave no answer within 0.2 s"
    )
    told = next(fact for fact in target.facts if fact.name == "document")
    assert "no answer within 0.2 s" in told.because


@pytest.mark.parametrize("given", [{}, {"openapi": "/openapi.json"}])
def test_a_service_that_cannot_be_used_without_it_names_the_line_that_waits(
    learn: Any, given: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout = 30  # seconds: /openapi\.json gave no answer"):
        learn(late(9), {}, kind="url", timeout=0.2, **given)
