"""A person at a terminal: the command in a folder of theirs, and the accounts of the tests in its configuration."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services import people

ACCOUNTS = """
[accounts.alice]
username = "alice"
password = { env = "ALICE_PASSWORD" }
[accounts.bob]
username = "bob"
password = { env = "BOB_PASSWORD" }
"""
PASSWORDS = {"ALICE_PASSWORD": people.PEOPLE["alice"], "BOB_PASSWORD": people.PEOPLE["bob"]}


def command(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    within: float = 120,
) -> subprocess.CompletedProcess[str]:
    """What a person types in the folder `cwd`, and what comes of it `within` so many seconds."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AUTH_CONFORMANCE_")}
    return subprocess.run(
        [sys.executable, "-m", "auth_conformance.cli", *arguments],
        cwd=cwd,
        env={**clean, "NO_COLOR": "1", "COLUMNS": "100", **(env or {})},
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
