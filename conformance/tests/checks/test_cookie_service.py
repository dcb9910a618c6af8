"""SES101 to SES114, KEY107, KEY108 and MIX105 on a service unlike the reference app, sound and unsound."""

import asyncio
import hashlib
import secrets
import uuid
from pathlib import Path
from typing import Any

import pytest
from checks.cookie_service import create_app, judged
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Severity
from auth_conformance.settings import load

RANDOM = secrets.token_urlsafe(48)

FOUND: list[tuple[str, dict[str, Any], Severity]] = [
    ("SES105", {}, Severity.LOW),
    ("SES107", {"make_id": lambda number: f"{number:x}-{number * 7:x}"}, Severity.HIGH),
    ("SES107", {"make_id": lambda _: str(uuid.uuid4())}, Severity.LOW),
    ("SES107", {"make_id": lambda number: hashlib.md5(b"%d" % number).hexdigest()}, Severity.HIGH),  # noqa: S324
    ("SES108", {"secret": RANDOM}, Severity.MEDIUM),
    ("SES109", {"secret": "changethis"}, Severity.CRITICAL),
    ("SES110", {"reauthenticates": False}, Severity.MEDIUM),
    ("SES113", {"last_cookie": True}, Severity.LOW),
    ("SES114", {"url_session": True}, Severity.HIGH),
    ("KEY107", {"make_key": lambda _: f"k_{secrets.token_hex(8)}"}, Severity.HIGH),
    ("KEY108", {"show_keys": True}, Severity.MEDIUM),
]

SOUND: list[tuple[str, dict[str, Any]]] = [
    ("SES101", {}),
    ("SES101", {"secret": RANDOM}),
    ("SES105", {"cookie_name": "__Host-sid"}),
    ("SES106", {}),
    ("SES106", {"secret": RANDOM}),
    ("SES107", {}),
    ("SES109", {"secret": RANDOM}),
    ("SES113", {}),
    ("SES113", {"cookie_name": "__Host-sid", "last_cookie": True}),
    ("SES114", {}),
    ("KEY103", {}),
    ("KEY106", {}),
    ("KEY107", {}),
    ("KEY107", {"most_keys": 3}),
    ("KEY108", {}),
    ("MIX105", {}),
    ("MIX106", {}),
]


@pytest.mark.parametrize(("code", "knobs", "severity"), FOUND)
def test_what_is_wrong_is_found(code: str, knobs: dict[str, Any], severity: Severity) -> None:
    result = judged(code, **knobs)
    assert (result.name, result.severity) == ("failed", severity), result.verdict.reason


@pytest.mark.parametrize(("code", "knobs"), SOUND)
def test_what_is_sound_passes(code: str, knobs: dict[str, Any]) -> None:
    result = judged(code, **knobs)
    assert result.name == "passed", result.verdict.reason


def test_a_session_in_the_cookie_has_no_id_to_guess() -> None:
    result = judged("SES107", secret=RANDOM)
    assert result.name == "skipped"
    assert "Not applicable" in result.verdict.reason


def test_what_cannot_be_seen_is_not_passed() -> None:
    # Nobody can register here, so nobody is logged out, and no database is known.
    result = judged("SES108")
    assert result.name in {"passed", "inconclusive"}
    assert result.name == "inconclusive" or "logout" in result.verdict.reason


@pytest.mark.parametrize("dies", [False, True])
def test_a_service_that_lets_nobody_in_any_more_has_ended_no_session(*, dies: bool) -> None:
    known: list[object] = []
    app = create_app(doomed=lambda: dies and bool(known))
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    logout = [{"operation": "POST /leave", "kind": "cookie"}]
    settings = load({"accounts": accounts, "logout": logout}, start=Path("/"))
    (result,) = asyncio.run(
        conduct(settings, [catalog.load()["SES108"]], app=app, on_target=known.append)
    ).results
    assert result.name == ("inconclusive" if dies else "passed"), result.verdict.reason
