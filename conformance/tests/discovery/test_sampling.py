"""Sample values: every one satisfies its schema, and requests hold no credential."""

from __future__ import annotations

import random
import re
import uuid
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_conformance.discovery.patterns import compiled, matching
from auth_conformance.discovery.sampling import build_request, free_text, sample
from auth_conformance.target import Operation, Parameter


def texts() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda low, extra: {"type": "string", "minLength": low, "maxLength": low + extra},
        st.integers(0, 40),
        st.integers(0, 40),
    )


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, low, extra, open_end: {
            "type": kind,
            "exclusiveMinimum" if open_end else "minimum": low,
            "maximum": low + extra,
        },
        st.sampled_from(["integer", "number"]),
        st.integers(-1000, 1000),
        st.integers(1, 50),
        st.booleans(),
    )


leaves = (
    texts()
    | numbers()
    | st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": 7},
            {"enum": ["a", "b"]},
            {"type": "string", "format": "uuid"},
            {"type": ["string", "null"]},
            {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 5}]},
            {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2,4}$"},
            {"type": "integer", "multipleOf": 7, "minimum": 3},
        ]
    )
)
schemas = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 3)
        )
        | st.builds(
            lambda members: {"type": "object", "properties": members, "required": sorted(members)},
            st.dictionaries(st.sampled_from(["name", "size", "email", "tags", "phone"]), inner, max_size=4),
        )
        | st.builds(lambda one: {"allOf": [one, {"description": "more"}]}, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(schemas, st.integers(0, 100))
def test_samples_satisfy_their_schemas(schema: dict[str, Any], seed: int) -> None:
    jsonschema.validate(sample(schema, random.Random(seed)), schema)


@settings(max_examples=50, deadline=None)
@given(schemas)
def test_the_same_seed_gives_the_same_sample(schema: dict[str, Any]) -> None:
    assert sample(schema, random.Random(4)) == sample(schema, random.Random(4))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{5}$",
        r"^[a-z][a-z0-9_-]{2,15}$",
        r"^(?:red|green)$",
        r"^\+?[1-9]\d{7,14}$",
        r"[^@ ]+@[^@ ]+\.[a-z]+",
        r"^.{3}$",
    ],
)
def test_texts_for_patterns(pattern: str) -> None:
    expression = compiled(pattern)
    assert expression is not None
    made = matching(expression, random.Random(1), 0, 100)
    assert made is not None
    assert re.search(pattern, made)


def test_patterns_of_other_languages_are_no_obstacle() -> None:
    assert compiled(r"\p{L}+") is None
    assert isinstance(sample({"type": "string", "pattern": r"\p{L}+"}, random.Random(0)), str)
    strict = {"type": "string", "pattern": r"^(?=.*[A-Z])(?=.*\d)(?=.*[!@#]).+$", "minLength": 12}
    assert re.search(strict["pattern"], sample(strict, random.Random(0), "password"))  # type: ignore[call-overload]


def test_names_make_texts_sensible() -> None:
    rng = random.Random(0)
    assert sample({"type": "string"}, rng, "contactEmail") is not None
    assert "@" in sample({"type": "string"}, rng, "email")
    assert sample({"type": "string"}, rng, "phone_number").startswith("+")
    assert sample({"type": "boolean"}, rng, "accept_terms") is True
    assert sample({"type": "boolean"}, rng, "is_admin") is False
    assert sample({"type": "string", "example": "admin@corp.example"}, rng, "email") != "admin@corp.example"
    assert sample({"type": "string", "example": "EUR"}, rng, "currency") == "EUR"


def test_requests_are_complete_and_without_credentials() -> None:
    operation = Operation(
        "PUT",
        "/shops/{shop}/items/{item_id}",
        parameters=(
            Parameter("shop", "path", required=True, schema={"type": "integer"}),
            Parameter("item_id", "path", required=True, schema={"type": "string", "format": "uuid"}),
            Parameter("page", "query", required=True, schema={"type": "integer", "minimum": 3}),
            Parameter("q", "query", schema={"type": "string"}),
            Parameter("X-Tenant", "header", required=True, schema={"type": "string"}),
            Parameter("Authorization", "header", required=True, schema={"type": "string"}),
            Parameter("x-api-key", "header", required=True, schema={"type": "string"}),
        ),
        bodies={
            "application/json": {
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
            }
        },
    )
    request = build_request(operation, random.Random(0))
    _, _, shop, _, item = request.path.split("/")
    assert int(shop) > 10**9
    assert uuid.UUID(item).version == 4
    assert [name for name, _ in request.query] == ["page"]
    assert request.header("x-tenant")
    assert request.header("authorization") is None
    assert request.header("x-api-key") is None
    assert request.header("content-type") == "application/json"
    fixed = build_request(operation, random.Random(0), path_values={"shop": "5", "item_id": "x"})
    assert fixed.path == "/shops/5/items/x"


def test_forms_of_both_kinds() -> None:
    schema = {"type": "object", "properties": {"a": {"const": "x"}}, "required": ["a"]}
    form = build_request(
        Operation("POST", "/f", bodies={"application/x-www-form-urlencoded": schema}), random.Random(0)
    )
    assert form.body == b"a=x"
    parts = build_request(Operation("POST", "/f", bodies={"multipart/form-data": schema}), random.Random(0))
    assert b'name="a"\r\n\r\nx\r\n' in (parts.body or b"")
    assert "boundary=" in str(parts.header("content-type"))


@pytest.mark.parametrize("seed", range(4))
def test_a_number_is_a_whole_one_where_there_is_one(seed: int) -> None:
    """@nestjs/swagger calls every number of TypeScript so, and its services check for integers."""
    whole = sample({"type": "number", "minimum": 1, "maximum": 50_000}, random.Random(seed))
    assert isinstance(whole, int)
    flagged = sample(
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1}, random.Random(seed)
    )
    assert flagged == 1
    assert isinstance(flagged, int)
    assert 0.2 < sample({"type": "number", "minimum": 0.2, "maximum": 0.9}, random.Random(seed)) < 0.9


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (("image", "note"), "note"),
        (("image",), "image"),  # the deployments of a platform were no objects: nothing of theirs was tried
        (("password",), None),
    ],
)
def test_what_may_have_a_form_is_text_where_nothing_else_is(
    members: tuple[str, ...], expected: str | None
) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in members}}
    text = free_text(schema)
    assert (text.name if text else None) == expected
