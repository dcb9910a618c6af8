"""What a reply says that its credential may do, and where a request says what a new one may."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from auth_conformance.oracles.privilege import role_word

# RFC 6749 §5.1 and RFC 8693 §4.2 say `scope`; `scopes` is FastAPI's tutorial, `scp` Microsoft's and Okta's, and
# `permissions` Auth0's, whose tokens have a `scope` of OpenID besides.
MEMBERS = ("scope", "scopes", "scp", "permissions")
# Where a key has one level out of several, it may be called otherwise, too.
_LEVELS = ("role", "access", "access_level", "level", "permission", "scope_name")
# What else services call it where somebody makes a key.
_OF_KEYS = (*MEMBERS, "rights", "abilities", "capabilities", "privileges", "grants")


@dataclass(frozen=True, slots=True)
class ScopeMember:
    """The member of a creation that says what the new credential may do: a list, or one text with blanks.

    `known` are the scopes that its schema names. A `single` one takes just one of them.
    """

    name: str
    listed: bool
    known: tuple[str, ...] = ()
    single: bool = False

    def written(self, scopes: Iterable[str]) -> object:
        """These scopes as the member takes them; a single one takes the first."""
        if self.single:
            return next(iter(scopes), "")
        return list(scopes) if self.listed else " ".join(scopes)

    def stated(self, record: object) -> frozenset[str] | None:
        """The scopes that a record names under the same member, in an envelope, too; None where it says nothing."""
        inner = (
            [item for item in record.values() if isinstance(item, Mapping)]
            if isinstance(record, Mapping)
            else []
        )
        found = [item.get(self.name) for item in (record, *inner) if isinstance(item, Mapping)]
        value = next((item for item in found if item is not None), None)
        return None if value is None else frozenset(_words(value))


def scope_member(properties: Mapping[str, Any]) -> ScopeMember | None:
    """The member of a body that takes scopes: one that lists fixed words, or one that is called like them."""
    found = []
    for name, schema in properties.items():
        shapes = (
            [schema, *(schema.get("anyOf") or schema.get("oneOf") or ())]
            if isinstance(schema, Mapping)
            else []
        )
        for shape in (item for item in shapes if isinstance(item, Mapping)):
            items = shape.get("items")
            inner = items if isinstance(items, Mapping) else {}
            listed, called = shape.get("type") == "array", str(name).lower() in _OF_KEYS
            if listed and isinstance(inner.get("enum"), list):
                found.append((0, ScopeMember(str(name), True, tuple(map(str, inner["enum"])))))
            elif called and (listed or (shape.get("type") == "string" and "enum" not in shape)):
                given = (schema, shape, inner)
                known = [
                    word
                    for one in given
                    for key in ("examples", "example", "default")
                    for word in _words(one.get(key))
                ]
                found.append((1, ScopeMember(str(name), listed, tuple(dict.fromkeys(known)))))
            elif isinstance(shape.get("enum"), list) and str(name).lower() in (*_OF_KEYS, *_LEVELS):
                words = tuple(item for item in shape["enum"] if isinstance(item, str))
                found.append((2, ScopeMember(str(name), False, words, single=True)))
    return min(found, key=lambda item: item[0])[1] if found else None


def flow_scopes(document: Mapping[str, Any]) -> list[str]:
    """The scopes that the OAuth2 schemes of an OpenAPI document name (OpenAPI 3.1 §4.8.27)."""
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    found: dict[str, None] = {}
    for scheme in schemes.values() if isinstance(schemes, Mapping) else ():
        flows = scheme.get("flows") if isinstance(scheme, Mapping) else None
        for flow in flows.values() if isinstance(flows, Mapping) else ():
            scopes = flow.get("scopes") if isinstance(flow, Mapping) else None
            found |= dict.fromkeys(map(str, scopes)) if isinstance(scopes, Mapping) else {}
    return list(found)


def _words(value: object) -> list[str]:
    """Every scope in a text, a list, or a list of examples of either."""
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [word for item in value for word in _words(item)]
    return []


def scopes_of(*places: Any) -> frozenset[str]:
    """Every scope that the JSON objects name: a reply, and the claims of the token in it. Empty when none does."""
    found: set[str] = set()
    for place in places:
        for name in MEMBERS if isinstance(place, dict) else ():
            value = place.get(name)
            words = value.split() if isinstance(value, str) else value
            if isinstance(words, list) and all(isinstance(word, str) for word in words):
                found |= set(words)
    return frozenset(found)


_READING = frozenset({"read", "reads", "reader", "readonly", "view", "viewer", "list", "get", "ro"})
_MORE = frozenset(
    {
        "write",
        "manage",
        "admin",
        "create",
        "update",
        "delete",
        "edit",
        "all",
        "full",
        "rw",
        "readwrite",
        "owner",
    }
)
# Words of scopes that hold all others in them, whatever they are about.
_EVERYTHING = frozenset({"all", "everything", "full", "owner", "root", "*"})
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\*")


def only_reads(scope: str) -> bool:
    """Whether a scope says of itself that it allows to read, and nothing that it allows more."""
    words = _said(scope)
    return bool(words & _READING) and not words & _MORE and "*" not in words


def may_include(held: str, other: str) -> bool:
    """Whether a scope may hold another one in it, as far as their names tell.

    `notes:write` may hold `notes:read`, `notes` both, and `admin` everything: services rank scopes so without saying
    it. Of `notes:read` and `profile:write` neither may hold `notes:write`.
    """
    if held == other:
        return True
    if _said(held) & _EVERYTHING or role_word([held]) is not None:
        return True
    if only_reads(held) and not only_reads(other):
        return False
    return speaks_of(held) <= speaks_of(other)


def speaks_of(scope: str) -> frozenset[str]:
    """What a scope is about, in small letters: `notes` of `notes:write`, nothing of `write`."""
    return frozenset(_said(scope) - _READING - _MORE)


def _said(scope: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(scope)}
