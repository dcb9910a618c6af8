"""What an error gives away about the inside: signs from a table, and secrets that nobody had sent."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from auth_conformance.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

# Longer bodies are pages, and their beginning says what they are.
_READ = 60_000
_VERSION = re.compile(r"\d+\.\d+")
_TELLING = ("server", "x-powered-by", "x-aspnet-version", "x-generator", "via")


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that belongs inside, and how one knows it."""

    what: str
    severity: Severity
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Revealed:
    """A sign that was found: what it is, and the text that matched, cut."""

    what: str
    severity: Severity
    text: str


@cache
def signs() -> tuple[Sign, ...]:
    """Read every sign of `data/internals.toml`."""
    text = resources.files("auth_conformance").joinpath("data", "internals.toml").read_text("utf-8")
    return tuple(
        Sign(entry["what"], Severity(entry["severity"]), re.compile(entry["pattern"], re.DOTALL))
        for entry in tomllib.loads(text)["sign"]
    )


def revealed(body: str, said: Iterable[str] = ()) -> list[Revealed]:
    """Everything that `body` gives away, gravest first; `said` is what the caller had sent."""
    text = body[:_READ]
    own = [part for part in said if part]
    found = []
    for sign in signs():
        match = next((hit for hit in sign.pattern.finditer(text) if not _is_echo(hit[0], own)), None)
        if match is not None:
            found.append(Revealed(sign.what, sign.severity, " ".join(match[0].split())[:80]))
    return sorted(found, key=lambda item: -item.severity.rank)


def versions(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Headers that name a product with its version."""
    return [
        f"{name}: {value[:60]}"
        for name, value in headers
        if name.lower() in _TELLING and _VERSION.search(value)
    ]


def _is_echo(text: str, own: Iterable[str]) -> bool:
    return any(text in part for part in own)
