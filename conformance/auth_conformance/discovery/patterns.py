"""Texts that match a regular expression: enough of the language for the patterns that schemas hold."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

_TRIES = 40
_LIST = re.compile(r"\^\((?:\?:)?([\w-]+(?:\|[\w-]+)+)\)\$")
_WORDS = "abcdefghijklmnopqrstuvwxyz0123456789"
_CATEGORIES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": _WORDS,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": _WORDS,
    "CATEGORY_NOT_DIGIT": "abcdefghijklmnopqrstuvwxyz",
    "CATEGORY_NOT_WORD": "-",
}


def compiled(pattern: object) -> re.Pattern[str] | None:
    """The pattern, or None when Python cannot read it (schemas hold ECMAScript expressions)."""
    if not isinstance(pattern, str):
        return None
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def listed(pattern: object) -> list[str]:
    """The words of a pattern that is nothing but a list: `^(reader|editor)$`; none of any other."""
    found = _LIST.fullmatch(pattern) if isinstance(pattern, str) else None
    return found[1].split("|") if found is not None else []


def matching(pattern: re.Pattern[str], rng: random.Random, least: int, most: int) -> str | None:
    """A text of `least` to `most` characters that `pattern` finds itself in; None when none was made."""
    try:
        parsed = import_module("re._parser").parse(pattern.pattern)
        for extra in range(_TRIES):
            text = "".join(_made(parsed, rng, extra))
            if least <= len(text) <= most and pattern.search(text):
                return text
    except (AttributeError, ImportError, KeyError, ValueError, IndexError, RecursionError):
        return None  # an expression of a kind that is not made here
    return None


def _made(parsed: Any, rng: random.Random, extra: int) -> list[str]:
    return [_part(str(kind), value, rng, extra) for kind, value in parsed]


def _part(kind: str, value: Any, rng: random.Random, extra: int) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "ANY" | "NOT_LITERAL":
            return rng.choice([letter for letter in _WORDS if letter != chr(value or 0)])
        case "IN":
            return rng.choice(_members(value))
        case "CATEGORY":
            return rng.choice(_CATEGORIES[str(value)])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = value
            count = min(int(low) + extra, int(high))
            return "".join("".join(_made(inner, rng, 0)) for _ in range(count))
        case "SUBPATTERN":
            return "".join(_made(value[-1], rng, extra))
        case "BRANCH":
            return "".join(_made(rng.choice(value[1]), rng, extra))
        case _:  # anchors and looks ahead take no room; the caller checks the whole
            return ""


def _members(parts: Any) -> str:
    allowed: list[str] = []
    forbidden: set[str] = set()
    negated = False
    for kind, value in parts:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                (forbidden.add if negated else allowed.append)(chr(value))
            case "RANGE":
                letters = [chr(code) for code in range(value[0], min(value[1], value[0] + 200) + 1)]
                (forbidden.update if negated else allowed.extend)(letters)
            case "CATEGORY":
                (forbidden.update if negated else allowed.extend)(_CATEGORIES[str(value)])
    if negated:
        allowed = [letter for letter in _WORDS + " -_.,!" if letter not in forbidden]
    return "".join(allowed)
