"""Counts the password hashes that an application in this process computes, and how costly each is.

A count is exact where a stopwatch is not. Functions are replaced wherever a module holds them, because most code
imports them by name; what an application built into its own objects before is not seen, and then nothing is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

# Where the functions are at home, by module.
_HOMES = {
    "bcrypt": ("checkpw", "hashpw", "kdf"),
    "argon2.low_level": ("verify_secret", "hash_secret", "hash_secret_raw"),
    "hashlib": ("pbkdf2_hmac", "scrypt"),
    "passlib.utils.pbkdf2": ("pbkdf2",),
    "scrypt": ("hash",),
}
# Functions of one family differ in what they return, and not in what they cost.
_FAMILIES = {"bcrypt": "bcrypt", "argon2.low_level": "argon2"}
_ARGON2 = re.compile(r"m=(\d+),t=(\d+),p=(\d+)")
_ARGON2_ARGUMENTS = 3
# What names the cost: the beginning of an encoded hash, or whole numbers among the arguments.
_ENCODED = re.compile(r"\$(?:2[abxy]\$\d\d|argon2\w*\$(?:v=\d+\$)?[^$]*)")


@dataclass(slots=True)
class Derived:
    """What was computed: how often each function with each cost, and how often on an event loop."""

    counts: Counter[str] = field(default_factory=Counter)
    on_loop: int = 0

    def __str__(self) -> str:
        """Return it in one line."""
        listed = [f"{count} × {name}" for name, count in sorted(self.counts.items())]
        return ", ".join(listed) or "no password hash"


@contextlib.contextmanager
def counting() -> Iterator[Derived]:
    """Count until the block ends."""
    derived = Derived()
    replaced: list[tuple[Any, str, Any]] = []
    try:
        for original, counted in _replacements(derived):
            for module in list(sys.modules.values()):
                names = getattr(module, "__dict__", None)
                if not isinstance(names, dict) or module.__name__ == __name__:
                    continue
                for name in [key for key, value in list(names.items()) if value is original]:
                    replaced.append((module, name, original))
                    setattr(module, name, counted)
        yield derived
    finally:
        for module, name, original in replaced:
            setattr(module, name, original)


def _replacements(derived: Derived) -> Iterator[tuple[Any, Callable[..., Any]]]:
    for home, names in _HOMES.items():
        if home.partition(".")[0] not in sys.modules:
            continue
        try:
            module = importlib.import_module(home)
        except ImportError:
            continue
        for name in names:
            original = getattr(module, name, None)
            if callable(original):
                yield original, _counted(original, _FAMILIES.get(home, f"{home}.{name}"), derived)


def _counted(original: Callable[..., Any], name: str, derived: Derived) -> Callable[..., Any]:
    @functools.wraps(original)
    def counted(*args: Any, **named: Any) -> Any:
        # Hashing and verifying cost the same: services spend a hash where there is nothing to verify.
        derived.counts[f"{name}({_cost([*args, *named.values()])})"] += 1
        derived.on_loop += _on_loop()
        return original(*args, **named)

    return counted


def _on_loop() -> bool:
    """Whether this thread runs an event loop, which stands still for as long as a hash takes."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _cost(values: list[Any]) -> str:
    """The cost parameters among the arguments: never a password, a salt or a whole hash."""
    found: list[str] = []
    for (
        value
    ) in values:  # argon2 encodes memory, passes and lanes; its functions take passes, memory and lanes
        text = value.decode("ascii", "ignore") if isinstance(value, bytes) else value
        if isinstance(text, str) and (match := _ENCODED.match(text)):
            encoded = _ARGON2.search(match.group())
            found += [encoded[2], encoded[1], encoded[3]] if encoded else [match.group()]
        elif isinstance(value, int) and not isinstance(value, bool):
            found.append(str(int(value)))
    return " ".join(found[:_ARGON2_ARGUMENTS])
