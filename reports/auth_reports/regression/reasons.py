"""Why a finding has no test of its own, and what tests it again instead."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_conformance.model import Finding, Run

# What decides which application the demo starts.
_SHAPES = frozenset({"--flaw", "--algorithm"})


def again(code: str, run: Run) -> str:
    """The command that tests one rule once more: the demo's application has no name to import it by."""
    if run.command.startswith("auth-conformance demo"):
        words = run.command.split()
        kept = [
            part
            for word, following in zip(words, [*words[1:], ""], strict=True)
            if word in _SHAPES
            for part in (word, following)
        ]
        return " ".join(["auth-conformance demo", *kept, f"--only {code}"])
    return f"auth-conformance run {shlex.quote(run.target.address)} --only {code}"


def without_attack(finding: Finding) -> str:
    """Nothing was sent, or no single reply is the flaw."""
    if not finding.evidence:
        return "it stands in the source or at rest, and no request shows it"
    return (
        "no single reply is the flaw, but what many replies have in common, how they are spread, or what the "
        "service did besides"
    )


def special(what: str) -> str:
    """The run did what a client outside cannot: it moved the service's clock, or wrote the bytes itself."""
    if what.startswith("clock"):
        return f"it needs the service's own clock moved ({what})"
    return f"it needs bytes or a process of its own that a plain HTTP client cannot give ({what})"


def unmade(label: str) -> str:
    """A forgery that does not follow from a live credential by cutting and joining."""
    return (
        f"its credential ({label}) is made anew, not cut from a live one: a test that made it would hold a key or "
        "the other user's token"
    )


WEBSOCKET = "httpx opens no WebSocket"
