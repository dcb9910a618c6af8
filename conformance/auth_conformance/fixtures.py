"""Fixtures of the suite, all session-wide. A `conftest.py` may override `auth_app`, `auth_users`, `auth_mailbox`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from auth_conformance.collection import Collection, Session


@pytest.fixture(scope="session")
def auth_app() -> object | None:
    """The application under test: an ASGI application object, or None for what the configuration names."""
    return None


@pytest.fixture(scope="session")
def auth_users(pytestconfig: pytest.Config) -> Mapping[str, Mapping[str, str]] | None:
    """The accounts of the target, as the hook `pytest_auth_users` describes them."""
    users: Mapping[str, Mapping[str, str]] | None = pytestconfig.hook.pytest_auth_users(config=pytestconfig)
    return users


@pytest.fixture(scope="session")
def auth_mailbox(pytestconfig: pytest.Config) -> Callable[[str], str | None] | None:
    """What returns the last message to an address, as the hook `pytest_auth_mailbox` describes it."""
    mailbox: Callable[[str], str | None] | None = pytestconfig.hook.pytest_auth_mailbox(config=pytestconfig)
    return mailbox


@pytest.fixture(scope="session")
def auth_session(
    request: pytest.FixtureRequest,
    auth_app: object | None,
    auth_users: Mapping[str, Mapping[str, str]] | None,
    auth_mailbox: Callable[[str], str | None] | None,
) -> Iterator[Session]:
    """The engine, started when the first check asks for its verdict."""
    plugin = request.config.pluginmanager.get_plugin("auth_conformance.collection")
    if not isinstance(plugin, Collection):
        raise pytest.UsageError("auth_session works only in items of the suite")
    session = Session(plugin, request.session, auth_app, auth_users, auth_mailbox)
    yield session
    session.stop()
