"""The target's clock, moved around one request where the target runs in this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime


class Clock:
    """Moves the Python clock of this process (`time`, `datetime`), never the monotonic one.

    Neither SQL `now()` nor the clock of another process moves: the clock control of a check decides
    whether the target saw the move (checklist §1.3 CC). `movable` is false for targets behind a URL.
    """

    def __init__(self, *, movable: bool) -> None:
        self.movable = movable
        # By how many seconds the target's clock is ahead of ours from now on, whatever `moved` adds to one request.
        self.ahead = 0.0
        # While one request has moved the clock, `time` tells another that goes out meanwhile the moved time.
        self._epoch = time.time() - time.monotonic()

    @contextlib.contextmanager
    def moved(self, seconds: float) -> Iterator[None]:
        """Shift the clock by `seconds` while the block runs. Process-wide: only for exclusive checks."""
        seconds += self.ahead
        if not seconds:
            yield
            return
        if not self.movable:
            raise RuntimeError("the clock of this target cannot be moved")
        import time_machine  # noqa: PLC0415 - patches on import; a black-box run never needs it

        with time_machine.travel(datetime.fromtimestamp(self._real() + seconds, UTC), tick=True):
            yield

    def now(self) -> float:
        """Seconds since the epoch, as the target tells them while nothing is moved."""
        return self._real() + self.ahead

    def _real(self) -> float:
        return self._epoch + time.monotonic()
