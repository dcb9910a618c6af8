"""GraphQL: one address for everything. Each query and each mutation of its schema is an operation here.

They are told apart by what stands behind `#`, which is never sent (RFC 3986 §3.5): `POST /graphql#/me`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.doors import slashed
from auth_conformance.discovery.names import mentions, names
from auth_conformance.model import Need, Provenance
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

# GraphQL (September 2025) §4.1: what a service tells of itself. A type is wrapped in lists and non-nulls.
_TYPE = "kind name" + " ofType{kind name" * 5 + "}" * 5
_VALUE = f"name defaultValue type{{{_TYPE}}}"
_SCHEMA = (
    "{__schema{queryType{name} mutationType{name} types{kind name enumValues{name} "
    f"inputFields{{{_VALUE}}} fields{{name args{{{_VALUE}}} type{{{_TYPE}}}}}}}}}}}"
)
_LARGEST = 8 << 20
_SCALARS: dict[str, dict[str, Any]] = {
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "UUID": {"type": "string", "format": "uuid"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
}
# How deep an input and an answer are entered, and how many members of one answer are asked for.
_DEEP = 3
_MOST = 24
# What people write where nobody tells the schema; behind # stands a name of their own.
BY_HAND = {
    Need.WITNESS: """[bodies."POST {0}#/me"]  # what is sent there; the name behind # is not
query = "{{ me {{ username }} }}"
[witness]
operation = "POST {0}#/me"
""",
    Need.OBJECTS: """[bodies."POST {0}#/create"]
query = "mutation($title: String!) {{ createItem(title: $title) {{ id }} }}"
[bodies."POST {0}#/read"]
query = "query($id: ID!) {{ item(id: $id) {{ title }} }}"
variables = {{ id = "" }}
[objects]
create = "POST {0}#/create"
read = "POST {0}#/read"
id_member = "/variables/id"
text_field = "/variables/title"
identifier = "/data/createItem/id"
""",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that speaks GraphQL. `told` is whether its schema could be read."""

    path: str
    told: bool = False


@dataclass(frozen=True, slots=True)
class _Schema:
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def operations(self, path: str, root: str, *, safe: bool) -> Iterator[Operation]:
        word = "query" if safe else "mutation"
        for item in self._fields(root):
            name = str(item.get("name"))
            values = [one for one in item.get("args") or () if isinstance(one, Mapping)]
            declared = ", ".join(map(_declared, values))
            passed = ", ".join(f"{one['name']}: ${one['name']}" for one in values)
            shown = " ".join(self._selection(_unwrapped(item.get("type")), _DEEP, [_MOST]))
            text = f"{word}{f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''}"
            query = f"{text}{f' {{ {shown} }}' if shown else ''} }}"
            properties: dict[str, Any] = {"query": {"const": query}}
            if values:
                properties["variables"] = self._input(values, _DEEP)
            body = {"type": "object", "properties": properties, "required": list(properties)}
            yield Operation(
                "POST",
                f"{path}#/{name}",
                operation_id=name,
                bodies={"application/json": body},
                provenance=Provenance.OBSERVED,
                body={"query": query},
                safe=safe,
            )

    def _fields(self, name: str) -> list[Mapping[str, Any]]:
        found = self.types.get(name, {}).get("fields") or ()
        return [item for item in found if isinstance(item, Mapping)]

    def _selection(self, name: str, depth: int, left: list[int]) -> Iterator[str]:
        """What to ask for of an answer: its values, and those of what it holds; `left` counts them down."""
        kind = self.types.get(name, {}).get("kind")
        if kind not in ("OBJECT", "INTERFACE"):
            yield from ["__typename"] if kind == "UNION" else []
            return
        askable = [item for item in self._fields(name) if not any(map(_needed, item.get("args") or ()))]
        inner = {str(item["name"]): _unwrapped(item.get("type")) for item in askable}
        plain = [found for found, of in inner.items() if self._is_value(of)]
        for found in plain[: left[0]]:
            left[0] -= 1
            yield found
        # What an answer wraps is entered where the answer says nothing itself: a payload, a page of a list.
        for found, of in inner.items() if depth > 1 and (not plain or depth == _DEEP) else ():
            below = "" if found in plain else " ".join(self._selection(of, depth - 1, left))
            if below:
                yield f"{found} {{ {below} }}"
        if not inner:
            yield "__typename"

    def _is_value(self, name: str) -> bool:
        return self.types.get(name, {}).get("kind") in ("SCALAR", "ENUM")

    def _input(self, values: list[Mapping[str, Any]], depth: int) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {str(one["name"]): self._value(one["type"], depth) for one in values},
            "required": [str(one["name"]) for one in values if _needed(one)],
        }

    def _value(self, kind: Mapping[str, Any], depth: int) -> dict[str, Any]:
        if kind.get("kind") == "NON_NULL":
            return self._value(kind["ofType"], depth)
        if kind.get("kind") == "LIST":
            return {"type": "array", "items": self._value(kind["ofType"], depth)}
        name = str(kind.get("name"))
        found = self.types.get(name, {})
        if kind.get("kind") == "ENUM":
            return {"type": "string", "enum": [one["name"] for one in found.get("enumValues") or ()]}
        if kind.get("kind") == "INPUT_OBJECT":
            return (
                self._input(list(found.get("inputFields") or ()), depth - 1) if depth else {"type": "object"}
            )
        return dict(_SCALARS.get(name, {"type": "string"}))


