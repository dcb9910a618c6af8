"""JSON pointers (RFC 6901), the language in which facts about bodies are written down."""

from __future__ import annotations

from typing import Any


def resolve(document: Any, pointer: str) -> Any:
    """The value at `pointer` such as `/data/0/token`; None when there is nothing. "" is the document."""
    value = document
    for part in _parts(pointer):
        match value:
            case dict():
                value = value.get(part)
            case list() if part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            case _:
                return None
    return value


def put(document: dict[str, Any], pointer: str, value: object) -> dict[str, Any]:
    """A copy of `document` with `value` at `pointer`; a plain member name is a pointer of one part."""
    parts = _parts(pointer) if pointer.startswith("/") else [pointer]
    copy = dict(document)
    place = copy
    for part in parts[:-1]:
        inner = place.get(part)
        place[part] = dict(inner) if isinstance(inner, dict) else {}
        place = place[part]
    place[parts[-1]] = value
    return copy


def put_alike(document: dict[str, Any], pointer: str, text: str, like: Any) -> dict[str, Any]:
    """`put`, as a number where `like` has one at the pointer and the text is one: ids travel as texts."""
    number = isinstance(resolve(like, pointer), int) and text.isdecimal()
    return put(document, pointer, int(text) if number else text)


def put_beside(document: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    """A copy of `document` with `members` beside its own: within what wraps all of them, as in `{"user": {…}}`."""
    inner = next(iter(document.values()), None) if len(document) == 1 else None
    if isinstance(inner, dict):
        return {name: put_beside(inner, members) for name in document}
    return {**document, **members}


def strings(document: Any, limit: int = 2000) -> dict[str, str | int]:
    """Every text and integer in `document` by pointer, breadth first, at most `limit` of them."""
    found: dict[str, str | int] = {}
    queue: list[tuple[str, Any]] = [("", document)]
    while queue and len(found) < limit:
        pointer, value = queue.pop(0)
        match value:
            case dict():
                queue += [(f"{pointer}/{escape(str(key))}", item) for key, item in value.items()]
            case list():
                queue += [(f"{pointer}/{index}", item) for index, item in enumerate(value)]
            case bool():
                pass
            case str() | int():
                found[pointer] = value
            case _:
                pass
    return found


def escape(part: str) -> str:
    """A member name as one part of a pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def _parts(pointer: str) -> list[str]:
    if not pointer:
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/")]
