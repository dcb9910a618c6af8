"""Calls of an application in this process whose client has left: they go on, as they do behind a server."""

from __future__ import annotations

import asyncio
from typing import Any

# How long a call that nobody waits for may go on, in seconds: longer than drivers and pools wait for anything.
GRACE = 40.0
# How long the last ones may go on when the run is over, in seconds.
LAST = 2.0


class Stragglers:
    """Tasks that outlive their client, and end by themselves or after a grace.

    No server cancels a handler because its client went away: the handler is told (`http.disconnect`). A handler
    that is cancelled amid a transaction can leave its database locked, and everything after it would be judged
    on an application that this suite has broken.
    """

    def __init__(self) -> None:
        self._left: dict[asyncio.Task[Any], asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._left)

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Let `task` go on for at most GRACE seconds, then cancel it."""
        if task.done():
            return
        loop = asyncio.get_running_loop()
        self._left[task] = loop.call_later(GRACE, task.cancel)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[Any]) -> None:
        self._left.pop(task).cancel()
        looked_at(task)

    async def close(self) -> None:
        """Wait LAST seconds for those that are left, then cancel them."""
        if self._left:
            await asyncio.wait(set(self._left), timeout=LAST)
        for task in tuple(self._left):
            task.cancel()


def looked_at(task: asyncio.Task[Any]) -> None:
    """Take what a task raised, so that nobody is told that it was never retrieved."""
    if not task.cancelled():
        task.exception()
