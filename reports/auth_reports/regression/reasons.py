"""Why a finding has no test of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import INSIDE

if TYPE_CHECKING:
    from auth_conformance.model import Finding


def without_attack(finding: Finding) -> str:
    """Nothing was sent, or no single reply is the flaw."""
    if not finding.evidence:
        return "no request shows it: it stands in the source or at rest, or it is something that is missing"
    return (
        "no single reply is the flaw, but what many replies have in common, how they are spread, what the "
        "service did besides, or what its description says of them"
    )


def answered(status: int | None) -> str:
    """The reply looks sound, and the flaw is in what it did."""
    return f"its own reply ({status}) looks like that of a sound service; what is wrong was seen elsewhere"


def special(what: str) -> str:
    """The run did what a client outside cannot: it moved the service's clock, or wrote the bytes itself."""
    if what.startswith("clock"):
        return f"it needs the service's own clock moved ({what})"
    if what.startswith(INSIDE):
        return (
            f"it needs something arranged in the service's own process ({what.removeprefix(INSIDE).strip()})"
        )
    return f"it needs bytes or a process of its own that a plain HTTP client cannot give ({what})"


def lost(segment: str) -> str:
    """It acts on something whose id no step before tells."""
    return f"it acts on {segment}, and how that came into being is not in the evidence"


def unsaid(number: int) -> str:
    """Nothing in a reply that a client could look at tells the flaw."""
    return f"what must be answered to request {number} cannot be said: its secrets are left out, or other parts differ"


# A secret that does not follow from a live credential by cutting, joining or signing with the service's key.
UNMADE = (
    "what it sends takes more than a live credential and the service's key: another user's token or name, a part of "
    "a signature that differs each time, or a text that the report does not show"
)
WEBSOCKET = "httpx opens no WebSocket"
ENDED = "the evidence does not hold what ended the credential that is refused in it"
HONEST = "what it sends is what an honest client sends; the flaw is how the attacker came to it"
