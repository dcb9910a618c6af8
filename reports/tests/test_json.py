from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # the test extra has no stubs
import pytest

from auth_conformance.document import from_document
from auth_reports import plain_json

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    text = resources.files("auth_conformance").joinpath("schema", "run-1.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def test_a_run_comes_back_from_its_report(sample: ModuleType) -> None:
    for results in (sample.verdicts(), sample.hostile(), ()):
        run = sample.run(results)
        assert from_document(json.loads(plain_json.render(run))) == run


def test_the_text_is_stable_ascii_with_a_final_newline(sample: ModuleType) -> None:
    text = plain_json.render(sample.run(sample.hostile()))
    assert text == plain_json.render(from_document(json.loads(text)))
    assert text.isascii()
    assert "\x1b" not in text
    assert text.endswith("}\n")
    assert text.startswith('{\n  "acceptances"')


def test_documents_fit_the_published_schema(sample: ModuleType, schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for results in (sample.verdicts(), sample.hostile(), sample.flood(3, 100), ()):
        validator.validate(json.loads(plain_json.render(sample.run(results))))


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(surprise=1),
        lambda document: document.pop("decision"),
        lambda document: document["results"][0].update(verdict="fine"),
        lambda document: document["results"][0].pop("violations"),
        lambda document: document["results"][0].update(masked_by="TOK101"),
        lambda document: document["results"][0].pop("operation"),
        lambda document: document["exchanges"][0]["request"].update(token="t"),
        lambda document: document["exchanges"][0]["request"]["headers"].append(["one"]),
        lambda document: document["findings"][0].update(fingerprint="x"),
    ],
)
def test_the_schema_refuses_what_is_no_run(sample: ModuleType, schema: dict[str, Any], damage: Any) -> None:
    document = json.loads(plain_json.render(sample.run()))
    assert document["results"][0]["verdict"] == "failed"
    damage(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(document)


def test_every_member_of_the_schema_is_explained(schema: dict[str, Any]) -> None:
    def unexplained(node: Any, where: str) -> list[str]:
        found = []
        for name, member in node.get("properties", {}).items():
            if isinstance(member, dict) and "$ref" not in member and "description" not in member:
                found.append(f"{where}.{name}")
            if isinstance(member, dict):
                found += unexplained(member, f"{where}.{name}")
        return found

    parts = {"run": schema, **schema["$defs"]}
    assert [path for name, part in parts.items() for path in unexplained(part, name)] == []
