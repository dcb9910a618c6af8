"""Values of the Authorization header (RFC 9110 §11.6.2): scheme words, blanks, tokens, and odd characters."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from auth_fuzz.strategies.jws import texts

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SCHEMES = st.sampled_from(
    ["Bearer", "bearer", "BEARER", "Basic", "Token", "Digest", "Bearer:", "BearerX", ""],
)
BLANKS = st.sampled_from([" ", "  ", "\t", "", ", "])


def authorization_values() -> SearchStrategy[str]:
    """Header values that a client could send by mistake or on purpose; always encodable as Latin-1."""
    basic = st.binary(max_size=24).map(lambda raw: base64.b64encode(raw).decode())
    words = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30)
    value = st.tuples(SCHEMES, BLANKS, st.one_of(texts(), basic, words)).map("".join)
    return value.map(lambda text: text.encode("latin-1", "replace").decode("latin-1"))
