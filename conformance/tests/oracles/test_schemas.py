"""Data held against schemas: what fits, what is too much, and what says nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.schemas import Fit, at, fit, json_schema_of

USER = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ({"name": "a"}, USER, Fit()),
        ({"name": "a", "age": 3.0}, USER, Fit()),
        ({"age": 3}, USER, Fit(("the body lacks the required member name",))),
        ({"name": True}, USER, Fit(("/name is boolean, not string",))),
        ({"name": "a", "hash": "x"}, USER, Fit((), ("/hash",))),
        ({"name": "a", "hash": "x"}, {**USER, "additionalProperties": True}, Fit(vague=True)),
        ({"name": "a", "x": 1}, {**USER, "additionalProperties": {"type": "integer"}}, Fit()),
        (
            {"name": "a", "x": "1"},
            {**USER, "additionalProperties": {"type": "integer"}},
            Fit(("/x is string, not integer",)),
        ),
        ({"a": 1}, {"type": "object"}, Fit(vague=True)),
        ([{"name": "a", "b": 1}], {"type": "array", "items": USER}, Fit((), ("/0/b",))),
        ("x", {}, Fit(vague=True)),
        (None, {"type": "string", "nullable": True}, Fit()),
        (None, {"type": ["string", "null"]}, Fit()),
        (None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, Fit()),
        (
            3,
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            Fit(("the body fits none of 2 alternatives",)),
        ),
        (True, {"type": "integer"}, Fit(("the body is boolean, not integer",))),
        ("b", {"enum": ["a"]}, Fit(("the body is none of the listed values",))),
        ({"name": None}, USER, Fit(("/name is null, not string",), blank=("/name is null, not string",))),
        (
            [{"name": None, "age": "x"}],
            {"type": "array", "items": USER},
            Fit(
                ("/0/name is null, not string", "/0/age is string, not integer"),
                blank=("/0/name is null, not string",),
            ),
        ),
    ],
)
def test_a_value_beside_a_schema(value: Any, schema: Any, expected: Fit) -> None:
    assert fit(value, schema) == expected


def test_members_that_any_part_of_a_composition_names_are_documented() -> None:
    mail = {"type": "object", "properties": {"mail": {"type": "string"}}}
    both = {"allOf": [USER, mail]}
    assert fit({"name": "a", "mail": "b"}, both) == Fit()
    assert fit({"name": "a", "mail": "b", "salt": "c"}, both).extras == ("/salt",)
    either = {"oneOf": [{**mail, "required": ["mail"]}, USER]}
    assert fit({"name": "a"}, either) == Fit()
    assert fit({"name": "a", "salt": "c"}, either).extras == ("/salt",)


def test_what_only_requests_hold_is_not_required_of_answers() -> None:
    """Generators describe both by one component (OpenAPI 3.0.3, Schema Object, `writeOnly`)."""
    login = {
        "type": "object",
        "required": ["username", "password", "access"],
        "properties": {
            "username": {"type": "string", "writeOnly": True},
            "password": {"allOf": [{"type": "string"}, {"writeOnly": True}]},
            "access": {"type": "string", "readOnly": True},
        },
    }
    assert fit({"access": "x"}, login) == Fit()
    assert fit({}, login).mismatches == ("the body lacks the required member access",)


def test_responses_are_found_by_status_range_and_default() -> None:
    responses = {"200": {"a": 1}, "4XX": {"b": 2}, "default": {"c": 3}}
    assert at(responses, 200) == {"a": 1}
    assert at(responses, 404) == {"b": 2}
    assert at(responses, 500) == {"c": 3}
    assert at({"200": {}}, 404) is None
    assert json_schema_of({"content": {"application/problem+json; charset=x": {"schema": USER}}}) == USER
    assert json_schema_of({"content": {"text/html": {}}}) is None
    two = {"content": {"application/json": {"schema": {}}, "application/problem+json": {"schema": USER}}}
    assert json_schema_of(two, "application/problem+json") == USER
    assert json_schema_of(two, "text/html") == json_schema_of(two) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def schema_of(value: Any) -> dict[str, Any]:
    match value:
        case dict():
            members = {key: schema_of(item) for key, item in value.items()}
            return {"type": "object", "properties": members, "required": list(members)}
        case list():
            return {"type": "array", **({"items": {"anyOf": list(map(schema_of, value))}} if value else {})}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return {"type": "string"}
        case _:
            return {"type": "null"}


@given(json_values)
def test_a_value_fits_the_schema_that_describes_it(value: Any) -> None:
    fitted = fit(value, schema_of(value))
    assert not fitted.mismatches
    assert not fitted.extras


@given(st.dictionaries(st.text(max_size=5), st.integers(), min_size=1), st.text(max_size=5))
def test_one_member_more_is_one_too_much(value: dict[str, int], name: str) -> None:
    schema = schema_of(value)
    fitted = fit({**value, name: 1}, schema)
    assert bool(fitted.extras) == (name not in value)


@given(json_values, json_values)
def test_any_schema_is_survived(value: Any, schema: Any) -> None:
    fit(value, schema)
