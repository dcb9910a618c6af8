"""OpenAPI documents: whatever can be read is used, and nothing that is wrong in them stops us."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.credentials import Kind
from auth_conformance.discovery.document import base_paths, carrier_of, is_document, read_document
from auth_conformance.discovery.knowledge import Knowledge
from auth_conformance.discovery.locating import parse, read
from auth_conformance.discovery.logins import attempts
from auth_conformance.discovery.references import References
from auth_conformance.discovery.swagger import upgraded
from auth_conformance.settings import load
from auth_conformance.transports.message import RawReply

SCHEMES: list[tuple[dict[str, Any], tuple[Any, ...] | None]] = [
    ({"type": "http", "scheme": "bearer"}, (Kind.BEARER, "header", "Authorization", "Bearer")),
    ({"type": "http", "scheme": "Bearer"}, (Kind.BEARER, "header", "Authorization", "Bearer")),
    ({"type": "http", "scheme": "basic"}, (Kind.BASIC, "header", "Authorization", "Basic")),
    ({"type": "http", "scheme": "token"}, (Kind.BEARER, "header", "Authorization", "Token")),
    ({"type": "http", "scheme": "JWT"}, (Kind.BEARER, "header", "Authorization", "JWT")),
    ({"type": "http", "scheme": "digest"}, None),
    ({"type": "apiKey", "in": "header", "name": "X-Key"}, (Kind.KEY, "header", "X-Key", "")),
    ({"type": "apiKey", "in": "query", "name": "key"}, (Kind.KEY, "query", "key", "")),
    ({"type": "apiKey", "in": "cookie", "name": "sid"}, (Kind.COOKIE, "cookie", "sid", "")),
    (
        {"type": "apiKey", "in": "header", "name": "Authorization"},
        (Kind.BEARER, "header", "Authorization", ""),
    ),
    ({"type": "oauth2", "flows": {}}, (Kind.BEARER, "header", "Authorization", "Bearer")),
    ({"type": "openIdConnect", "openIdConnectUrl": "/x"}, (Kind.BEARER, "header", "Authorization", "Bearer")),
    ({"type": "mutualTLS"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("scheme", "expected"), SCHEMES)
def test_each_scheme_has_its_carrier(scheme: dict[str, Any], expected: tuple[Any, ...] | None) -> None:
    carrier = carrier_of("s", scheme)
    found = None if carrier is None else (carrier.kind, carrier.place, carrier.name, carrier.prefix)
    assert found == expected


def test_references_are_followed_and_cycles_are_cut() -> None:
    document = {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/node"}, "value": {"$ref": "#/value"}}},
        "value": {"type": "integer", "minimum": 3},
        "a~b/c": {"type": "boolean"},
    }
    references = References(document)
    node = references.resolve({"$ref": "#/node", "description": "beside"})
    assert node["properties"]["value"]["minimum"] == 3
    assert node["properties"]["next"] == {}
    assert node["description"] == "beside"
    assert references.resolve({"$ref": "#/a~0b~1c"}) == {"type": "boolean"}
    assert references.resolve({"$ref": "#/nowhere"}) == {}
    assert references.problems == ["the reference #/nowhere points nowhere"]


def test_requests_leave_out_what_only_the_service_writes() -> None:
    """`readOnly` members stand in the component that answers and requests share (OpenAPI 3.0 §4.7.24.2)."""
    note = {
        "type": "object",
        "required": ["id", "title", "owner"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "owner": {"allOf": [{"$ref": "#/components/schemas/Person"}], "readOnly": True},
            "author": {"$ref": "#/components/schemas/Person"},
            "title": {"type": "string"},
        },
    }
    person = {"type": "object", "properties": {"id": {"readOnly": True}, "name": {"type": "string"}}}
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}}
    raw = {
        "openapi": "3.0.3",
        "paths": {"/notes": {"post": {"requestBody": content, "responses": {"201": content}}}},
        "components": {"schemas": {"Note": note, "Person": person}},
    }
    (made,) = read_document(raw, "").operations
    body = made.bodies["application/json"]
    assert body["required"] == ["title"]
    assert set(body["properties"]) == {"author", "title"}
    assert set(body["properties"]["author"]["properties"]) == {"name"}
    shown = made.responses["201"]["content"]["application/json"]["schema"]
    assert set(shown["properties"]) == {"id", "owner", "author", "title"}


def test_a_document_made_to_explode_is_read_in_no_time() -> None:
    layers: dict[str, Any] = {"l0": {"type": "string"}}
    for depth in range(1, 40):
        layers[f"l{depth}"] = {"allOf": [{"$ref": f"#/l{depth - 1}"}] * 9}
    assert References(layers).resolve({"$ref": "#/l39"}) is not None


def test_security_is_open_optional_or_undeclared() -> None:
    raw = {
        "openapi": "3.1.0",
        "info": {"title": "T"},
        "security": [{"b": []}],
        "components": {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/default": {"get": {}},
            "/open": {"get": {"security": []}},
            "/optional": {"get": {"security": [{}, {"b": ["read"]}]}},
            "/both": {"get": {"security": [{"b": [], "c": []}]}},
        },
    }
    document = read_document(raw, "/base")
    by_path = {operation.path: operation for operation in document.operations}
    assert by_path["/base/default"].protected
    assert by_path["/base/open"].security == ()
    assert not by_path["/base/optional"].protected
    assert by_path["/base/optional"].scopes == ("read",)
    assert by_path["/base/both"].security == (frozenset({"b", "c"}),)
    assert "demands the scheme c" in document.problems[0]
    raw.pop("security")
    assert read_document(raw).operations[0].security is None


def test_broken_parts_are_named_and_skipped() -> None:
    raw: dict[str, Any] = {
        "openapi": "3.0.0",
        "info": None,
        "components": {"securitySchemes": {"x": None, "y": {"$ref": "#/nope"}}},
        "paths": {
            "no-slash": {"get": {"tags": "wrong", "parameters": {"in": "query"}, "requestBody": 3}},
            "/bad": 7,
            "/worse": {
                "get": [],
                "post": {"responses": [], "requestBody": {"content": {"application/json": None}}},
            },
            "/p/{id}": {"parameters": [{"name": "id", "in": "path"}, 5, {"in": "query"}], "delete": {}},
        },
    }
    document = read_document(raw)
    assert {operation.name for operation in document.operations} == {
        "GET /no-slash",
        "POST /worse",
        "DELETE /p/{id}",
    }
    assert len(document.problems) >= 2
    deleted = next(operation for operation in document.operations if operation.method == "DELETE")
    assert deleted.parameters[0].required


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "get",
                    "post",
                    "parameters",
                    "requestBody",
                    "content",
                    "schema",
                    "security",
                    "$ref",
                    "in",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values, json_values)
def test_no_document_is_odd_enough_to_raise(item: Any, components: Any) -> None:
    raw = {"openapi": "3.0.0", "paths": {"/x": item}, "components": components, "security": components}
    read_document(raw)


@pytest.mark.parametrize(
    ("servers", "prefix", "where", "first"),
    [
        (None, "", "/openapi.json", ""),
        ([{"url": "/api"}], "", "/openapi.json", "/api"),
        ([{"url": "/api/"}], "/api", "/openapi.json", ""),
        ([{"url": "https://here.example/v2"}], "", "/openapi.json", "/v2"),
        ([{"url": "https://other.example/v2"}], "", "/openapi.json", ""),
        ([{"url": "/{version}/x", "variables": {"version": {"default": "v3"}}}], "", "/o.json", "/v3/x"),
        ([{"url": "http://[broken"}, {}, 3], "", "/o.json", ""),
    ],
)
def test_paths_start_where_servers_say_but_never_elsewhere(
    servers: Any, prefix: str, where: str, first: str
) -> None:
    raw = {} if servers is None else {"servers": servers}
    bases = base_paths(raw, "https://here.example", prefix, where)
    assert bases[0] == first
    assert all("example" not in base for base in bases)


def test_a_document_is_known_by_its_content() -> None:
    assert is_document({"openapi": "3.0.3", "paths": {}})
    assert not is_document({"swagger": "2.0", "paths": {}})
    notes: list[str] = []
    html = RawReply(200, (("Content-Type", "text/html"),), b"<html>openapi</html>")
    assert read(html, notes, "/openapi.json") is None
    assert read(RawReply(404, (), b'{"openapi": "3.1.0", "paths": {}}'), notes, "/x") is not None
    assert parse("openapi: 3.0.0\npaths: {}\ninfo: {version: 2020-01-01}", notes, "/y") is not None
    assert read(RawReply(200, (), b'{"swagger": "2.0"}'), notes, "/z") is None
    assert notes == []


def test_swagger_2_is_read_like_openapi_3() -> None:
    raw = upgraded(
        {
            "swagger": "2.0",
            "info": {"title": "Old"},
            "basePath": "/v1",
            "consumes": ["application/json"],
            "securityDefinitions": {
                "basic": {"type": "basic"},
                "flow": {"type": "oauth2", "flow": "password", "tokenUrl": "/v1/token"},
            },
            "parameters": {"id": {"name": "id", "in": "path", "required": True, "type": "integer"}},
            "paths": {
                "/things/{id}": {
                    "parameters": [{"$ref": "#/parameters/id"}],
                    "put": {
                        "security": [{"basic": []}],
                        "parameters": [
                            {"name": "b", "in": "body", "schema": {"$ref": "#/definitions/Thing"}}
                        ],
                    },
                },
                "/token": {
                    "post": {
                        "consumes": ["application/x-www-form-urlencoded"],
                        "parameters": [
                            {"name": "user", "in": "formData", "type": "string", "required": True},
                            {"name": "pass", "in": "formData", "type": "string", "required": True},
                        ],
                        "responses": {"200": {"schema": {"$ref": "#/definitions/Thing"}}},
                    }
                },
            },
            "definitions": {"Thing": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        }
    )
    document = read_document(raw, "/v1")
    change, token = document.operations
    assert (change.name, change.security) == ("PUT /v1/things/{id}", (frozenset({"basic"}),))
    assert change.parameters[0].schema == {"type": "integer"}
    assert change.bodies["application/json"]["properties"] == {"size": {"type": "integer"}}
    assert token.bodies["application/x-www-form-urlencoded"]["required"] == ["user", "pass"]
    assert token.responses["200"]["content"]["application/json"]["schema"]["properties"]
    assert document.token_paths == ("/v1/token",)
    assert {carrier.kind for carrier in document.carriers} == {Kind.BASIC, Kind.BEARER}
    assert base_paths(raw, "https://x.example", "", "/swagger.json") == ["/v1", ""]


def login_names(paths: dict[str, Any], **components: Any) -> list[str]:
    known = Knowledge(load({}), "url", "https://x.example")
    known.include(read_document({"openapi": "3.1.0", "paths": paths, "components": components}))
    return [attempt.described for attempt in attempts(known, random.Random(0))]


def body(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {"post": {"requestBody": {"content": {media: {"schema": schema}}}}}


def test_logins_are_recognised_by_their_bodies() -> None:
    text = {"type": "string"}
    secret = {"type": "string", "format": "password"}
    names = login_names(
        {
            "/v1/entrance": body(
                {"properties": {"kennung": text, "losung": secret}, "required": ["kennung", "losung"]}
            ),
            "/auth/login": body({"properties": {"user": {"properties": {"email": text, "password": text}}}}),
            "/auth/register": body({"properties": {"email": text, "password": text}}),
            "/auth/reset": body({"properties": {"token": text, "new_password": text}}),
            "/auth/change-password": body({"properties": {"password": text, "new_password": text}}),
            "/users": body(
                {"properties": {"email": text, "password": text, "name": text}, "required": ["name"]}
            ),
        }
    )
    assert names == [
        "POST /auth/login (JSON: /user/email, /user/password)",
        "POST /v1/entrance (JSON: kennung, losung)",
    ]
