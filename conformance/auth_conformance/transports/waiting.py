"""How long a check may work: what it waits for somebody else's limit is counted apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar


class Deadline:
    """An end that moves away while somebody waits for a limit (`Retry-After`, the pace of the run).

    What several checks share is made under a deadline of its own, which has no end; those who wait for it follow it.
    """

    def __init__(self, timeout: asyncio.Timeout | None = None) -> None:
        self._timeout = timeout
        self._waiting = 0
        self._since = 0.0
        self._left: float | None = None
        self._followers: list[Deadline] = []
        self.waited = 0.0

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._timeout is not None and self._timeout.expired()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The clock stands still within it: here and for those who follow."""
        self.pause()
        try:
            yield
        finally:
            self.go_on()

    @contextlib.contextmanager
    def followed_by(self, other: Deadline | None) -> Iterator[None]:
        """Within it `other` stands still whenever this one does."""
        if other is None or other is self:
            yield
            return
        self._followers.append(other)
        if self._waiting:
            other.pause()
        try:
            yield
        finally:
            self._followers.remove(other)
            if self._waiting:
                other.go_on()

    def pause(self) -> None:
        """Stop the clock, until `go_on` was called as often."""
        self._waiting += 1
        if self._waiting > 1:
            return
        now = self._since = asyncio.get_running_loop().time()
        end = self._timeout.when() if self._timeout is not None else None
        self._left = None if end is None else end - now
        self._move(None)
        for follower in self._followers:
            follower.pause()

    def go_on(self) -> None:
        """Let the clock go on, where nobody waits any more."""
        self._waiting -= 1
        if self._waiting:
            return
        now = asyncio.get_running_loop().time()
        self.waited += now - self._since
        if self._left is not None:
            self._move(now + self._left)
        for follower in self._followers:
            follower.go_on()

    def _move(self, end: float | None) -> None:
        if self._timeout is not None:
            with contextlib.suppress(RuntimeError):  # it is over: nothing is left to move
                self._timeout.reschedule(end)


# Whose time runs.
DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextlib.asynccontextmanager
async def within(seconds: float) -> AsyncIterator[Deadline]:
    """So many seconds for what stands in it, besides its waiting. Raises TimeoutError, as `asyncio.timeout` does."""
    async with asyncio.timeout(seconds) as timeout:
        deadline = Deadline(timeout)
        token = DEADLINE.set(deadline)
        try:
            yield deadline
        finally:
            DEADLINE.reset(token)


def waiting() -> contextlib.AbstractContextManager[None]:
    """What is awaited within it counts against nobody's deadline."""
    deadline = DEADLINE.get()
    return contextlib.nullcontext() if deadline is None else deadline.paused()
