"""One operation of a service, and the request to it with values at their places."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from auth_conformance.model import Provenance, SourceLine
from auth_conformance.oracles.pointer import put, put_alike, resolve
from auth_conformance.transports.message import HttpRequest

Schema = Mapping[str, Any]

MULTIPART = "multipart/form-data"
# A parameter in the template of a path; Starlette writes its converter behind the name.
HOLE = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")
# Headers that the suite sets itself, whatever a document says of them.
_OURS = frozenset({"authorization", "cookie", "content-type", "accept", "host", "content-length"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter: `place` is path, query, header or cookie."""

    name: str
    place: str
    required: bool = False
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `path` is the template as sent, base path included.

    `security` holds the alternatives (OR), each a set of scheme names (AND); `()` means that the document
    declares the operation open, None that nothing is declared about it. An empty alternative means
    optional authentication. `bodies` maps media types to schemas with references resolved. `fixed` is what
    every request to it carries besides a credential: place (header or query), name and value. `guard` is the
    dependency that looks at its credential, which it may share with others. `of_page` says that a page of the
    service sends it: no document of an interface speaks of that. `body` is what every request to it holds, with a
    number or a text where its values by JSON pointer go: a procedure is told the id of an object there. `safe` says
    that its protocol lets it change nothing, whatever its method is: a query of GraphQL. `asks` are the parameters of
    its query that name an object, each value going by its name with a `?` before it; that of a header by `header NAME`.
    """

    method: str
    path: str
    operation_id: str = ""
    summary: str = ""
    tags: tuple[str, ...] = ()
    security: tuple[frozenset[str], ...] | None = None
    scopes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    responses: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance.OPENAPI
    source: SourceLine | None = None
    fixed: tuple[tuple[str, str, str], ...] = ()
    guard: SourceLine | None = None
    of_page: bool = False
    body: Mapping[str, Any] | None = None
    safe: bool = False
    asks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Method and path template, such as `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def address(self) -> str:
        """The path as it is sent: what stands behind `#` tells apart what is done there (RFC 3986 §3.5)."""
        return self.path.partition("#/")[0]

    @property
    def describable(self) -> bool:
        """Whether an OpenAPI document has words for it: pages and what GraphQL does at one address have none."""
        return not self.of_page and self.path == self.address

    @property
    def protected(self) -> bool:
        """Whether the document demands a credential (optional authentication does not)."""
        return bool(self.security) and all(self.security or ())

    def naming(self, identifier: str) -> dict[str, str]:
        """The values by which a request names one thing, where it names no other: in the path, or in the query."""
        names = [part.partition("}")[0] for part in self.path.split("{")[1:]]
        return dict.fromkeys((*names, *(f"?{name}" for name in self.asks)), identifier)

    def values_in(self, path: str) -> dict[str, str] | None:
        """What stands in `path` for each parameter, as it is sent; None where it is another operation's."""
        pieces = HOLE.split(self.path)
        pattern = "".join("([^/]+)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces))
        match = re.fullmatch(pattern, path)
        return dict(zip(pieces[1::2], match.groups(), strict=True)) if match is not None else None

    def request(self, values: Mapping[str, str] | None = None) -> HttpRequest:
        """A bare request to this operation, path parameters taken from `values`."""
        path = self.address
        for name, value in (values or {}).items():
            path = path.replace("{" + name + "}", value)
        told = self._told_in_headers(values or {})
        demanded = (*told, *(item for item in self._demanded() if f"header {item[0]}" not in (values or {})))
        named = {name.lower() for name, _ in demanded}
        fixed = [item for item in self.fixed if item[0] == "query" or item[1].lower() not in named]
        query = tuple((name, value) for place, name, value in fixed if place == "query")
        query += tuple((name, values[f"?{name}"]) for name in self.asks if values and f"?{name}" in values)
        headers = tuple((name, value) for place, name, value in fixed if place == "header")
        bare = HttpRequest(self.method, path, query, (*demanded, *headers), json_type=self._json_type())
        return bare if self.body is None else bare.with_json(self.named(values))

    def without_header(self, name: str) -> Operation:
        """The operation without a declared header: what travels there is no parameter but a credential."""

        def kept(place: str, given: str) -> bool:
            return place != "header" or given.lower() != name.lower()

        parameters = tuple(item for item in self.parameters if kept(item.place, item.name))
        fixed = tuple(item for item in self.fixed if kept(item[0], item[1]))
        same = len(parameters) == len(self.parameters) and len(fixed) == len(self.fixed)
        return self if same else dataclasses.replace(self, parameters=parameters, fixed=fixed)

    def named(
        self, values: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """`body`, or what every request holds, with those of `values` whose names are pointers to a place there."""
        named = dict((self.body or {}) if body is None else body)
        for name, value in (values or {}).items():
            if name.startswith("/") and resolve(self.body, name) is not None:
                named = put_alike(named, name, value, self.body)
        return named

    def _constants(self) -> dict[str, Any]:
        """What says which operation is meant: a query of GraphQL, the method of a remote call. Places are empty."""
        held = self.body or {}
        return {name: value for name, value in held.items() if value and not isinstance(value, Mapping)}

    def meant_by(self, request: HttpRequest) -> bool:
        """Whether a request at an address of several operations is for this one."""
        try:
            sent = json.loads(request.body or b"") if request.path == self.address else None
        except ValueError:
            return False
        return isinstance(sent, Mapping) and self._constants().items() <= sent.items()

    def _json_type(self) -> str:
        plain = "application/json"
        own = [media for media in self.bodies if media.partition(";")[0].endswith("+json")]
        return own[0] if own and plain not in self.bodies else plain

    def _told_in_headers(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The headers of those values that go by `header NAME`, where the operation takes them: a tenant."""
        return tuple(
            (item.name, values[f"header {item.name}"])
            for item in self.parameters
            if item.place == "header" and f"header {item.name}" in values
        )

    def _demanded(self) -> tuple[tuple[str, str], ...]:
        """Headers that the document demands and says a value for: a version of the interface, a tenant."""
        found = []
        for item in self.parameters:
            if item.place != "header" or not item.required or item.name.lower() in _OURS:
                continue
            listed = item.schema.get("enum") or item.schema.get("examples") or [None]
            value = item.schema.get(
                "const", item.schema.get("default", item.schema.get("example", listed[0]))
            )
            if isinstance(value, str) and value.isascii() and value.isprintable():
                found.append((item.name, value))
        return tuple(found)

    def carrying(self, request: HttpRequest, body: object) -> HttpRequest:
        """`request` with a body in a media type that the operation takes: JSON unless it takes forms only.

        What the body of every request to the operation holds stays, unless `body` says otherwise.
        """
        if self.body is not None and isinstance(body, Mapping) and request.body:
            body = {**_merged(json.loads(request.body), body), **self._constants()}
        takes_json = any(media.endswith("json") for media in self.bodies)
        if takes_json or not isinstance(body, Mapping):
            return request.with_json(body)
        if "application/x-www-form-urlencoded" in self.bodies:
            return request.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        if MULTIPART in self.bodies:
            return request.with_parts(body, file_members(self.bodies[MULTIPART]))
        return request.with_json(body)


def _merged(body: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the members of `over`, objects in it entered."""
    both = {
        name: _merged(body[name], value)
        for name, value in over.items()
        if isinstance(value, Mapping) and isinstance(body.get(name), Mapping)
    }
    return {**body, **over, **both}


def file_members(schema: Schema) -> frozenset[str]:
    """The members of a multipart body that are files, or lists of files (OpenAPI 3.0.3 and 3.1)."""
    properties = schema.get("properties")
    found = set()
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        one = inner.get("items", inner) if isinstance(inner, Mapping) else {}
        shapes = [one, *(one.get("anyOf") or ())] if isinstance(one, Mapping) else []
        if any(
            shape.get("format") == "binary" or "contentMediaType" in shape
            for shape in shapes
            if isinstance(shape, Mapping)
        ):
            found.add(str(name))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Form:
    """An operation that takes values, each at a place of its own.

    A place is the name of a body member (a JSON pointer below the top level), or `query:NAME` or `path:NAME`.
    `encoding` of the body is `json` or `form`; `template` holds what the body needs besides.
    """

    operation: Operation
    encoding: str = "json"
    template: Mapping[str, Any] = field(default_factory=dict)

    def request(self, values: Iterable[tuple[str | None, object]]) -> HttpRequest:
        """The request with these values at these places; a value for no place is left out."""
        body: dict[str, Any] = dict(self.template)
        path: dict[str, str] = {}
        query: list[tuple[str, str]] = []
        for place, value in values:
            kind, colon, name = (place or "").partition(":")
            if not place:
                continue
            if colon and kind == "query":
                query.append((name, str(value)))
            elif colon and kind == "path":
                path[name] = quote(str(value), safe="")
            else:
                body = put(body, place, value)
        request = self.operation.request(path).with_query(*query)
        if not body and not self.operation.bodies:
            return request
        if self.encoding == "form":
            return request.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        return request.with_json(body)


def typed(request: HttpRequest, media: str) -> HttpRequest:
    """`request` with its JSON body under a media type of its own, such as `application/vnd.api+json`."""
    if not media.endswith("json") or media == "application/json":
        return request
    kept = tuple(pair for pair in request.headers if pair[0].lower() != "content-type")
    return dataclasses.replace(request, headers=(*kept, ("Content-Type", media)))
