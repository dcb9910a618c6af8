"""Secrets never reach evidence, whatever they are wrapped in."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.credentials import Jwt, SigningKey
from auth_conformance.secret import Secret
from auth_conformance.transports.redaction import Redactor, mark

SECRETS = st.text(st.characters(exclude_categories=("Cs",)), min_size=6, max_size=40)


@given(SECRETS)
def test_a_known_secret_is_replaced_in_every_usual_encoding(text: str) -> None:
    redactor = Redactor()
    redactor.learn(Secret(text))
    raw = text.encode()
    for spelling in (
        text,
        quote(text, safe=""),
        json.dumps(text)[1:-1],
        raw.hex(),
        base64.b64encode(raw).decode(),
    ):
        assert spelling not in redactor.text(f"before {spelling} after") or spelling in "before  after"


def test_a_secret_does_not_print() -> None:
    secret = Secret("correct horse battery staple")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>60}", "%s" % secret):  # noqa: UP031 - an old way to print
        assert "horse" not in text
    with pytest.raises(TypeError):
        secret.__reduce__()


def test_unknown_secrets_are_found_by_where_they_stand() -> None:
    redactor = Redactor()
    shown = redactor.text(
        '{"access_token": "abcdef123", "token_type": "bearer", "hashed_password": "$argon2id$x"}',
    )
    assert "abcdef123" not in shown
    assert "argon2" not in shown
    assert '"bearer"' in shown
    assert "hunter22" not in redactor.text("username=ann&password=hunter22")
    assert "k-123456" not in redactor.text("/me?api_key=k-123456&page=2")
    assert "page=2" in redactor.text("/me?api_key=k-123456&page=2")


def test_headers_that_carry_credentials_are_hidden_and_their_scheme_stays() -> None:
    redactor = Redactor()
    assert redactor.header("Authorization", "Bearer abc.def").startswith("Bearer ‹sha256:")
    assert "tok" not in redactor.header("Cookie", "sid=tok; theme=dark")
    shown = redactor.header("Set-Cookie", "sid=tokentoken; Secure; HttpOnly; Path=/")
    assert "tokentoken" not in shown
    assert shown.endswith("; Secure; HttpOnly; Path=/")
    redactor.learn_header("X-Session-Token")
    assert "opaque" not in redactor.header("x-session-token", "opaquevalue")


def test_a_jwt_shows_header_and_claim_names_only() -> None:
    token = Jwt.build(
        {"alg": "HS256", "kid": "k1"},
        {"sub": "alice", "email": "alice@example.com"},
        SigningKey("HS256", Secret("s" * 32)),
    )
    shown = Redactor().header("Authorization", f"Bearer {token.text}")
    assert "alice" not in shown
    assert '"alg": "HS256"' in shown
    assert "sub email" in shown
    assert "eyJ" not in Redactor().text(f"see {token.text} there")


def test_terminal_escapes_and_direction_overrides_are_spelled_out() -> None:
    shown = Redactor().text("\x1b[31mred\u202egnirts")
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_of_secrets_within_each_other_the_longest_is_named() -> None:
    redactor = Redactor()
    for secret in ("river-42", "the-river-42", "42-the-river-42-far"):
        redactor.learn(Secret(secret))
    shown = redactor.text("say 42-the-river-42-far, the-river-42 or river-42")
    assert shown == f"say {mark('42-the-river-42-far')}, {mark('the-river-42')} or {mark('river-42')}"
    assert redactor.known_in("of the-river-42", said="the-river-42") is None
    assert redactor.known_in("of the-river-42", said="river-42") == mark("the-river-42")


@pytest.mark.parametrize(
    "field",
    [
        '<input type="hidden" name="csrf_token" value="{}">',
        "<input name=authenticity value='{}' type=hidden>",
        "<INPUT TYPE=hidden VALUE={} NAME=x>",
        '<meta name="csrf-token" content="{}"/>',
    ],
)
@pytest.mark.parametrize("value", ["IjQ4ZmY0.aGk.9b", "0f3c11aa22bb44dd"])
def test_the_proofs_of_a_page_are_hidden(field: str, value: str) -> None:
    shown = Redactor().text(f"<form>{field.format(value)}</form>")
    assert value not in shown
    assert "‹sha256:" in shown


@pytest.mark.parametrize(
    "field",
    [
        '<input type="hidden" name="next" value="/account">',
        '<input type="text" name="street" value="Lane 12345678">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
    ],
)
def test_what_a_page_says_otherwise_stays(field: str) -> None:
    assert Redactor().text(field) == field
