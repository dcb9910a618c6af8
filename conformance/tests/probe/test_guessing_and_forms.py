"""Candidates for HMAC secrets, and the forms of a public key."""

import base64
import secrets
import time

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.credentials import Jwt, SigningKey, attacker_keys
from auth_conformance.probe.guessing import (
    common_passwords,
    common_words,
    derived,
    guess,
    known_kind,
    published,
    spellings,
)
from auth_conformance.probe.keyforms import private_jwk, public_jwk, public_key, serialisations
from auth_conformance.secret import Secret


def token_under(secret: str, algorithm: str = "HS256") -> Jwt:
    return Jwt.build({"alg": algorithm}, {"sub": "alice"}, SigningKey(algorithm, Secret(secret)))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", ["secret", "x" * 200, ""])
def test_our_hmac_is_the_right_one(algorithm: str, secret: str) -> None:
    hit = guess(token_under(secret, algorithm), [secret] if secret else []).hit
    assert hit is not None
    assert hit.secret == secret.encode()


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "a published sample"),
        ("changethis\n", "a published sample"),
        ("\0" * 40, "what a missing setting turns into"),
        ("Sunshine2024", "a common password"),
        ("shop-api-jwt-secret", "made from names that the service shows"),
    ],
)
def test_kinds_of_secrets(secret: str, kind: str) -> None:
    found = guess(token_under(secret), ["Shop API"])
    assert found.hit is not None
    assert found.hit.kind == kind == known_kind(secret.encode(), ["Shop API"])


def test_a_random_secret_is_not_found_and_the_guesses_are_counted() -> None:
    started = time.monotonic()
    found = guess(token_under(secrets.token_hex(32)))
    assert found.hit is None
    assert found.tried > 200_000
    assert time.monotonic() - started < 30
    assert known_kind(secrets.token_bytes(32)) is None


def test_the_lists_are_ours_and_each_word_stands_once() -> None:
    assert len(published()) == len(set(published())) > 300
    assert len(common_words()) == len(set(common_words())) > 800
    assert 90_000 < sum(1 for _ in common_passwords()) < 150_000
    assert not any(line.startswith("#") or "\t" in line for line in published())


@given(st.text(max_size=30))
def test_every_text_has_spellings_and_the_first_is_itself(text: str) -> None:
    assert next(iter(spellings(text))) == text.encode("utf-8", "surrogatepass")


def test_encoded_secrets_are_decoded() -> None:
    raw = b"correct horse battery staple"
    assert raw in spellings(base64.b64encode(raw).decode())
    assert raw in spellings(base64.urlsafe_b64encode(raw).decode().rstrip("="))
    assert raw in spellings(raw.hex())


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_name_can_be_derived_from(words: list[str]) -> None:
    assert all(isinstance(text, str) for text in derived(words))


@pytest.mark.parametrize("family", ["RS256", "ES256", "EdDSA"])
def test_forms_of_a_key(family: str) -> None:
    key = attacker_keys()[family]
    jwk = {**(public_jwk(key) or {}), "kid": "k1", "use": "sig"}
    forms = serialisations(jwk, [jwk])
    pem = forms["PEM with its final newline"]
    assert serialization.load_pem_public_key(pem) == public_key(jwk)
    assert serialization.load_der_public_key(forms["DER"]) == public_key(jwk)
    assert pem.strip() == forms["PEM without final newline"]
    assert len(set(forms.values())) == len(forms) >= 20
    assert all(isinstance(value, bytes) and value for value in forms.values())
    assert ("PKCS#1 DER" in forms) == (family == "RS256")
    assert "d" in (private_jwk(key) or {})
    assert "d" not in jwk


def test_what_is_no_key_has_no_forms_that_pretend() -> None:
    assert public_key({"kty": "RSA", "n": "!", "e": "AQAB"}) is None
    assert public_key({}) is None
    assert "DER" not in serialisations({"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"})
    assert public_jwk(SigningKey("ES256", Secret("no pem"))) is None
    assert public_jwk(SigningKey("HS256", Secret("x"))) is None
