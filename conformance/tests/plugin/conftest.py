import os
import secrets

import pytest


@pytest.fixture(autouse=True)
def environment(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, the bundled app's settings, and no settings of ours from outside."""
    for name in [name for name in os.environ if name.startswith(("AUTH_CONFORMANCE_", "PYTEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SECRET_KEY", secrets.token_urlsafe(48))
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{pytester.path}/app.db")
    # What is rewritten for their messages is every module of every plugin that is installed.
    monkeypatch.setenv("PYTEST_ADDOPTS", "--assert=plain")
    monkeypatch.setenv("PASSWORD_HASH_MEMORY_KIB", "64")
    monkeypatch.setenv("PASSWORD_HASH_TIME_COST", "1")
    monkeypatch.setenv("ALLOW_WEAK_PASSWORD_HASHING", "true")
