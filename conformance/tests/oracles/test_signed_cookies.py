"""Signed cookies: each format's secret is found when it is guessable, and data is told from references."""

import hashlib
import hmac
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import itsdangerous
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.carried import carried
from auth_conformance.oracles.cookievalues import readings
from auth_conformance.oracles.injection import delayed, error_text, pauses, phrases
from auth_conformance.oracles.signed import crack, later, sign, unseal

SECRET = "changethis"
ACCOUNT = "7f1d2a52-7a0c-4f5e-9b7e-0d4f6a1c2b3d"
SECRETS = [("filler", f"filler{number}".encode(), True) for number in range(50)] + [
    ("a published sample", SECRET.encode(), True)
]


def starlette(data: object) -> str:
    return itsdangerous.TimestampSigner(SECRET).sign(b64encode(json.dumps(data).encode())).decode()


def django(data: object) -> str:
    body = f"{urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip('=')}:1rABcd"
    key = hashlib.sha256(b"django.core.signing.Signer" + b"signer" + SECRET.encode()).digest()
    mac = urlsafe_b64encode(hmac.digest(key, body.encode(), "sha256")).decode().rstrip("=")
    return f"{body}:{mac}"


def express(data: object) -> str:
    del data
    mac = b64encode(hmac.digest(SECRET.encode(), b"an-id-of-a-session", "sha256")).decode().rstrip("=")
    return f"s%3Aan-id-of-a-session.{mac.replace('+', '%2B').replace('/', '%2F')}"


def rails(data: object, generator: str = "sha1", digest: str = "sha1") -> str:
    body = b64encode(
        json.dumps({"_rails": {"message": "x", "pur": "cookie.session"}, "data": data}).encode()
    ).decode()
    key = hashlib.pbkdf2_hmac(generator, SECRET.encode(), b"signed cookie", 1000, 64)
    return quote(f"{body}--{hmac.digest(key, body.encode(), digest).hex()}", safe="")


def django_cookie(data: object) -> str:
    """As `set_signed_cookie("session", ...)` writes it."""
    del data
    key = hashlib.sha256(b"session" + b"signer" + b"django.http.cookies" + SECRET.encode()).digest()
    mac = urlsafe_b64encode(hmac.digest(key, b"7:1rABcd", "sha256")).decode().rstrip("=")
    return f"7:1rABcd:{mac}"


def tornado(data: object) -> str:
    value = b64encode(json.dumps(data).encode()).decode()
    body = f"2|1:0|10:1700000000|7:session|{len(value)}:{value}|"
    return body + hmac.digest(SECRET.encode(), body.encode(), "sha256").hex()


WRITERS = {
    "Starlette": starlette,
    "Flask": lambda data: itsdangerous.URLSafeTimedSerializer(
        SECRET,
        salt="cookie-session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    ).dumps(data),
    "URLSafeSerializer": lambda data: itsdangerous.URLSafeSerializer(SECRET).dumps(data),
    "Django": django,
    "Django's signed cookie": django_cookie,
    "Rails 6": rails,
    "Rails 7": lambda data: rails(data, "sha256", "sha256"),
    "Express": express,
    "Tornado": tornado,
    "id and hexadecimal MAC": lambda _: (
        f"abcdef0123456789.{hmac.digest(SECRET.encode(), b'abcdef0123456789', 'sha512').hex()}"
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_guessable_secret_is_found_in_each_format(name: str) -> None:
    written = WRITERS[name]({"user_id": 7})
    value = unseal(written)
    assert value is not None
    hit, tried = crack(value, SECRETS, "session")
    assert hit is not None
    assert (hit.secret, hit.tried, tried) == (SECRET.encode(), 51, 51)
    # Signed anew and written as it came, prefix and percent-encoding included.
    assert sign(value, value.body, hit).rstrip("=") == written.rstrip("=")


@pytest.mark.parametrize("name", WRITERS)
def test_a_random_secret_is_not_found(name: str) -> None:
    value = unseal(WRITERS[name]({"user_id": 7}))
    assert value is not None
    assert crack(value, SECRETS[:-1], "session") == (None, 50)


def test_a_cookie_is_signed_anew_with_the_time_of_now() -> None:
    value = unseal(starlette({"user_id": 7}))
    assert value is not None
    hit, _ = crack(value, SECRETS)
    assert hit is not None
    forged = sign(value, later(value.body), hit)
    assert json.loads(
        __import__("base64").b64decode(itsdangerous.TimestampSigner(SECRET).unsign(forged, max_age=5))
    ) == {"user_id": 7}


@given(st.text(max_size=120))
def test_no_value_breaks_the_reader(value: str) -> None:
    found = unseal(value)
    assert found is None or found.body
    assert later(value) or not value


def test_references_carry_no_signature() -> None:
    for _ in range(100):
        assert unseal(secrets.token_urlsafe(32)) is None
        assert unseal(secrets.token_hex(16)) is None


@pytest.mark.parametrize(
    ("data", "grave"),
    [
        ({"user_id": 7}, False),
        ({"sub": "7f1d2a52", "iat": 1}, False),
        ({"user_id": 7, "role": "admin"}, True),
        ({"who": "ada@example.com"}, True),
        ({"_auth_user_id": "7", "_auth_user_hash": "abc"}, False),
        ({"sid": secrets.token_urlsafe(32)}, None),
        ({"csrf_token": secrets.token_urlsafe(32), "theme": "dark"}, None),
        ({"flash": []}, None),
        # A token that names its session and its account by ids of chance is a signed reference ...
        ({"sub": ACCOUNT, "sid": secrets.token_urlsafe(24), "iat": 1, "iss": "shop"}, None),
        # ... and none that says more, or names the account by what people know.
        ({"sub": ACCOUNT, "sid": secrets.token_urlsafe(24), "role": "admin"}, True),
        ({"sub": ACCOUNT, "sid": secrets.token_urlsafe(24), "plan": "free"}, False),
        ({"sub": "7", "sid": secrets.token_urlsafe(24)}, False),
        ({"sub": "ada@example.com", "sid": secrets.token_urlsafe(24)}, True),
        ({"sub": ACCOUNT, "iat": 1}, False),
        # What looks like chance is a secret only where it opens something elsewhere.
        ({"user_id": 7, "csrf_token": secrets.token_urlsafe(32)}, False),
        ({"session_token": secrets.token_urlsafe(32)}, None),
        ({"access_token": secrets.token_urlsafe(32)}, True),
    ],
)
def test_data_about_a_user_is_told_from_a_reference(data: dict[str, object], grave: bool | None) -> None:
    found = carried(readings(starlette(data)), ("ada@example.com", "ada"))
    assert (found.grave if found else None) is grave
    assert found is None or "ada@" not in found.words


def test_a_delay_must_be_long_and_out_of_proportion() -> None:
    assert delayed(3.1, 0.05)
    assert not delayed(0.4, 0.05)
    assert not delayed(5.0, 4.0)
    assert all(pause.slow != pause.quick for pause in pauses())
    assert len(set(phrases().values())) == len(phrases())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"detail": "(sqlite3.OperationalError) near \\"OR\\": syntax error"}', True),
        ("psycopg2.errors.SyntaxError: syntax error at or near", True),
        ("[SQL: SELECT api_keys.id FROM api_keys WHERE api_keys.key = ?]", True),
        (
            '{"error": "invalid_api_key", "message": "Select another key, or look where you keep them."}',
            False,
        ),
        ('{"message": "Insert into the header, update or delete"}', False),
        ("", False),
    ],
)
def test_what_a_database_says_is_known(body: str, found: bool) -> None:
    assert (error_text(body) is not None) is found
