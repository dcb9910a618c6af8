"""What stays of a body when the parts that change on every call are taken out.

Real services put request ids, times and random ids into their answers (error bodies included); two answers
are compared only after `masked`.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

# A target is hostile input: each pattern reads a text once, whatever stands in it. Hence the possessive `++` (not after
# a group: Python before 3.11.5 has no match then), and runs
# of word characters and hyphens that are taken from their beginning only.
_JWT = re.compile(r"(?<![\w-])((?:(?!eyJ)[\w-])*)eyJ[\w-]{4,}+\.[\w-]*+\.[\w-]*+")
# Patterns, not names of members: what a service calls its request id is its own business.
_VOLATILE = [
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "<time>"),
    (re.compile(r"\b1[5-9]\d{8}(?:\.\d+|\d{3})?\b"), "<time>"),
    # Half a digest is enough for the id of a request; now and then one of twelve has digits only.
    (re.compile(r"\b[0-9a-f]{12,}\b", re.IGNORECASE), "<hex>"),
    # The nonce of a script or a style is another one in each page (CSP3 §2.3.1, base64 of either alphabet).
    (re.compile(r"""\bnonce=(["'])[\w+/-]{8,}={0,2}\1""", re.IGNORECASE), "nonce=<nonce>"),
]
_RUN = re.compile(r"[\w-]{20,}+")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[A-Za-z]")
_ID = 20
# Most answers of a run are short, and many are equal. Of long ones, only the last few are worth their memory.
_SHORT = 4_000

# Characters of the notation itself; a hostile member name must not pretend to be structure.
_STRUCTURAL = re.compile(r"[{}\[\],:]")

# What pages are made of; a page that is longer has shown it by then.
_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9-]{0,30})[\s/>]")
_FIELD = re.compile(r"<(?:input|select|textarea)\b[^>]{0,300}?\bname=[\"']?([\w.\[\]-]{1,60})")
_PAGE = 200_000


def masked(text: str, echoes: tuple[str, ...] = ()) -> str:
    """`text` with ids, times and tokens replaced, and every one of `echoes` (own input) too."""
    text = without_echoes(text, echoes, "<echo>")
    return _of_short(text) if len(text) <= _SHORT else _of_long(text)


def without_echoes(text: str, echoes: tuple[str, ...], instead: str = "") -> str:
    """`text` with every one of `echoes` (own input) replaced, the longest first: a name stands in its address, too."""
    for echo in sorted((echo for echo in echoes if echo), key=len, reverse=True):
        for spelled in _spellings(echo):
            text = text.replace(spelled, instead)
    return text


@lru_cache(maxsize=500)
def _spellings(echo: str) -> tuple[str, ...]:
    """How an answer repeats own input: as it is, in JSON, in HTML (each framework has its entities), in a URL."""
    escaped = html.escape(echo)
    raw = echo.encode("utf-8", "surrogatepass")
    found = (
        json.dumps(echo)[1:-1],
        escaped,
        escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        escaped.replace("&#x27;", "'"),
        quote(raw, safe=""),
        quote_plus(raw),
        echo,
    )
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def _masked(text: str) -> str:
    text = _JWT.sub(r"\1<jwt>", text)
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return _RUN.sub(_without_id, text)


_of_short = lru_cache(maxsize=2_000)(_masked)
_of_long = lru_cache(maxsize=4)(_masked)


def _without_id(run: re.Match[str]) -> str:
    """What stays of a run of word characters and hyphens: an id has digits and letters; hyphens before it stay."""
    found = run[0]
    word = found.lstrip("-")
    if len(word) < _ID or _DIGIT.search(word) is None or _LETTER.search(word) is None:
        return found
    return f"{found[: -len(word)]}<id>"


def digest(text: str, echoes: tuple[str, ...] = ()) -> str:
    """Sixteen hexadecimal digits that are equal for bodies that differ in volatile parts only."""
    return hashlib.sha256(masked(text, echoes).encode("utf-8", "replace")).hexdigest()[:16]


def shape(value: Any, depth: int = 3) -> str:
    """The structure of JSON data without its values: `{error:str,message:str}`; lists by first element."""
    match value:
        case dict():
            if depth == 0:
                return "{…}"
            inner = ",".join(
                f"{_STRUCTURAL.sub('_', key)}:{shape(value[key], depth - 1)}" for key in sorted(value)
            )
            return "{" + inner + "}"
        case list():
            return "[" + (shape(value[0], depth - 1) if value and depth else "") + "]"
        case bool():
            return "bool"
        case int() | float():
            return "num"
        case str():
            return "str"
        case _:
            return "null"


def page_shape(text: str) -> str:
    """What a page is made of, without its words: the kinds of elements and the names of its fields, sorted."""
    found = {name.lower() for name in _TAG.findall(text[:_PAGE])}
    found |= {f"{field}=" for field in _FIELD.findall(text[:_PAGE])}
    return f"<{' '.join(sorted(found))}>" if found else ""


def same_structure(one: str, other: str) -> bool:
    """Whether two shapes can be answers of one operation: lists fill and empty, objects keep their members."""
    if one.startswith("[") and other.startswith("["):
        return one == other or "[]" in (one, other) or members(one[1:-1]) == members(other[1:-1])
    if one.startswith("{") and other.startswith("{"):
        return members(one) == members(other)
    return one == other


def members(described: str) -> frozenset[str]:
    """The top-level member names in a `shape` text."""
    if not described.startswith("{"):
        return frozenset()
    names, level, start = set(), 0, 1
    for index, character in enumerate(described):
        if character in "{[":
            level += 1
        elif character in "}]":
            level -= 1
        elif character == "," and level == 1:
            start = index + 1
        if character == ":" and level == 1:
            names.add(described[start:index])
    return frozenset(names)
