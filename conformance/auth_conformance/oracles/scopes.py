"""What a login or refresh reply says that its token may do."""

from __future__ import annotations

from typing import Any

# RFC 6749 §5.1 and RFC 8693 §4.2 say `scope`; `scopes` is FastAPI's tutorial, `scp` Microsoft's and Okta's.
MEMBERS = ("scope", "scopes", "scp")


def scopes_of(*places: Any) -> frozenset[str]:
    """Return the scopes that the first of the JSON objects names: reply, then claims. Empty when none does."""
    for place in places:
        for name in MEMBERS if isinstance(place, dict) else ():
            value = place.get(name)
            words = value.split() if isinstance(value, str) else value
            if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
                return frozenset(words)
    return frozenset()
