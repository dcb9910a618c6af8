"""What services call things: the lists of `names.toml`, and how a name is taken apart to be compared."""

from __future__ import annotations

import itertools
import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.target import Operation

# Scores of `likeness`.
LAST_SEGMENT, IN_PATH, IN_ID, IN_SUMMARY = 4, 3, 2, 1

# Latin letters with their accents: services are named in other languages too.
_UPPER, _LOWER = "A-ZÀ-ÖØ-Þ", "a-zß-öø-ÿĀ-ž"
_WORD = re.compile(rf"[{_UPPER}]+(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|\d+")


@cache
def names(table: str, key: str = "words") -> tuple[str, ...]:
    """One list of `names.toml`, in its order. Raises KeyError for a list that does not exist."""
    return tuple(_tables()[table][key])


@cache
def _tables() -> dict[str, dict[str, list[str]]]:
    text = files("auth_conformance.discovery").joinpath("names.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def words(text: str) -> frozenset[str]:
    """The words in `text`, and neighbours joined: `/auth/signIn` gives auth, sign, in, authsign, signin."""
    parts = [part.lower() for part in _WORD.findall(text)]
    return frozenset(parts) | {first + second for first, second in itertools.pairwise(parts)}


@lru_cache(maxsize=10_000)
def plain(name: str) -> str:
    """A member name in one spelling: `accessToken`, `access-token` and `AccessToken` are `access_token`."""
    return "_".join(part.lower() for part in _WORD.findall(name)) or name.lower()


def rank(name: str, wanted: Iterable[str]) -> int | None:
    """The place of `name` in a list: exactly, or without its underscores; None when it is not there."""
    spelled = plain(name)
    squeezed = spelled.replace("_", "")
    for place, candidate in enumerate(wanted):
        if candidate in (spelled, name.lower()) or plain(candidate).replace("_", "") == squeezed:
            return place
    return None


def mentions(text: str, wanted: Iterable[str]) -> bool:
    """Whether a word of `text` is in the list."""
    return not words(text).isdisjoint(wanted)


def speaks_of_password(name: str) -> bool:
    """Whether a word or two of a member's name mean a password, whatever is said of it besides."""
    return mentions(name, (*names("fields", "password"), *names("recovery", "passwords")))


def likeness(operation: Operation, table: str) -> int:
    """How much an operation is named like `table`'s words: 4 for the last path segment, 0 for not at all."""
    wanted = names(table)
    fixed = [part for part in operation.path.split("/") if part and not part.startswith("{")]
    score = 0
    if fixed and mentions(fixed[-1], wanted):
        score = LAST_SEGMENT
    elif mentions("/".join(fixed), wanted):
        score = IN_PATH
    elif mentions(operation.operation_id.split("__")[0], wanted):
        score = IN_ID
    elif mentions(operation.summary, wanted):
        score = IN_SUMMARY
    return score


def verb_of(operation: Operation) -> str:
    """The first word of the last segment, in lower case: `get` of `/rpc/document.getAll`, `list` of `/users:list`."""
    # Procedures may be named after what they belong to.
    last = operation.path.rstrip("/").rsplit("/", 1)[-1].replace(":", ".").rsplit(".", 1)[-1]
    return plain(last).partition("_")[0]


def avoided(operation: Operation, table: str) -> bool:
    """Whether the path of an operation says that it is something else than `table`."""
    return mentions(operation.path, names(table, "avoid"))


def dangerous(operation: Operation) -> bool:
    """Whether calling a GET may change something, by what its path and id say."""
    wanted = names("danger")
    return mentions(operation.path, wanted) or mentions(operation.operation_id.split("__")[0], wanted)