def _needed(value: Mapping[str, Any]) -> bool:
    return value.get("type", {}).get("kind") == "NON_NULL" and value.get("defaultValue") is None


def _declared(value: Mapping[str, Any]) -> str:
    """A variable of a query: what may be left out has its default, which is written in GraphQL's own way."""
    default = value.get("defaultValue")
    return f"${value['name']}: {_written(value['type'])}{'' if default is None else f' = {default}'}"


def _unwrapped(kind: Any) -> str:
    while isinstance(kind, Mapping) and kind.get("ofType"):
        kind = kind["ofType"]
    return str(kind.get("name")) if isinstance(kind, Mapping) else ""


def _written(kind: Mapping[str, Any]) -> str:
    if kind.get("kind") == "NON_NULL":
        return f"{_written(kind['ofType'])}!"
    return f"[{_written(kind['ofType'])}]" if kind.get("kind") == "LIST" else str(kind.get("name"))


async def find_graphql(scout: Scout, known: Knowledge) -> None:
    """Fill in `graphql`, and the operations of its schema where strangers may read that."""
    listed = [
        item.path
        for item in known.by_method("POST")
        if mentions(item.path.rsplit("/", 1)[-1], names("graphql"))
    ]
    for path in list(dict.fromkeys([*listed[:1], *names("graphql", "paths")])):
        spoken = await _asked(scout, path, "{__typename}", "does it speak GraphQL?")
        if spoken is None:
            continue
        known.graphql = Endpoint(path)
        await read_schema(scout, known)
        return


async def read_schema(scout: Scout, known: Knowledge, credential: Credential | None = None) -> None:
    """Read the schema, as a caller where strangers may not, and say what was found."""
    endpoint = known.graphql
    if endpoint is None or endpoint.told:
        return
    told = await _asked(scout, endpoint.path, _SCHEMA, "read the schema of GraphQL", credential)
    schema = told.get("__schema") if told is not None else None
    known.facts = [fact for fact in known.facts if fact.name != "GraphQL"]
    if not isinstance(schema, Mapping):
        known.say(
            "GraphQL", f"POST {endpoint.path}, schema not told", Provenance.OBSERVED, "it names its type"
        )
        known.remedies |= {need: lines.format(endpoint.path) for need, lines in BY_HAND.items()}
        return
    for need in BY_HAND:
        known.remedies.pop(need, None)
    known.graphql = replace(endpoint, told=True)
    types = {str(item.get("name")): item for item in schema.get("types") or () if isinstance(item, Mapping)}
    count = 0
    for root, safe in (("queryType", True), ("mutationType", False)):
        name = (schema.get(root) or {}).get("name")
        for operation in _Schema(types).operations(endpoint.path, str(name), safe=safe):
            known.operations.setdefault(operation.name, operation)
            count += 1
    known.say("GraphQL", f"POST {endpoint.path}: {count} fields", Provenance.OBSERVED, "it told its schema")


async def _asked(
    scout: Scout, path: str, query: str, label: str, credential: Credential | None = None
) -> Mapping[str, Any] | None:
    """What GraphQL answers there; None where nothing does."""
    request = replace(Operation("POST", path).request().with_json({"query": query}), limit=_LARGEST)
    reply = (await scout.ask(request, f"POST {path}: {label}", credential=credential)).reply
    if slashed(path, reply):
        return await _asked(scout, path + "/", query, label, credential)
    data = reply.json.get("data") if isinstance(reply.json, dict) else None
    speaks = isinstance(data, Mapping) and ("__schema" in data or isinstance(data.get("__typename"), str))
    return data if speaks else None
