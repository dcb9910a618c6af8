"""`learn`: run discovery against an application in this process, and see every request that it sent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import argon2
import pytest

from auth_conformance.discovery import discover
from auth_conformance.settings import Settings, load
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

# In importlib mode pytest puts nothing on sys.path.
sys.path.append(str(Path(__file__).parent))

from discovery_people import PASSWORDS

if TYPE_CHECKING:
    from auth_conformance.target import Target
    from auth_conformance.transports.message import HttpRequest, RawReply


@dataclass
class Lesson:
    """What came of a discovery: the target, the settings, and (request, reply) in order."""

    target: Target
    settings: Settings
    log: list[tuple[HttpRequest, RawReply]] = field(default_factory=list)

    def names(self) -> list[str]:
        return [f"{request.method} {request.path}" for request, _ in self.log]


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services hash with Argon2 as one should: nothing here is about that, and it takes the time."""
    original = argon2.PasswordHasher.__init__

    def cheap(self: argon2.PasswordHasher, *_: object, **__: object) -> None:
        original(self, time_cost=1, memory_cost=8, parallelism=1)

    monkeypatch.setattr(argon2.PasswordHasher, "__init__", cheap)


Learn = Callable[..., Lesson]


def people(suffix: str = "") -> dict[str, Any]:
    return {
        label: {"username": name + suffix, "password": {"env": f"PASSWORD_OF_{name.upper()}"}}
        for label, name in (("a", "alice"), ("b", "bob"))
    }


@pytest.fixture
def learn(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Learn:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)

    def run(
        app: Any,
        accounts: Mapping[str, Any] | None = None,
        *,
        kind: str = "app",
        address: str = "https://testserver",
        log: list[tuple[HttpRequest, RawReply]] | None = None,
        **more: Any,
    ) -> Lesson:
        settings = load({"accounts": people() if accounts is None else accounts, **more}, start=tmp_path)
        seen = log if log is not None else []

        class Listening(AsgiTransport):
            async def send(self, request: HttpRequest) -> RawReply:
                reply = await super().send(request)
                seen.append((request, reply))
                return reply

        async def main() -> Target:
            transport = Listening(app, agent="tests")
            await transport.start()
            try:
                return await discover(
                    Recorder(transport, Redactor()),
                    settings,
                    kind=kind,
                    address="tests:app" if kind == "app" else address,
                    app=app if kind == "app" else None,
                    run_id="r4d2e1",
                )
            finally:
                await transport.close()

        return Lesson(asyncio.run(main()), settings, seen)

    return run
