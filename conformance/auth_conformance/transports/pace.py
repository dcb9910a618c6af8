"""How fast a run may ask: as configured, or as a service that limits everybody's requests has taught it."""

from __future__ import annotations

import asyncio
import time

# Seconds between two requests: the first guess where no rate is configured, and the slowest that is tried.
_FIRST, _SLOWEST = 0.05, 0.5
_SLOWER = 1.6
# A limit that is met this soon after a flood of ours says nothing about the pace, in seconds.
_AFTER_RUSH = 2.0


class Pace:
    """Spaces requests out. `rate` is requests per second (None: no limit, until the service shows one)."""

    def __init__(self, rate: float | None = None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self._held = 0.0
        self._rushed = -_AFTER_RUSH

    @property
    def learned(self) -> float:
        """Seconds between two requests now."""
        return self._interval

    async def turn(self) -> None:
        """Wait until the next request may leave."""
        now = time.monotonic()
        if not self._interval and now >= self._held:
            return
        start = max(now, self._next, self._held)
        self._next = start + self._interval
        if start > now:
            await asyncio.sleep(start - now)

    def rushed(self) -> None:
        """Note a request that was meant to meet a limit."""
        self._rushed = time.monotonic()

    def hold(self, seconds: float) -> float:
        """Let nothing leave for so long (RFC 9110 §10.2.3), and less per second afterwards; returns what this adds.

        Many requests may be under way when a limit is met: the first refusal slows the run down, not each of them.
        """
        now = time.monotonic()
        fresh = now >= self._held
        if fresh and now - self._rushed >= _AFTER_RUSH:
            self._interval = max(self._interval, min(max(self._interval * _SLOWER, _FIRST), _SLOWEST))
        until = max(self._held, now + seconds)
        added = until - max(self._held, now)
        self._held = until

        return added
