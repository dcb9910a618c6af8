"""The target's clock, moved around one request where the target runs in this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta


class Clock:
    """Moves the Python clock of this process (`time`, `datetime`), never the monotonic one.

    Neither SQL `now()` nor the clock of another process moves: the clock control of a check decides
    whether the target saw the move (checklist §1.3 CC). `movable` is false for targets behind a URL.
    """

    def __init__(self, *, movable: bool) -> None:
        self.movable = movable

    @contextlib.contextmanager
    def moved(self, seconds: float) -> Iterator[None]:
        """Shift the clock by `seconds` while the block runs. Process-wide: only for exclusive checks."""
        if not seconds:
            yield
            return
        if not self.movable:
            raise RuntimeError("the clock of this target cannot be moved")
        import time_machine  # noqa: PLC0415 - patches on import; a black-box run never needs it

        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True):
            yield

    @staticmethod
    def now() -> float:
        """Seconds since the epoch, unmoved."""
        return time.time()
