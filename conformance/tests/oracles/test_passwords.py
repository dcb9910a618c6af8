from __future__ import annotations

import base64
import codecs
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.passwords import hidden, parse_hash, salt_bits

SALT = "c29tZXNhbHRzb21lc2FsdA"


@pytest.mark.parametrize(
    ("text", "family", "weak", "wrong"),
    [
        (f"$argon2id$v=19$m=47104,t=1,p=1${SALT}$x", "argon2id", False, False),
        (f"$argon2id$v=19$m=19456,t=2,p=1${SALT}$x", "argon2id", False, False),
        (f"$argon2id$v=19$m=19456,t=1,p=1${SALT}$x", "argon2id", True, False),
        (f"$argon2i$v=19$m=1024,t=9,p=1${SALT}$x", "argon2i", True, False),
        ("$2b$12$" + "s" * 22 + "h" * 31, "bcrypt", False, False),
        ("$2y$09$" + "s" * 22 + "h" * 31, "bcrypt", True, False),
        (f"$scrypt$ln=17,r=8,p=1${SALT}$x", "scrypt", False, False),
        (f"scrypt:32768:8:1${SALT}$x", "scrypt", True, False),
        (f"pbkdf2:sha256:600000${SALT}$x", "PBKDF2", False, False),
        (f"pbkdf2_sha256$1000${SALT}$x", "PBKDF2", True, False),
        ("$1$salt$abcdefgh", "crypt $1$", False, True),
    ],
)
def test_a_hash_is_known_by_family_and_cost(text: str, family: str, weak: bool, wrong: bool) -> None:
    found = parse_hash(text)
    assert found is not None
    assert (found.family, bool(found.weakness), found.wrong_family) == (family, weak, wrong)


@pytest.mark.parametrize("text", ["", "hunter2", "$2b$12$short", "a" * 64, "$argon2id$", "pbkdf2"])
def test_what_is_none_is_none(text: str) -> None:
    assert parse_hash(text) is None


def test_a_salt_is_counted_without_its_padding() -> None:
    found = parse_hash(f"$argon2id$v=19$m=47104,t=1,p=1${SALT}==$x")
    assert found is not None
    assert salt_bits(found) == len(SALT) * 6


@given(
    st.text(min_size=12, max_size=60, alphabet=st.characters(min_codepoint=33, max_codepoint=126)),
    st.integers(1, 255),
)
def test_what_needs_no_key_hides_nothing(secret: str, key: int) -> None:
    raw = secret.encode()
    assert hidden(secret, bytes(byte ^ key for byte in raw)) == "XORed with one byte"
    assert hidden(secret, bytes(byte ^ key for byte in raw).hex())
    assert hidden(secret, zlib.compress(raw))
    assert hidden(secret, base64.b64encode(zlib.compress(raw)).decode())
    assert hidden(secret, codecs.encode(secret, "rot13"))


@given(st.binary(min_size=1, max_size=200))
def test_other_bytes_hide_no_secret(value: bytes) -> None:
    assert hidden("correct-horse-battery-staple-9153", value) == ""
