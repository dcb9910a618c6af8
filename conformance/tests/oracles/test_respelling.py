"""Other texts of one token: what a library that verifies carelessly accepts, and a list of texts misses."""

import base64
import json

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.respelling import token_respellings

SIGNATURES = st.binary(min_size=1, max_size=64).map(
    lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
)


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(SIGNATURES)
def test_spare_bits_decode_to_the_same_bytes(signature: str) -> None:
    other = token_respellings(f"e30.e30.{signature}").get("spare bits of the last character set")
    if other is None:
        assert len(signature) % 4 == 0
    else:
        assert other.rpartition(".")[2] != signature
        assert plain(other.rpartition(".")[2]) == plain(signature)


@given(st.text(max_size=40))
def test_no_respelling_is_the_text_itself(text: str) -> None:
    assert text not in token_respellings(text, "ES256").values()


@pytest.mark.parametrize(("algorithm", "curve"), [("ES256", ec.SECP256R1()), ("ES384", ec.SECP384R1())])
def test_the_twin_of_an_ecdsa_signature_verifies_without_a_key(
    algorithm: str, curve: ec.EllipticCurve
) -> None:
    key = ec.generate_private_key(curve)
    token = pyjwt.encode({"sub": "x"}, key, algorithm)
    twin = token_respellings(token, algorithm)["the other signature that verifies"]
    assert twin != token
    assert pyjwt.decode(twin, key.public_key(), [algorithm]) == {"sub": "x"}


def test_an_opaque_value_has_no_twin() -> None:
    assert "the other signature that verifies" not in token_respellings("opaque", "ES256")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256"}).encode()).rstrip(b"=").decode()
    assert "the other signature that verifies" not in token_respellings(f"{header}.e30.abcd", "HS256")
