"""Compact JWS (RFC 7515 §7.1): grown from the grammar, then damaged in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from auth_conformance.credentials import Jwt, b64url, compact_json

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# What stands in `alg`: registered names, near misses, and values that are no names at all.
ALGORITHMS = st.one_of(
    st.sampled_from(["HS256", "RS256", "ES256", "EdDSA", "none", "nOnE", "", "HS256 "]),
    st.none(),
    st.booleans(),
    st.integers(),
    st.lists(st.just("none"), max_size=2),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)
CLAIMS = st.dictionaries(
    st.one_of(st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "jti"]), st.text(max_size=8)),
    VALUES,
    max_size=6,
)


@st.composite
def compact_jws(draw: st.DrawFn) -> str:
    """A token of the right form: JSON objects for header and payload, any bytes for the signature."""
    header: dict[str, Any] = {
        "alg": draw(ALGORITHMS),
        **draw(st.dictionaries(st.sampled_from(["typ", "kid", "crit"]), VALUES)),
    }
    token = Jwt.build({"alg": "none"}, draw(CLAIMS))
    text = b64url(compact_json(header).encode())
    return f"{text}.{token.payload_text}.{b64url(draw(st.binary(max_size=64)))}"


@st.composite
def damaged_jws(draw: st.DrawFn) -> str:
    """A token that lost, gained or changed something: a part, a character, a dot."""
    text = draw(compact_jws())
    place = draw(st.integers(0, max(len(text) - 1, 0)))
    piece = draw(st.one_of(st.sampled_from([".", "..", "=", "!", "\u0000", " "]), st.text(max_size=3)))
    cut = draw(st.integers(0, 4))
    return text[:place] + piece + text[place + cut :]


def texts() -> SearchStrategy[str]:
    """Any token text, damaged or not."""
    return st.one_of(compact_jws(), damaged_jws())
