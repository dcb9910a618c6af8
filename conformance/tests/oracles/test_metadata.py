"""What documents leave unsaid."""

from typing import Any

import pytest

from auth_conformance.oracles.metadata import lacks

WHOLE: dict[str, Any] = {
    "tags": ["users"],
    "summary": "Read an account",
    "description": "Return it.",
    "operationId": "read_account",
    "security": [{"Token": []}],
    "responses": {
        "200": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "401": {"description": "No."},
    },
}


def document(**changes: Any) -> dict[str, Any]:
    described = {key: value for key, value in {**WHOLE, **changes}.items() if value is not None}
    return {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/me": {"get": described}}}


def missing(**changes: Any) -> tuple[str, ...]:
    found = {lack.operation: lack.missing for lack in lacks(document(**changes))}
    return found.get("GET /me", ())


def test_a_whole_description_lacks_nothing() -> None:
    assert lacks(document()) == []


def test_what_is_missing_is_named() -> None:
    assert missing(tags=[]) == ("tags",)
    assert missing(summary=" ") == ("a summary",)
    assert missing(operationId=None) == ("an operationId",)
    assert missing(responses={"401": {}}) == ("a schema of its success",)
    assert missing(responses={"200": {"content": {"application/json": {"schema": {}}}}, "4XX": {}}) == (
        "a schema of its success",
    )


def test_the_error_of_the_framework_is_nobodys_declaration() -> None:
    framework = {"content": {"application/json": {"schema": {"$ref": "#/x/HTTPValidationError"}}}}
    assert missing(responses={"204": {}, "422": framework}) == ("an error response",)
    assert missing(responses={"204": {}, "default": {}}) == ()
    assert missing(responses={"204": {}}, security=None) == ()


def test_a_summary_that_is_the_functions_name_is_only_noted() -> None:
    found = lacks(document(summary="Read Account", operationId="read_account_me_get"))
    assert [lack.missing for lack in found] == [()]
    assert found[0].notes == ("its summary is the name of the function",)


def test_an_id_that_two_operations_share_is_found() -> None:
    raw = document()
    raw["paths"]["/you"] = raw["paths"]["/me"]
    assert any("of its own" in text for lack in lacks(raw) for text in lack.missing)


@pytest.mark.parametrize(
    ("schema", "typed"),
    [({}, False), ({"title": "Response Read"}, False), ({"type": "object", "title": "Response Read"}, True)],
)
def test_a_schema_that_is_only_a_title_says_nothing(schema: dict[str, Any], typed: bool) -> None:
    """FastAPI gives one to whatever returns `Any`."""
    content = {"application/json": {"schema": schema}}
    raw = {"paths": {"/x": {"get": {"responses": {"200": {"content": content}}}}}}
    missing = [word for lack in lacks(raw) for word in lack.missing]
    assert ("a schema of its success" in missing) is not typed


def test_parameters_beside_the_operations_of_a_path_are_input() -> None:
    raw = {"paths": {"/x/{id}": {"parameters": [{"name": "id", "in": "path"}], "get": {"responses": {}}}}}
    assert "an error response" in [word for lack in lacks(raw) for word in lack.missing]
