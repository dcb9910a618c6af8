"""How an altered credential follows from a live one: the recipe that a regression test repeats.

A recipe never holds enough to rebuild a secret: of the live credential it names places only, and a payload
is never written out (it would expire, too).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from auth_conformance.model import Derivation

# A literal longer than this could be a credential of its own (tokens in three parts have their own rule).
_LITERAL = 12
# Below so many characters in common, a likeness is chance.
_COMMON = 8


def digest_of(text: str) -> str:
    """The digest under which evidence shows `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def derive(text: str, live: Sequence[str]) -> Derivation | None:
    """The recipe for `text` from one of the `live` credentials, youngest first; None when there is none."""
    # A run learns thousands of credentials, and some attacks send a megabyte: what cannot be is said at a glance.
    size, payload = len(text), _payload(text)
    for base in reversed(live):
        if base.count(".") == 2:
            found = _by_parts(text, base) if payload is not None and payload in base else None
        else:
            near = len(base) // 2 <= size <= len(base) + _LITERAL
            found = _by_range(text, base) if near else None
        if found is not None:
            return found
    return None


def _payload(text: str) -> str | None:
    """The second part of a token with its dots, which every recipe by parts keeps; None for what is no token."""
    parts = text.split(".", 3)
    return f".{parts[1]}." if 2 <= len(parts) <= 3 else None


def _by_parts(text: str, base: str) -> Derivation | None:
    old, new = base.split("."), text.split(".")
    if len(old) != 3 or not 2 <= len(new) <= 3 or not base.startswith("ey") or text == base:
        return None
    before, whole, after = text.partition(base)
    if whole:
        # The token as it stands, with something around it: a scheme, quotation marks.
        if max(len(before), len(after)) > _LITERAL:
            return None
        pieces = tuple(piece for piece in (before, (0, 3), after) if piece)
        return Derivation(digest_of(text), digest_of(base), pieces, parts=True)
    if any(part != old[index] and old[index] in part for index, part in enumerate(new) if old[index]):
        return None  # what surrounds a part would spell it out
    kept = [part == old[index] and bool(part) for index, part in enumerate(new)]
    if not kept[1]:
        return None
    written: list[str | tuple[int, int]] = []
    for index, part in enumerate(new):
        if index:
            written.append(".")
        written.append((index, index + 1) if kept[index] else part)
    return Derivation(digest_of(text), digest_of(base), tuple(written), parts=True)


def _by_range(text: str, base: str) -> Derivation | None:
    head = _agreement(text, base)
    tail = _agreement(text[::-1], base[::-1])
    tail = min(tail, len(text) - head, len(base) - head)
    middle = text[head : len(text) - tail]
    if head + tail < max(_COMMON, len(base) // 2) or len(middle) > _LITERAL:
        return None
    pieces = (((0, head),) if head else ()) + ((middle,) if middle else ())
    pieces += ((len(base) - tail, len(base)),) if tail else ()
    return Derivation(digest_of(text), digest_of(base), pieces)


def _agreement(one: str, other: str) -> int:
    """How many characters the two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
