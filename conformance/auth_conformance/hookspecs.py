"""Hooks that a `conftest.py` or another plugin may implement; they live in pytest's own plugin manager."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.model import Run


@pytest.hookspec(firstresult=True)
def pytest_auth_users(config: pytest.Config) -> Mapping[str, Mapping[str, str]] | None:
    """Supply the accounts of the target: `{"a": {"username": ..., "password": ...}, "b": ...}`.

    Called once per process before the target is opened; the first answer that is not None counts.
    Members may be `username`, `password`, `token`, `key` and `cookie`.
    """


@pytest.hookspec
def pytest_auth_report_write(config: pytest.Config, run: Run) -> None:
    """Write a report of the finished run. Called once, on the controller, also after an interruption."""
