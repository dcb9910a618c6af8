"""Stored credentials by their form, digests by the name of their member, and hexadecimal digits that are neither."""

import hashlib

import pytest

from auth_conformance.oracles.material import stored_material

BCRYPT = "$2b$12$" + "a" * 53


@pytest.mark.parametrize(
    "stored",
    [
        BCRYPT,
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "scrypt:32768:8:1$salt$" + "a" * 40,
        "pbkdf2_sha256$600000$salt$hash=",
        "$6$rounds=5000$saltsalt$" + "x" * 40,
    ],
)
def test_hashes_are_known_by_their_form_wherever_they_stand(stored: str) -> None:
    assert stored_material({"user": {"x": [stored]}}, "")[0][0] == "/user/x/0"
    assert stored_material(None, f"row: {stored}")[0][0] == ""


def test_hexadecimal_digits_need_the_name_of_a_secret() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert stored_material({"password_hash": digest}, "") == [
        ("/password_hash", "64 hexadecimal digits named password_hash")
    ]
    assert stored_material({"secret": digest[:32]}, "") != []
    for innocent in ("id", "etag", "content_hash", "file_digest", "csrf_token", "commit_hash"):
        assert stored_material({innocent: digest}, "") == []


def test_prose_about_hashes_is_none() -> None:
    text = "Passwords are hashed with bcrypt ($2b$) and pbkdf2; see scrypt."
    assert stored_material({"text": text}, text) == []
    assert stored_material({"hash": True, "password": None}, "") == []
