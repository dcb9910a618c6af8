"""What a browser lets a page of another origin do, by the Fetch standard (CORS check, preflight)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

# Methods and headers that need no permission in a preflight answer (Fetch §2.2.1, §2.2.2).
_SIMPLE_METHODS = {"GET", "HEAD", "POST"}
_TRACES = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
)


class Answered(Protocol):
    """A reply with a status and headers: raw, or as evidence shows it."""

    @property
    def status(self) -> int | None:
        """The status; None when no reply came."""

    def header_lines(self, name: str) -> tuple[str, ...]:
        """All headers of that name."""
        ...


def may_read(origin: str, reply: Answered, *, credentials: bool) -> bool:
    """Whether a page of `origin` may read `reply` to a request sent with or without credentials.

    The CORS check (Fetch §4.9): bytes are compared, several headers are one with commas in it, and so match
    nothing.
    """
    lines = reply.header_lines("access-control-allow-origin")
    if reply.status is None or not lines:
        return False
    allowed = ", ".join(line.strip(" \t") for line in lines)
    if not credentials and allowed == "*":
        return True
    if allowed != origin:
        return False
    return not credentials or _joined(reply, "access-control-allow-credentials") == "true"


def may_send(
    origin: str, preflight: Answered, method: str, headers: Iterable[str], *, credentials: bool
) -> bool:
    """Whether a page of `origin` may send a request that needs a preflight (Fetch §4.8, from step 7)."""
    status = preflight.status or 0
    if not may_read(origin, preflight, credentials=credentials) or not 200 <= status < 300:
        return False
    methods = set(_listed(preflight, "access-control-allow-methods"))
    names = {name.lower() for name in _listed(preflight, "access-control-allow-headers")}
    any_method = "*" in methods and not credentials
    if method not in methods and method not in _SIMPLE_METHODS and not any_method:
        return False
    for name in (name.lower() for name in headers):
        # A wildcard never covers Authorization (Fetch, CORS non-wildcard request-header name).
        wild = "*" in names and not credentials and name != "authorization"
        if name not in names and not wild:
            return False
    return True


def speaks_cors(reply: Answered) -> bool:
    """Whether the reply shows that something decides about origins here."""
    varies = any("origin" in line.lower() for line in reply.header_lines("vary"))
    return varies or any(reply.header_lines(name) for name in _TRACES)


def _joined(reply: Answered, name: str) -> str:
    return ", ".join(line.strip(" \t") for line in reply.header_lines(name))


def _listed(reply: Answered, name: str) -> list[str]:
    return [item.strip() for item in _joined(reply, name).split(",") if item.strip()]
