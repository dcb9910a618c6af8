"""Spellings of identifiers, words for administrators, and scopes that a reply names."""

import random
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.identifiers import another_id, is_uuid, spellings
from auth_conformance.oracles.privilege import reserved_for, role_word
from auth_conformance.oracles.scopes import scopes_of


@given(st.one_of(st.integers(0, 10**9).map(str), st.uuids().map(str), st.text("abcXYZ019-", min_size=1)))
def test_no_spelling_is_the_identifier_itself(identifier: str) -> None:
    assert identifier not in spellings(identifier).values()


@pytest.mark.parametrize(
    ("identifier", "pattern"),
    [
        (
            "01a21e60-d70c-77ae-91af-fc1bb1602810",
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ("01M8F4YS1ZB9FXVZ0F9K9PETAB", r"[0-7][0-9A-HJKMNP-TV-Z]{25}"),
        ("184", r"[0-9]+"),
        ("note-7f", r"[a-z]{4}-[0-9][a-z]"),
    ],
)
def test_an_id_that_nobody_has_is_of_the_same_make(identifier: str, pattern: str) -> None:
    found = {another_id(identifier, random.Random(seed)) for seed in range(50)}
    assert identifier not in found
    assert all(re.fullmatch(pattern, item) for item in found)


@given(st.uuids())
def test_spellings_of_a_uuid_are_read_as_the_same_one(identifier: UUID) -> None:
    assert is_uuid(str(identifier))
    found = spellings(str(identifier))
    assert {UUID(found[how]) for how in ("in braces", "as a URN", "without hyphens")} == {identifier}


@given(st.integers(0, 10**9))
def test_spellings_of_a_number_are_read_as_the_same_one(number: int) -> None:
    found = spellings(str(number))
    assert {int(found[how]) for how in ("with a sign", "with a leading zero", "with an underscore")} == {
        number
    }
    assert {float(found[how]) for how in ("as a decimal fraction", "in exponential notation")} == {number}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/admin/users", "admin"),
        ("/api/v1/superusers", "superusers"),
        ("listUsersAsAdmin", "admin"),
        ("users:administer", "administer"),
        ("ADMIN", "admin"),
        ("/badminton/courts", None),
        ("/staff/directory", None),
        ("keys:manage", None),
        ("administratively", None),
    ],
)
def test_a_role_is_a_whole_word(text: str, word: str | None) -> None:
    assert role_word(["/me", text]) == word


@pytest.mark.parametrize(
    ("summary", "word"),
    [
        ("List all accounts (admin)", "admin"),
        ("Todas las cuentas (solo administración)", "administración"),
        ("Admin only: close the shop", "admin"),
        ("Requires an administrator", "administrator"),
        ("Nur für Administratoren", "administratoren"),
        ("Write to an administrator", None),
        ("Ask the admins (anonymously)", None),
        ("Read only", None),
    ],
)
def test_a_role_that_is_only_mentioned_reserves_nothing(summary: str, word: str | None) -> None:
    assert reserved_for(summary) == word


@pytest.mark.parametrize(
    ("places", "scopes"),
    [
        (({"scope": "a b"},), {"a", "b"}),
        (({"token": "x"}, {"scp": ["a"]}), {"a"}),
        (({}, {"scope": "openid", "permissions": ["read:a"]}), {"openid", "read:a"}),
        (({"scope": ""}, {"scopes": "b"}), {"b"}),
        ((None, ["scope"], {"scope": 7}, {"scope": [1]}), set()),
    ],
)
def test_scopes_are_read_wherever_they_are_named(places: tuple[object, ...], scopes: set[str]) -> None:
    assert scopes_of(*places) == scopes
