"""Published key sets and issued tokens, judged by their numbers and members."""

import base64
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.credentials import Jwt, attacker_keys, b64url
from auth_conformance.oracles.keysets import (
    GRAVE,
    LIGHT,
    faults,
    is_fermat_close,
    is_roca,
    remarks,
    thumbprint,
)
from auth_conformance.oracles.tokenprofile import columns, personal, secrets_in
from auth_conformance.probe.keyforms import private_jwk, public_jwk
from auth_conformance.probe.keyrings import disagreement

KEYS = attacker_keys()
RSA = {**(public_jwk(KEYS["RS256"]) or {}), "kid": "one", "use": "sig", "alg": "RS256"}
EC = {**(public_jwk(KEYS["ES256"]) or {}), "kid": "two", "use": "sig", "alg": "ES256"}


def number(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def test_a_clean_set_has_no_fault_and_a_remark_about_its_size() -> None:
    assert faults([RSA, EC], [{"alg": "RS256", "kid": "one"}]) == []
    assert "2048" in remarks([RSA, EC])[0]


@pytest.mark.parametrize(
    ("change", "gravity", "word"),
    [
        ({"d": "AQAB"}, GRAVE, "private"),
        ({"kty": "oct", "k": "c2VjcmV0"}, GRAVE, "symmetric"),
        ({"n": number((1 << 1023) + 1)}, GRAVE, "1024 bits"),
        ({"e": "AQ"}, GRAVE, "exponent 1"),
        ({"e": "Aw"}, LIGHT, "exponent 3"),
        ({"n": number(1 << 2047)}, GRAVE, "small factor"),
        ({"alg": "ES256"}, GRAVE, "is of type RSA"),
        ({"alg": "HS256"}, GRAVE, "symmetric"),
        ({"n": ""}, GRAVE, "readable"),
    ],
)
def test_one_fault_each(change: dict[str, str], gravity: str, word: str) -> None:
    found = faults([{**RSA, **change}])
    assert any(fault.gravity == gravity and word in fault.words for fault in found), found


def test_names_and_purposes() -> None:
    assert [fault.gravity for fault in faults([RSA, {**EC, "kid": "one"}])] == [LIGHT]
    mixed = {name: value for name, value in EC.items() if name != "use"}
    assert [fault.gravity for fault in faults([RSA, mixed])] == [LIGHT]
    assert faults([mixed]) == []
    assert "not in the set" in faults([RSA], [{"alg": "RS256", "kid": "other"}])[0].words
    assert "something else" in faults([{**RSA, "use": "enc"}], [{"alg": "RS256", "kid": "one"}])[0].words
    assert faults([RSA], [{"alg": "HS256", "kid": "other"}]) == []
    assert faults([{**EC, "crv": "P-384"}])[0].gravity == GRAVE


def test_close_primes_and_roca() -> None:
    prime = 2**127 - 1
    assert is_fermat_close(prime * (prime + 1026))
    honest = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    assert not is_fermat_close(honest)
    assert not is_roca(honest)
    assert is_roca(pow(65_537, 12_345, math.prod((3, 5, 7, 11, 13, *PRIMES_TO_167))))


PRIMES_TO_167 = [n for n in range(17, 168) if all(n % divisor for divisor in range(2, n))]


def test_the_sample_of_rfc_7638_is_known_by_its_thumbprint() -> None:
    sample = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    assert "sample" in faults([sample])[0].words
    assert thumbprint({"kty": "other"}) == ""


def test_a_whole_private_key_is_named_once_with_its_members() -> None:
    (fault,) = faults([{**(private_jwk(KEYS["ES256"]) or {}), "kid": "x", "use": "sig"}])
    assert "(d)" in fault.words


@given(
    st.dictionaries(
        st.text(max_size=8), st.none() | st.text(max_size=20) | st.integers() | st.lists(st.text())
    )
)
def test_whatever_a_service_publishes_is_judged_without_an_error(key: dict[str, object]) -> None:
    faults([key], [{"alg": "RS256", "kid": "x"}])
    remarks([key])
    secrets_in(key, {"the password": "tangerine-lagoon-41"})
    columns(key)
    personal(key)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"hashed_password": "x"}, True),
        ({"data": {"pw": "$argon2id$v=19$m=1$c2FsdA$aGFzaA"}}, True),
        ({"blob": base64.b64encode(b'{"pw": "tangerine-lagoon-41"}').decode()}, True),
        ({"note": "tangerine-lagoon-41"}, True),
        ({"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng", "sub": "7", "scope": "secrets:read"}, False),
    ],
)
def test_what_tokens_tell(claims: dict[str, object], told: bool) -> None:
    assert bool(secrets_in(claims, {"the password": "tangerine-lagoon-41"})) is told


def test_columns_and_addresses() -> None:
    assert columns({"sub": "1", "email": "a@example.com"}) == 0
    assert columns({"user": {f"c{number}": 1 for number in range(20)}}) == 20
    assert personal({"mail": "a@example.com", "phone": "+14155550100", "name": "alice"}) == ["mail", "phone"]


def certificate(key: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def loaded(name: str) -> Any:
    return serialization.load_pem_private_key(KEYS[name].secret.reveal().encode(), password=None)


CERTIFIED = {name: certificate(loaded(name)) for name in ("RS256", "ES256")}


def test_the_certificate_of_a_key_is_of_that_key() -> None:
    assert faults([{**RSA, "x5c": [CERTIFIED["RS256"]]}, {**EC, "x5c": [CERTIFIED["ES256"], "more"]}]) == []
    (fault,) = faults([{**RSA, "x5c": [CERTIFIED["ES256"]]}])
    assert (fault.gravity, "of another key" in fault.words) == (GRAVE, True)
    for unreadable in ([], "text", ["!"], ["AAAA"], [1]):
        (fault,) = faults([{**RSA, "x5c": unreadable}])
        assert fault.gravity == LIGHT


def test_the_certificate_that_tokens_carry_is_of_the_key_that_they_name() -> None:
    header = {"alg": "RS256", "kid": "one", "x5c": [CERTIFIED["RS256"]]}
    assert faults([RSA, EC], [header]) == []
    (fault,) = faults([RSA, EC], [{**header, "x5c": [CERTIFIED["ES256"]]}])
    assert (fault.gravity, "of another key than one" in fault.words) == (GRAVE, True)
    short = certificate(rsa.generate_private_key(65_537, 1024))  # noqa: S505 - the flaw
    found = faults([], [{"alg": "RS256", "x5c": [short]}])
    assert [(fault.gravity, "1024 bits" in fault.words) for fault in found] == [(GRAVE, True)]


@pytest.mark.parametrize(
    ("published", "word"), [([EC, RSA], "keeps"), ([RSA], "lacks"), ([EC], ""), ([{**EC, "kid": "two"}], "")]
)
def test_a_key_set_holds_what_verifies_and_nothing_that_was_removed(
    published: list[dict[str, Any]], word: str
) -> None:
    """Known by what it verifies: names are the service's own."""
    bare = Jwt.parse("e30.e30.")
    assert bare is not None
    live, removed = (bare.with_header(alg=name).signed(KEYS[name], name) for name in ("ES256", "RS256"))
    assert disagreement(published, [live], [removed]).startswith(word)
    assert bool(disagreement(published, [live], [removed])) is bool(word)
