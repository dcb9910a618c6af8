"""The marks that stand for secrets in evidence, and what else of a reply later requests repeat."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from auth_conformance.model import Exchange, Expectation

# What a label quotes.
_SAID = re.compile(r"'([^']{1,64})'")
# Expectations that speak of the answer alone, and not of who got in.
_OF_A_REFUSAL = frozenset({"header", "no header", "status", "no status", "members", "no text"})

MARK = re.compile(r"‹[^‹›\n]{0,2000}?sha256:([0-9a-f]{12})›")


def asked(exchange: Exchange) -> set[str]:
    """The secrets that a request needs."""
    request = exchange.request
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    return {digest for text in texts for digest in MARK.findall(text)} | {
        base for item in request.derived for base in item.bases
    }


def headers_of(exchange: Exchange) -> set[str]:
    """The secrets that a request presents in its headers."""
    return {digest for _, value in exchange.request.headers for digest in MARK.findall(value)}


def marks(exchange: Exchange) -> set[str]:
    """The secrets in a request and its reply."""
    return shown(exchange) | asked(exchange)


def shown(exchange: Exchange) -> set[str]:
    """The secrets in the reply alone."""
    texts = [exchange.reply.body, *(value for _, value in exchange.reply.headers)]
    return {digest for text in texts for digest in MARK.findall(text)}


def spoken(exchange: Exchange) -> dict[str, str]:
    """The secrets of a request that its label says in clear, by their digests: a common password is nobody's own."""
    said = {hashlib.sha256(text.encode()).hexdigest()[:12]: text for text in _SAID.findall(exchange.label)}
    return {digest: text for digest, text in said.items() if digest in asked(exchange)}


def in_a_refusal(attack: Exchange, expected: Expectation | None) -> bool:
    """Whether the flaw is in how the attack is refused: any made-up secret is refused like the one that was sent."""
    refused = 400 <= (attack.reply.status or 0) < 500
    return refused and expected is not None and expected.kind in _OF_A_REFUSAL


def quoted(text: str) -> str:
    """Redacted JSON as JSON again: a mark of a JWT holds quotation marks."""
    return MARK.sub(lambda match: f"‹sha256:{match[1]}›", text)


def read_json(text: str) -> Any:
    """Redacted JSON, read; None where it is none, or was cut."""
    try:
        return json.loads(quoted(text)) if text else None
    except ValueError:
        return None


def leaves(document: Any) -> Iterable[tuple[tuple[str | int, ...], Any]]:
    """The leaves of a JSON document with their paths, the outer ones first."""
    queue: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for _ in range(2000):
        if not queue:
            return
        path, value = queue.pop(0)
        if isinstance(value, dict):
            queue += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            queue += [((*path, index), inner) for index, inner in enumerate(value)]
        else:
            yield path, value


def ids_in(exchange: Exchange) -> dict[str, str]:
    """The ids in a request's path, by the path above each and the id: what a number names depends on where."""
    segments = urlsplit(exchange.request.url).path.split("/")
    slots = exchange.operation.partition(" ")[2].split("/")
    # The service may be mounted below a path of its own.
    before = len(segments) - len(slots)
    return {
        f"{'/'.join(segments[: before + index])} {segments[before + index]}": segments[before + index]
        for index, slot in enumerate(slots)
        if before >= 0 and slot.startswith("{") and segments[before + index]
    }


def names_of(text: str, run_id: str) -> list[str]:
    """The words that carry the run's id: names of accounts that it registered, or might have."""
    return [word for word in re.findall(r"[\w.+-]+", text) if run_id in word]


def made_up(text: str) -> bool:
    """Whether a part of a path looks drawn by chance: a UUID, or long with letters and digits."""
    return bool(re.fullmatch(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{12,64}", text))


def names_something(value: Any) -> bool:
    """Whether a value may be the id of something: a number, or a text of letters and digits without blanks."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return True
    return isinstance(value, str) and bool(re.fullmatch(r"(?=.*\d)[\w-]{8,64}", value))
