"""What an owner reads of something before and after: whether somebody else has changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.oracles.pointer import escape

# Larger objects are compared in their first members only.
_MOST = 2000


def flattened(document: Any) -> dict[str, object]:
    """Every plain value in `document` by JSON pointer, breadth first; empty containers as their own value."""
    found: dict[str, object] = {}
    queue: list[tuple[str, Any]] = [("", document)]
    while queue and len(found) < _MOST:
        pointer, value = queue.pop(0)
        match value:
            case dict() if value:
                queue += [(f"{pointer}/{escape(str(key))}", item) for key, item in value.items()]
            case list() if value:
                queue += [(f"{pointer}/{index}", item) for index, item in enumerate(value)]
            case dict() | list():
                found[pointer] = "{}" if isinstance(value, dict) else "[]"
            case _:
                found[pointer] = value
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """An object as its owner knows it: its plain values, without those that change from one read to the next."""

    values: Mapping[str, object]
    restless: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, status: int | None, first: Any, second: Any) -> Standing:
        """What two reads agree on. `status` is the first one's: an object that is not there has no values."""
        if status is None or not 200 <= status < 300:
            return cls({})
        one, two = flattened(first), flattened(second)
        restless = {key for key in one.keys() | two.keys() if one.get(key) != two.get(key)}
        return cls({key: value for key, value in one.items() if key not in restless}, frozenset(restless))


def changed(before: Standing, status: int | None, now: Any) -> str | None:
    """How the object differs from what its owner knew, in words; None when it does not, or nothing was shown."""
    if status is not None and status in (404, 410):
        return f"its owner does not find it any more ({status})"
    if status is None or not 200 <= status < 300:
        return None
    values = flattened(now)
    for pointer, value in before.values.items():
        if values.get(pointer) != value:
            return f"its owner reads another value at {pointer or 'the top'}"
    added = [key for key in values if key not in before.values and key not in before.restless]
    return f"its owner reads something new at {added[0]}" if added else None
