"""Where a request says what a new credential may do, and under which names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.scopes import ScopeMember, flow_scopes, scope_member

WORDS = st.lists(st.text("abc:.", min_size=1), unique=True)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array", "items": {"enum": ["r", "w"]}}, ScopeMember("scopes", True, ("r", "w"))),
        (
            {"anyOf": [{"type": "array", "items": {"enum": ["r"]}}, {"type": "null"}]},
            ScopeMember("scopes", True, ("r",)),
        ),
        ({"type": "array", "items": {"type": "string"}}, ScopeMember("scopes", True)),
        (
            {"type": "array", "items": {"type": "string"}, "default": ["r"]},
            ScopeMember("scopes", True, ("r",)),
        ),
        ({"type": "string", "examples": ["r w"]}, ScopeMember("scopes", False, ("r", "w"))),
        (
            {"type": "string", "enum": ["all", "none"]},
            ScopeMember("scopes", False, ("all", "none"), single=True),
        ),
        ({"type": "integer"}, None),
        (True, None),
    ],
)
def test_the_member_that_takes_scopes(schema: object, expected: ScopeMember | None) -> None:
    assert scope_member({"label": {"type": "string"}, "scopes": schema}) == expected


def test_fixed_words_say_more_than_a_name() -> None:
    member = scope_member({"scope": {"type": "string"}, "may": {"type": "array", "items": {"enum": ["r"]}}})
    assert member == ScopeMember("may", True, ("r",))
    assert scope_member({"tags": {"type": "array", "items": {"type": "string"}}}) is None


@given(WORDS, st.booleans())
def test_what_is_written_is_what_is_stated(words: list[str], listed: bool) -> None:
    member = ScopeMember("scopes", listed)
    assert member.stated({"scopes": member.written(words)}) == set(words)
    assert member.stated({}) is None
    assert member.stated([]) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_document_is_too_odd(part: object) -> None:
    for name in ("components", "securitySchemes"):
        assert flow_scopes({name: part}) == []
    flow_scopes({"components": {"securitySchemes": {"x": {"flows": {"password": part}}}}})


def test_the_scopes_of_flows() -> None:
    flows = {"password": {"scopes": {"r": "read"}}, "implicit": {"scopes": {"w": "write", "r": "read"}}}
    assert flow_scopes({"components": {"securitySchemes": {"x": {"flows": flows}, "y": {}}}}) == ["r", "w"]
