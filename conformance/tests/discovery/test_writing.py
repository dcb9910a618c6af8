"""The file that `init` writes leads to the same target; the table of `doctor` says what is missing."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from checks.boards_app import boards
from checks.test_client_credentials import works
from discovery_people import PASSWORDS
from services.catalogue import SERVICES
from services.people import PEOPLE
from zoo.essence import essence

from auth_conformance.discovery.advising import doctor
from auth_conformance.discovery.writing import as_toml
from auth_conformance.model import Need
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = {service.name: service for service in SERVICES}


@pytest.mark.parametrize("name", ["users-jwt", "authx", "envelope", "starlette", "cookie"])
def test_the_written_file_leads_to_the_same_target(name: str, learn: Any, tmp_path: Path) -> None:
    suffix = "@example.com" if name.startswith("users") else ""
    accounts = {
        label: {"username": person + suffix, "password": {"env": f"PASSWORD_OF_{person.upper()}"}}
        for label, person in (("a", "alice"), ("b", "bob"))
    }
    lesson = learn(BY_NAME[name].create_app(), accounts)
    text = as_toml(lesson.target, lesson.settings)
    for password in PASSWORDS.values():
        assert password not in text
    table = tomllib.loads(text)
    table.pop("app")
    again = learn(BY_NAME[name].create_app(), **table)
    assert essence(again.target) == essence(lesson.target)
    assert len(again.log) < len(lesson.log)
    for line in text.splitlines():
        assert not line or line.startswith(("[", "#")) or "  # " in line


def test_what_objects_belong_to_is_written_where_a_body_names_it(
    learn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = {}
    for label, (name, password) in zip("ab", PEOPLE.items(), strict=False):
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
        accounts[label] = {"username": name, "password": {"env": f"PASSWORD_OF_{name.upper()}"}}
    lesson = learn(boards(), accounts)
    assert lesson.target.objects is not None
    (parent,) = lesson.target.objects.parents
    assert (parent.parameter, parent.operation.name) == ("/board_id", "POST /boards")
    table = tomllib.loads(as_toml(lesson.target, lesson.settings))
    table.pop("app")
    assert essence(learn(boards(), **table).target) == essence(lesson.target)


def test_a_client_that_logs_in_by_http_basic_has_a_grant_and_no_fields(
    learn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, password in PEOPLE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
    lesson = learn(works("basic"))
    (login,) = tomllib.loads(as_toml(lesson.target, lesson.settings))["login"]
    assert login["encoding"] == "basic"
    assert login["extra"]["grant_type"] == "client_credentials"
    assert not login.keys() & {"user_field", "password_field"}


def test_what_merely_answers_strangers_is_not_declared_to_be_for_them(learn: Any) -> None:
    lesson = learn(BY_NAME["tutorial"].create_app(), kind="url")
    for path, written in (("/prices", False), ("/api/health", True), ("/", True)):
        target = replace(lesson.target, public=Operation("GET", path))
        assert ("public" in tomllib.loads(as_toml(target, lesson.settings))) is written


def test_doctor_says_what_is_missing_and_what_to_add(learn: Any) -> None:
    lesson = learn(BY_NAME["tutorial"].create_app(), kind="url")
    text = doctor(
        lesson.target,
        {
            Need.WITNESS: ["TOK101"],
            Need.SIGNING_KEY: ["TOK113"],
            Need.REFRESH: ["LIF107"],
            Need.ADMIN: ["AUZ103"],
        },
    )
    assert "witness" in text
    assert "GET /users/me, names the caller at /username" in text
    assert "observed" in text
    assert "TOK113 cannot run without it" in text
    assert 'key = { env = "SECRET_KEY" }' in text
    assert "Does not apply here:\n  refresh:" in text
    assert "TOK101" not in text.split("Missing:")[1]
    for password in PASSWORDS.values():
        assert password not in text
