"""Which operations a document says are for administrators, by the words it uses about them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources

_ASIDE = re.compile(r"[(\[]([^()\[\]]{1,60})[)\]]")
_WORD = re.compile(r"[A-Z]?[a-zß-öø-ÿ]+|[A-Z]+(?![a-z])|\d+")


@cache
def access_words(name: str) -> tuple[str, ...]:
    """One list of `data/access_words.toml`, in its order. Raises KeyError for a list that does not exist."""
    text = resources.files("auth_conformance").joinpath("data", "access_words.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)[name])


@cache
def _reserved() -> re.Pattern[str]:
    only, between = ("|".join(map(re.escape, access_words(name))) for name in ("only", "between"))
    return re.compile(
        rf"\b(?:{only})\b\W+(?:(?:{between})\W+){{0,2}}(\w+)|\b(\w+)\W+(?:role\W+)?only\b", re.IGNORECASE
    )


def role_word(texts: Iterable[str]) -> str | None:
    """Return the first word in the texts that names a role above ordinary users; None when none does."""
    above = access_words("above")
    for text in texts:
        for found in _WORD.finditer(text):
            word = found[0].lower()
            if word in above:
                return word
    return None


def reserved_for(summary: str) -> str | None:
    """The role that a summary reserves its operation for: `List accounts (admin)`, `Administrators only: …`."""
    said = [
        *_ASIDE.findall(summary),
        *(word for pair in _reserved().findall(summary) for word in pair if word),
    ]
    return role_word(said)
