"""The strategies stay inside their grammar, and our own parser survives what leaves it."""

from hypothesis import find, given

from auth_conformance.credentials import Jwt
from auth_fuzz.strategies import authorization_values, compact_jws, damaged_jws


@given(compact_jws())
def test_a_token_of_the_right_form_is_read_and_written_back_unchanged(text: str) -> None:
    token = Jwt.parse(text)
    assert token is not None
    assert token.text == text


@given(damaged_jws())
def test_a_damaged_token_is_read_or_refused_and_never_breaks_the_parser(text: str) -> None:
    token = Jwt.parse(text)
    assert token is None or token.text == text


@given(authorization_values())
def test_header_values_can_be_put_on_the_wire(value: str) -> None:
    value.encode("latin-1")


def test_an_unsigned_token_is_found() -> None:
    text = find(
        compact_jws(),
        lambda candidate: (token := Jwt.parse(candidate)) is not None and token.algorithm == "none",
    )
    token = Jwt.parse(text)
    assert token is not None
    assert token.header["alg"] == "none"
