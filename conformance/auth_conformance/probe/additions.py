"""What is added to a body that clients may not set, with values that would be a gain, and what a reply shows of it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Severity
from auth_conformance.oracles.nesting import Holder, Path, joined, put_within, within
from auth_conformance.oracles.privilege import role_word

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer

Members = Sequence[tuple[str, Any]]
# Members of replies that nobody may set and that no list names; each costs two requests where it is accepted.
MOST_SHOWN = 6
# Values that one member is tried with, where the service has words or numbers of its own for it.
_MOST_VALUES = 2
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DEEPEST = 6


@cache
def _data() -> dict[str, list[Any]]:
    text = resources.files("auth_conformance").joinpath("data", "protected_members.toml").read_text("utf-8")
    return tomllib.loads(text)


def listed(name: str) -> Members:
    """The members of one list of `data/protected_members.toml`, each with a value that would be a gain."""
    return [(str(key), value) for key, value in _data()[name]]


def weight_of(name: str) -> Severity:
    """How grave it is that a client sets this member, by its name: high where it tells of a right, an owner or money.

    A member that no list names and that only a reply shows may be a setting that the document forgot: medium.
    """
    if any(name == known for known, _ in (*listed("rights"), *listed("others"))):
        return Severity.HIGH
    words = {word.lower() for word in _WORD.findall(name)}
    return Severity.HIGH if words & set(_data()["telling"]) else Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Extra:
    """Members to add, where, and how it is told; `holder` is the object within the body that takes them.

    `wrapped` is where the other members of the body stand.
    """

    label: str
    members: Members
    place: str = "body"
    holder: Holder | None = None
    wrapped: Path = ()

    def added_to(self, body: Any) -> Any:
        """A copy of `body` with the members."""
        if self.holder is not None:
            return put_within(body, self.holder.path, dict(self.members), self.holder.start)
        return put_within(body, self.wrapped, dict(self.members))


@dataclass(frozen=True, slots=True)
class Inside:
    """An object within a body, and what a reply shows of it where nothing was added."""

    holder: Holder
    shown: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The path to it, in words."""
        return "/".join(str(part) for part in self.holder.path)


@dataclass(frozen=True, slots=True)
class Place:
    """One operation that takes a body. `send` adds the members and returns what its owner reads afterwards.

    `kept` says that `shown` is an object: who reads it afterwards is shown its members, and nobody else is. `inside`
    are the objects within the body, `choices` the words that the document has for a member, `wrapped` is where its own
    members stand. A `free` body may hold anything: what it did not have before is the client's own. What is added to a
    `lasting` one stays there.
    """

    name: str
    taken: frozenset[str]
    shown: Mapping[str, Any]
    of_account: bool
    send: Callable[[Extra], Awaitable[tuple[Answer, Answer | None, Credential | None]]]
    kept: bool = False
    inside: Sequence[Inside] = ()
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    wrapped: Path = ()
    free: bool = False
    lasting: bool = False


def additions(place: Place, theirs: Mapping[str, Any], ranks: Mapping[str, Any]) -> list[Extra]:
    """List the additions: rights one by one, everything together, nested, in the query and as a form.

    A member that holds what A is called is sent with what B is called (`theirs`, by what A is called): so objects are
    given away. `ranks` are an administrator's own values of rights, by their names.
    """
    # A role that a stranger may register with is the flaw itself, declared or not; the scopes of a key are not.
    rights = [item for item in listed("rights") if place.of_account or item[0] not in place.taken]
    found = _one_by_one(place, place.shown, place.taken, theirs, ranks)
    everything = [extra.members[0] for extra in found] + [
        item for item in (*rights, *listed("others")) if item[0] not in place.taken
    ]
    inside = [extra for one in place.inside for extra in _added_inside(place, one, theirs, ranks)]
    found = [
        *found,
        Extra("all of them together", _first_of_each(everything)),
        *inside,
        Extra("all rights in a nested user", [("user", dict(rights))]),
        Extra("all rights in the query", rights, "query"),
        Extra("all rights as a form", rights, "form"),
    ]
    beside = f"all of them together beside {place.wrapped[0]}" if place.wrapped else ""
    outside = [Extra(beside, _first_of_each(everything))] if beside else []
    return [*(replace(extra, wrapped=place.wrapped) for extra in found), *outside]


def _first_of_each(members: Members) -> Members:
    return list(dict(reversed(members)).items())


def _added_inside(
    place: Place, inside: Inside, theirs: Mapping[str, Any], ranks: Mapping[str, Any]
) -> Iterator[Extra]:
    """What is added to an object within the body: what a reply shows there one by one, and everything together."""
    where, holder = inside.where, inside.holder
    singles = _one_by_one(place, inside.shown, holder.taken, theirs, ranks, bare=False)
    together = [extra.members[0] for extra in singles] + [
        item for item in (*listed("rights"), *listed("others")) if item[0] not in holder.taken
    ]
    for extra in singles:
        yield Extra(f"{extra.label} in {where}", extra.members, holder=holder)
    yield Extra(f"all of them together in {where}", _first_of_each(together), holder=holder)


