"""A canary is found in every encoding, and nowhere by chance."""

import base64
import hashlib
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.canary import leaked

CANARY = 'q7Zr/ T4+mK"9wXe2'
PLAIN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16, max_size=16)


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        json.dumps({"note": CANARY}),
        quote(CANARY),
        quote(CANARY, safe="").lower(),
        CANARY.encode().hex().upper(),
        hashlib.sha256(CANARY.encode()).hexdigest(),
        base64.b64encode(hashlib.md5(CANARY.encode(), usedforsecurity=False).digest()).decode(),
    ],
)
def test_an_encoded_canary_is_found(text: str) -> None:
    assert leaked(CANARY, f"before {text} after")


@given(PLAIN, st.binary(max_size=8), st.binary(max_size=8))
def test_base64_is_found_at_every_alignment(canary: str, before: bytes, after: bytes) -> None:
    whole = before + canary.encode() + after
    assert leaked(canary, base64.b64encode(whole).decode())
    assert leaked(canary, base64.urlsafe_b64encode(whole).decode().rstrip("="))


@given(PLAIN, st.text(max_size=200))
def test_other_text_is_not_taken_for_it(canary: str, text: str) -> None:
    if canary.casefold() not in text.casefold():
        assert leaked(canary, text) is None
