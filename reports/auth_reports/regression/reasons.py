"""Why a finding has no test of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_conformance.model import Finding


def without_attack(finding: Finding) -> str:
    """Nothing was sent, or no single reply is the flaw."""
    if not finding.evidence:
        return "it stands in the source or at rest, and no request shows it"
    return (
        "no single reply is the flaw, but what many replies have in common, how they are spread, or what the "
        "service did besides"
    )


def answered(status: int | None) -> str:
    """The reply looks sound, and the flaw is in what it did."""
    return f"its own reply ({status}) looks like that of a sound service; what is wrong was seen elsewhere"


def special(what: str) -> str:
    """The run did what a client outside cannot: it moved the service's clock, or wrote the bytes itself."""
    if what.startswith("clock"):
        return f"it needs the service's own clock moved ({what})"
    return f"it needs bytes or a process of its own that a plain HTTP client cannot give ({what})"


def unmade(label: str) -> str:
    """A secret that does not follow from a live credential by cutting, joining or signing with the service's key."""
    return (
        f"what it sends ({label}) takes more than a live credential and the service's key: a key of the attacker's "
        "own, another user's token or name, a part of a signature that differs each time, or a text that the "
        "report does not show"
    )


WEBSOCKET = "httpx opens no WebSocket"
ENDED = "the evidence does not hold what ended the credential that is refused in it"
