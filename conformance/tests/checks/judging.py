"""One check against an application that discovery has to understand: only two people's passwords are known."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load


def judged_as_found(code: str, app: Any, *, spares: Sequence[str] = (), **more: Any) -> Result:
    """The result of one check on `app`, whose people are those of `services.people`; `more` is configuration.

    `spares` may be lost; their passwords stand in the environment as well.
    """
    accounts: dict[str, Any] = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    for name in spares:
        password = {"env": f"PASSWORD_OF_{name}".upper()}
        accounts[name] = {"username": name, "password": password, "role": "expendable"}
    settings = load({"accounts": accounts} | more, start=Path("/"))
    return asyncio.run(conduct(settings, [catalog.load()[code]], app=app)).results[0]


def said(result: Result) -> str:
    """All that a verdict says, for the message of a failed assertion."""
    return f"{result.name} {result.severity}: {result.verdict.reason} {getattr(result.verdict, 'notes', ())}"
