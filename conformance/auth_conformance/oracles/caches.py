"""Whether a cache answered in the application's place: such a reply says nothing about the application."""

from __future__ import annotations

from typing import Protocol


class Headed(Protocol):
    """Anything that has headers: a reply as received, or as recorded."""

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case; None without one."""
        ...


def by_cache(reply: Headed) -> bool:
    """Whether a cache made this reply: `Age` is there (RFC 9111 §5.1), or a cache reports a hit (RFC 9211 §2.1).

    `X-Cache` is nobody's standard, and what most shared caches say of a hit all the same.
    """
    if reply.header("age") is not None:
        return True
    statuses = (reply.header("cache-status") or "").lower().split(",")
    if any("hit" in (part.strip() for part in status.split(";")[1:]) for status in statuses):
        return True
    return (reply.header("x-cache") or "").strip().lower().startswith("hit")
