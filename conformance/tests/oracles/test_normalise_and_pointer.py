"""Bodies without their volatile parts, shapes, and pointers."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.normalise import digest, masked, members, page_shape, shape
from auth_conformance.oracles.pointer import escape, put, resolve, strings

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def body(error: str) -> str:
    return json.dumps(
        {"error": error, "id": str(uuid4()), "at": datetime.now(UTC).isoformat(), "trace": uuid4().hex},
    )


def test_ids_and_times_do_not_distinguish_two_answers() -> None:
    assert digest(body("no")) == digest(body("no"))
    assert digest(body("no")) != digest(body("unknown user"))


def test_the_nonce_of_a_script_does_not_distinguish_two_pages() -> None:
    page = '<script nonce="{}">go()</script><p>{}</p>'
    assert masked(page.format("wywYiYGKjyHPu1d1kQ6FBg==", "no")) == masked(
        page.format("/ihcqzxu29GEWsO9k37jBA==", "no")
    )
    assert digest(page.format("wywYiYGKjyHPu1d1kQ6FBg==", "no")) != digest(page.format("a" * 24, "unknown"))


def test_an_echo_of_ones_own_input_does_not_distinguish_two_answers() -> None:
    assert digest('{"m":"no user ann"}', ("ann",)) == digest('{"m":"no user bob"}', ("bob",))


def test_ids_and_tokens_are_replaced_where_they_stand() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."
    assert masked(f"x-{token} --a1{'z' * 20}- {'b' * 30} -{'7' * 30}") == "x-<jwt> --<id> <hex> -<hex>"
    assert masked("43bc63b204b2 7 123456789012 43bc63b2") == "<hex> 7 <hex> 43bc63b2"
    assert masked("eyJno-token eyJ.a.b " + "long-words-without-numbers") == (
        "eyJno-token eyJ.a.b long-words-without-numbers"
    )


@pytest.mark.parametrize("piece", ["a-", "1-", "a1-", "eyJ", "eyJabcd.", "0b0e5c1e-8c8c-", "1-a"])
def test_no_text_is_long_or_odd_enough_to_be_read_many_times(piece: str) -> None:
    """With a pattern that begins anew at each piece this would take many minutes."""
    assert len(masked(piece * 100_000 + "!")) <= len(piece) * 100_000 + 1


def test_pages_are_alike_by_elements_and_fields_whatever_they_say() -> None:
    hello = page_shape("<html><body class=x><h1>Hello alice</h1><p>1</p></body></html>")
    assert hello == page_shape("<html><body><h1>Hello bob</h1><p>2</p><p>3</p></body></html>")
    assert hello != page_shape("<html><body><form><input name='user'></form><p>x</p></body></html>")
    assert page_shape("<input name=a>") != page_shape("<input name=b>")
    assert page_shape("no page, 1 < 2") == ""


@given(JSON)
def test_every_text_that_is_found_resolves_to_itself(document: object) -> None:
    for pointer, value in strings(document).items():
        assert resolve(document, pointer) == value


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(min_size=1, max_size=5))
def test_what_is_put_at_a_pointer_is_found_there(document: dict[str, object], name: str) -> None:
    assert resolve(put(document, f"/{escape(name)}/inner", 7), f"/{escape(name)}/inner") == 7


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), JSON, max_size=4))
def test_members_of_a_shape_are_the_members_of_the_object(document: dict[str, object]) -> None:
    assert members(shape(document)) == frozenset(document)


def test_own_input_is_own_input_however_a_page_repeats_it() -> None:
    echo = 'eve\' AND "1"=<1'
    for said in (
        "value='eve&#x27; AND &quot;1&quot;=&lt;1'",
        "value='eve&#39; AND &#34;1&#34;=&lt;1'",
        "/login?name=eve%27%20AND%20%221%22%3D%3C1",
        "/login?name=eve%27+AND+%221%22%3D%3C1",
    ):
        assert "<echo>" in masked(said, (echo,)), said
        assert "eve" not in masked(said, (echo,)), said
