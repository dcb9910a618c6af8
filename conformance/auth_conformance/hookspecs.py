"""Hooks that a `conftest.py` or another plugin may implement; they live in pytest's own plugin manager."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from auth_conformance.model import Run


@pytest.hookspec(firstresult=True)
def pytest_auth_users(config: pytest.Config) -> Mapping[str, Mapping[str, str]] | None:
    """Supply the accounts of the target: `{"a": {"username": ..., "password": ...}, "b": ...}`.

    Called once per process before the target is opened; the first answer that is not None counts.
    Members may be `username`, `password`, `token`, `key` and `cookie`.
    """


@pytest.hookspec(firstresult=True)
def pytest_auth_mailbox(config: pytest.Config) -> Callable[[str], str | None] | None:
    """Supply the mailbox: a callable that takes an address and returns the last message to it, or None.

    It may be a coroutine function. Called once per process; the first answer that is not None counts.
    """


@pytest.hookspec
def pytest_auth_report_write(config: pytest.Config, run: Run) -> None:
    """Write a report of the finished run. Called once, on the controller, also after an interruption."""
