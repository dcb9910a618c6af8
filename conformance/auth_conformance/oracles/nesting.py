"""Objects within a body: where they stand, what a client may set in them, and what a reply shows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

# Objects in one body that members are added to, and how deep they may stand in one another.
MOST_HOLDERS = 3
_DEEPEST = 3
_SEVERAL = 2
_IDS = frozenset({"id", "_id", "uid", "uuid", "slug"})
_EMPTY: Mapping[str, Any] = MappingProxyType({})
# Where something stands in a body: names of members, and places in lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """An object in a body, or the first of a list of such: `path` leads to it, `taken` is what a client may set there.

    `start` is what a request holds there, and `made` says that the plain body has no such object. `free` says that the
    document lets clients put anything in it.
    """

    path: Path
    taken: frozenset[str]
    start: Mapping[str, Any]
    free: bool = False
    made: bool = False

    @property
    def name(self) -> str:
        """The member that holds it."""
        return next(str(part) for part in reversed(self.path) if isinstance(part, str))


def joined(schema: Any) -> dict[str, Any]:
    """One schema: `allOf` together, and of alternatives the first that is not null."""
    found = dict(schema) if isinstance(schema, Mapping) else {}
    parts = [joined(part) for part in found.get("allOf") or ()]
    options = [*(found.get("anyOf") or ()), *(found.get("oneOf") or ())]
    usable = (item for item in options if isinstance(item, Mapping) and item.get("type") != "null")
    parts += [joined(item) for item in islice(usable, 1)]
    for part in parts:
        both = {**(part.get("properties") or {}), **(found.get("properties") or {})}
        needed = [*(part.get("required") or ()), *(found.get("required") or ())]
        found = {**part, **found, "properties": both, "required": needed}
    return found


def welcomes_others(schema: Any) -> bool:
    """Whether an object of this schema may hold members that it does not list: a map, a free document."""
    plain = joined(schema)
    return bool(plain.get("additionalProperties")) or not plain.get("properties")


def fitted(value: Any, schema: Any) -> Any:
    """`value` as a request may hold it: objects without the members that their schema does not list."""
    plain = joined(schema)
    listed = plain.get("properties") or {}
    if isinstance(value, Mapping) and listed and not plain.get("additionalProperties"):
        return {name: fitted(item, listed[name]) for name, item in value.items() if name in listed}
    if isinstance(value, list) and isinstance(plain.get("items"), Mapping):
        return [fitted(item, plain["items"]) for item in value]
    return value


def wrapped(schema: Any, body: Mapping[str, Any], shown: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Where the members of a body stand, within what wraps all of them (`{"user": {…}}`), and the schema of that."""
    plain, path = joined(schema), Path()
    while len(body) == 1 and len(plain.get("properties") or {}) < _SEVERAL:
        name, inner = next(iter(body.items()))
        listed = plain.get("properties") or {}
        unlisted = name in listed and not joined(listed[name]).get("properties")
        told = shown.get(name)
        if not isinstance(inner, Mapping) or (
            unlisted and isinstance(told, Mapping) and _IDS.isdisjoint(told)
        ):
            break  # a map in which clients keep their own, as a part of what is shown, wraps nothing
        path, body, plain = (*path, name), inner, joined(listed.get(name))
    return path, plain


def holders(
    schema: Any,
    body: Mapping[str, Any],
    shown: Mapping[str, Any],
    make: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> list[Holder]:
    """The objects in a body that list their members: those of `body`, and those that its schema allows besides.

    An object that the body does not have begins as the one of its name in `shown`, what a reply shows by name, or else
    as `make` makes it of its schema.
    """
    around, plain = wrapped(schema, body, shown)
    for name in around:
        body = body[str(name)]
    return list(islice(_within(plain, body, shown, around, make), MOST_HOLDERS))


def _within(
    schema: Mapping[str, Any],
    body: Mapping[str, Any],
    shown: Any,
    above: Path,
    make: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Iterator[Holder]:
    listed = schema.get("properties") or {}
    for name in dict.fromkeys([*listed, *body]):
        inner, path = joined(listed.get(name)), (*above, str(name))
        value, seen = body.get(name), shown.get(name) if isinstance(shown, Mapping) else None
        if isinstance(inner.get("items"), Mapping) or isinstance(value, list):
            value, seen = _first(value), _first(seen)
            inner, path = joined(inner.get("items")), (*path, 0)
        members = inner.get("properties") or {}
        if not members and not (isinstance(value, Mapping) and value and not inner):
            continue
        made = not isinstance(value, Mapping)
        if not isinstance(value, Mapping):
            told = fitted(seen, inner) if isinstance(seen, Mapping) else {}
            value = {**make(inner), **{key: told[key] for key in told if key in members}}
        free = bool(inner.get("additionalProperties"))
        yield Holder(path, frozenset([*members, *value]), value, free, made)
        if len(path) < _DEEPEST and not made:
            yield from _within(inner, value, seen, path, make)


def put_within(body: Any, path: Path, members: Mapping[str, Any], start: Mapping[str, Any] = _EMPTY) -> Any:
    """A copy of `body` with `members` beside those of the object at `path`; where it lacks, it begins as `start`."""
    if not path:
        return {**(body if isinstance(body, Mapping) else start), **members}
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        kept = body if isinstance(body, list) else []
        return [put_within(_first(kept), rest, members, start), *kept[1:]]
    kept_members = body if isinstance(body, Mapping) else {}
    return {**kept_members, first: put_within(kept_members.get(first), rest, members, start)}


def within(shown: Mapping[str, Any], holder: Holder) -> Mapping[str, Any]:
    """What a reply shows in the object of that name; `shown` is what it shows by name."""
    value = shown.get(holder.name)
    inner = _first(value) if isinstance(value, list) else value
    return inner if isinstance(inner, Mapping) else {}


def _first(value: Any) -> Any:
    return next(iter(value), None) if isinstance(value, list) else None
