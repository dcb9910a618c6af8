"""Whether a stored hash is that of a password everybody knows: in the forms that Python services write."""

import base64
import hashlib
import importlib

import pytest

from auth_conformance.oracles import knownhashes
from auth_conformance.oracles.knownhashes import opens
from auth_conformance.oracles.passwords import parse_hash

SALT = b"saltsalt"


def pbkdf2(count: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", b"changethis", SALT, count)


def passlib(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def stored() -> dict[str, str]:
    argon2, bcrypt = importlib.import_module("argon2"), importlib.import_module("bcrypt")
    scrypt = hashlib.scrypt(b"changethis", salt=SALT, n=16, r=8, p=1).hex()
    return {
        "argon2": argon2.PasswordHasher(1, 8, 1).hash("changethis"),
        "bcrypt": bcrypt.hashpw(b"changethis", bcrypt.gensalt(4)).decode(),
        "bcrypt of PHP": bcrypt.hashpw(b"changethis", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
        "werkzeug, scrypt": f"scrypt:16:8:1${SALT.decode()}${scrypt}",
        "werkzeug, PBKDF2": f"pbkdf2:sha256:9${SALT.decode()}${pbkdf2(9).hex()}",
        "django": f"pbkdf2_sha256$9${SALT.decode()}${base64.b64encode(pbkdf2(9)).decode()}",
        "passlib": f"$pbkdf2-sha256$9${passlib(SALT)}${passlib(pbkdf2(9))}",
    }


@pytest.mark.parametrize("form", stored())
def test_the_password_opens_its_hash_and_no_other_does(form: str) -> None:
    text = stored()[form]
    assert parse_hash(text) is not None
    assert (opens(text, "changethis"), opens(text, "changethat")) == (True, False)


@pytest.mark.parametrize(
    "text", ["", "$argon2id$v=19$nonsense", "$2b$12$short", "$1$salt$digest", "pbkdf2:sha0:9$s$00"]
)
def test_what_cannot_be_computed_is_neither(text: str) -> None:
    assert opens(text, "changethis") is None


def test_without_the_library_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = stored()["argon2"]

    def missing(_: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(knownhashes.importlib, "import_module", missing)
    assert opens(text, "changethis") is None