def _one_by_one(
    place: Place,
    shown: Mapping[str, Any],
    taken: frozenset[str],
    theirs: Mapping[str, Any],
    ranks: Mapping[str, Any],
    *,
    bare: bool = True,
) -> list[Extra]:
    """One member each: rights, what lists name and a reply shows, and what a reply shows besides.

    With `bare` an account is given rights as well that no reply shows and no document takes.
    """
    rights = [item for item in listed("rights") if place.of_account or item[0] not in taken]
    others = [
        (name, theirs.get(str(shown.get(name)), value))
        for name, value in listed("others")
        if name not in taken
    ]
    known = {name for name, _ in (*rights, *others)}
    # Where people keep what they like, what a reply shows may be just that.
    further = (
        []
        if place.free and place.of_account
        else [
            (name, theirs.get(str(value), _another(value)))
            for name, value in shown.items()
            if name not in taken and name not in known and isinstance(value, (str, int, float, bool))
        ][:MOST_SHOWN]
    )
    single = [
        (name, gain)
        for name, value in (*rights, *others)
        if name in shown or (place.of_account and name in dict(rights) and (bare or name in taken))
        for gain in _gains(value, shown.get(name), place.choices.get(name, ()), ranks.get(name))
    ]
    return [Extra(f"{name} = {json.dumps(value)}", [(name, value)]) for name, value in (*single, *further)]


def _gains(value: Any, shown: Any, choices: Sequence[Any], rank: Any) -> list[Any]:
    """The values to try for a member of the lists: `value` as the service would say it.

    What an administrator has is `rank`; else one of the words that the document has for it, or the number, or the
    letters, in which a reply shows it.
    """
    if rank is not None and rank != shown:
        return [rank]
    plain = value[0] if isinstance(value, list) else value
    if choices and plain not in choices:
        others = [item for item in choices if shown not in (item, [item])]
        others.sort(key=lambda item: role_word([str(item)]) is None)
        found = [[item] if isinstance(value, list) else item for item in others[:_MOST_VALUES]]
        return found or [value]
    if isinstance(shown, int) and not isinstance(shown, bool) and not isinstance(value, (int, float)):
        return [item for item in (1, shown + 1, 0) if item != shown][:_MOST_VALUES]
    if isinstance(value, bool) and isinstance(shown, int) and not isinstance(shown, bool):
        return [int(value)]
    if isinstance(value, str) and isinstance(shown, str) and shown.isupper():
        return [f"ROLE_{value.upper()}" if shown.startswith("ROLE_") else value.upper()]
    return [value]


def choices_in(*documents: object) -> dict[str, list[Any]]:
    """The words that schemas list for a member, by its name, wherever in them it stands."""
    found: dict[str, list[Any]] = {}
    for document in documents:
        _collect(document, found, 0)
    return found


def _collect(part: object, found: dict[str, list[Any]], depth: int) -> None:
    if not isinstance(part, Mapping) or depth > _DEEPEST:
        return
    plain = joined(part)
    for name, inner in (plain.get("properties") or {}).items():
        member = joined(inner)
        words = member.get("enum") or joined(member.get("items")).get("enum")
        if isinstance(words, list):
            found.setdefault(str(name), [item for item in words if item is not None])
        _collect(member, found, depth + 1)
    if "items" in plain:
        _collect(plain["items"], found, depth + 1)


def took(
    place: Place, extra: Extra, before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[str, Severity] | None:
    """Which added member shows the value that was sent where there was another, and how grave that is.

    `before` and `now` are what replies show by name.
    """
    members = dict(extra.members)
    if isinstance(members.get("user"), dict):
        members = members["user"]
    views, free = [(before, now)], place.free
    if extra.holder is not None:
        free = extra.holder.free
        told = next((one.shown for one in place.inside if one.holder is extra.holder), {})
        was_inside = within(before, extra.holder) if place.lasting else told
        views = [(was_inside or told, within(now, extra.holder)), *([] if free else views)]
    for old, new in views:
        for name, value in members.items():
            was = old.get(name)
            if name not in new or not same(new[name], value) or same(was, value) or (free and was is None):
                continue
            return f"{name} is read as what was sent, and is {json.dumps(was)} otherwise", weight_of(name)
    return None


def _another(value: object) -> object:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case _:
            return (
                "2001-02-03T04:05:06Z"
                if str(value)[:4].isdecimal() and "T" in str(value)
                else "changed-by-client"
            )


def same(one: object, other: object) -> bool:
    """Whether two values are the same; of moments the seconds count, not how the rest is written."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (one[:19] == other[:19] and one[:4].isdecimal() and "T" in one)
    return type(one) is type(other) and one == other
