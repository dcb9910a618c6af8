"""TOML as people read it: one key per line, each with the reason behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Line = tuple[str, Any, str]


def table(name: str, lines: Sequence[Line]) -> str:
    """A table, its name with its brackets; "" for the keys before all tables."""
    head = f"{name}\n" if name else ""
    return head + "".join(f"{key} = {inline(value)}  # {_comment(why)}\n" for key, value, why in lines)


def _comment(text: str) -> str:
    """On one line, without the control characters that TOML forbids there: targets are quoted in comments."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


def inline(value: Any) -> str:
    """A value on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            inner = ", ".join(
                f"{_key(str(key))} = {inline(item)}" for key, item in value.items() if item is not None
            )
            return "{ " + inner + " }" if inner else "{}"
        case list() | tuple():
            return "[" + ", ".join(inline(item) for item in value if item is not None) + "]"
        case _:
            return _text(str(value))


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _text(name)


def _text(text: str) -> str:
    """A TOML basic string: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char for char in escaped)
        + '"'
    )
