"""The parts of an API key: what may be shown of it, and how much chance is in the rest."""

from __future__ import annotations

import math
import string
from collections.abc import Collection, Iterable, Sequence

SEPARATORS = "_-.:"
# A text in a list that is this long and begins the key is its public part, not chance.
SHORTEST = 4
_STARTS = 4
_ALPHABETS = (
    string.digits,
    string.digits + "abcdef",
    string.digits + "ABCDEF",
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.ascii_lowercase + "234567",
    string.ascii_uppercase + "234567",
    string.ascii_lowercase + string.digits,
    string.ascii_uppercase + string.digits,
    string.ascii_letters,
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + "+/=_-",
)


def public_start(key: str) -> str:
    """Return what looks public: up to the last separator that leaves the longer half; "" without one.

    A guess: a separator may stand in the secret part by chance.
    """
    cuts = [
        index + 1 for index, character in enumerate(key) if character in SEPARATORS and index < len(key) / 2
    ]
    return key[: max(cuts, default=0)]


def public_starts(key: str) -> list[str]:
    """Every beginning of a key that may be its public part, shortest first; at most four.

    Random secrets have separators of their own: which one ends the public part, one key does not tell.
    """
    cuts = [index + 1 for index, mark in enumerate(key) if mark in SEPARATORS and index < len(key) / 2]
    return [key[:cut] for cut in cuts[:_STARTS]]


def shown_parts(key: str, shown: Iterable[str]) -> list[str]:
    """Return what `shown` holds of the beginning of `key`, longest first."""
    parts = {text for text in shown if SHORTEST <= len(text) < len(key) and key.startswith(text)}
    return sorted(parts, key=len, reverse=True)


def common_start(texts: Sequence[str]) -> str:
    """Return the characters that all texts begin with."""
    first, last = min(texts), max(texts)
    length = next(
        (index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    return first[:length]


def secret_bits(keys: Sequence[str], public: int = 0) -> float:
    """Estimate from above how many random bits keys carry after their first `public` characters.

    By what varies, and over which alphabet: too low means guessable; high enough proves nothing about the
    generator.
    """
    fixed = len(common_start(keys)) if len(keys) > 1 else 0
    rest = [key[max(fixed, public) :] for key in keys]
    seen = set("".join(rest)) - set(SEPARATORS)
    return min((len(text) for text in rest), default=0) * math.log2(alphabet_size(seen))


def alphabet_size(seen: Collection[str]) -> int:
    """Return how many characters the smallest usual alphabet has that holds all of these."""
    return next((len(letters) for letters in _ALPHABETS if set(seen) <= set(letters)), 94)
