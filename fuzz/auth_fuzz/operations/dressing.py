"""The same request, dressed otherwise: other headers, another query, another spelling of its path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from auth_conformance.target import Operation, Target
    from auth_conformance.transports.message import HttpRequest

# Reading and changing are guarded by other code now and then: so many of the likeliest go to each operation first.
_FIRST = 4
# One in so many attacks wears two of them.
_BOTH = 4


@dataclass(frozen=True, slots=True)
class Dressing:
    """What is added to a request: a header, a parameter of the query, or an ending of the path.

    `parts` are the pieces of one that holds many, to be tried alone when all together get in.
    """

    says: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    ending: str = ""
    parts: tuple[Dressing, ...] = ()

    def __call__(self, request: HttpRequest) -> HttpRequest:
        """The request with it."""
        named = {name.lower() for name, _ in self.headers}
        kept = tuple(pair for pair in request.headers if pair[0].lower() not in named)
        dressed = replace(request, headers=kept).with_headers(*self.headers).with_query(*self.query)
        return replace(dressed, path=dressed.path + self.ending)

    def beside(self, other: Dressing) -> Dressing:
        """Both at once."""
        return Dressing(
            f"{self.says} and {other.says}",
            (*self.headers, *other.headers),
            (*self.query, *other.query),
            self.ending or other.ending,
            (self, other),
        )


class Wardrobe:
    """What requests are dressed in: dealt round, from one operation to the next, because most guards are shared."""

    def __init__(self, target: Target, chance: random.Random) -> None:
        self._all = _dressings(target)
        self._chance = chance
        self._dealt: list[Dressing] = []
        self._given: dict[str, int] = {}

    def name(self, names: Iterable[str]) -> None:
        """Know what the person is called whose requests are dressed: strangers may say that they are that one."""
        for name in dict.fromkeys(names):
            parts = [
                Dressing(f"{header}: {name}", ((header, name),)) for header in _identity()["headers"]["names"]
            ]
            self._all["many"].insert(0, _together(f"headers that say {name}", parts))

    def one(self, operation: Operation) -> Dressing:
        """The next one for that operation: first what is likeliest there, then what nobody had for longest."""
        number = self._given[operation.name] = self._given.get(operation.name, 0) + 1
        if number <= _FIRST:
            kinds = (
                ("many", "content")
                if operation.method in {"GET", "HEAD"}
                else ("overrides", "many", "content")
            )
            likely = [item for kind in kinds for item in self._all[kind][: _FIRST if kind == "many" else 1]]
            if number <= len(likely):
                return likely[number - 1]
        if not self._dealt:
            self._dealt = [item for kind in self._all.values() for item in kind]
            self._chance.shuffle(self._dealt)
        chosen = self._dealt.pop()
        if number % _BOTH == 0:
            return chosen.beside(self._chance.choice(self._all["content"]))
        return chosen


@cache
def _lists() -> dict[str, Any]:
    return tomllib.loads(files("auth_fuzz").joinpath("dressings.toml").read_text("utf-8"))


@cache
def _identity() -> dict[str, Any]:
    text = files("auth_conformance").joinpath("data", "identity_claims.toml").read_text("utf-8")
    return tomllib.loads(text)


def _dressings(target: Target) -> dict[str, list[Dressing]]:
    lists = _lists()
    documented = {
        item.name: None
        for operation in target.operations
        for item in operation.parameters
        if item.place == "query"
    }
    switches = [*lists["switches"], *documented]
    found = {
        "content": [
            Dressing(f"the content type {media}", (("Content-Type", media),))
            for media in lists["content_types"]
        ],
        "overrides": [
            Dressing(f"{name}: {method}", ((name, method),))
            for method in lists["methods"]
            for name in lists["overriding"]
        ],
        "switches": [
            Dressing(f"the query {name}={value}", query=((name, value),))
            for number, name in enumerate(dict.fromkeys(switches))
            for value in [lists["values"][number % len(lists["values"])]]
        ],
        "headers": [Dressing(f"{name}: {value}", ((name, value),)) for name, value in lists["headers"]],
        "paths": [
            Dressing(f"{ending} at the end of the path", ending=ending) for ending in lists["path_endings"]
        ],
    }
    # What nobody reads does no harm: many at once cost one request. Headers of one name are not sent twice.
    once = {item.headers[0][0]: item for item in reversed(found["headers"])}
    plain = [
        item for name, item in once.items() if name.startswith(("X-", "O", "P", "R", "S")) and name != "Range"
    ]
    found["many"] = [
        _together("switches in the query", found["switches"][: len(lists["switches"])]),
        _together("headers of proxies and browsers", plain),
    ]
    return found


def _together(says: str, parts: list[Dressing]) -> Dressing:
    return Dressing(
        f"{len(parts)} {says}",
        tuple(pair for item in parts for pair in item.headers),
        tuple(pair for item in parts for pair in item.query),
        parts=tuple(parts),
    )
