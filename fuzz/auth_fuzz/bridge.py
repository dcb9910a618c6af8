"""From the threads of the search engines to the loop on which all requests are sent."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Any, TypeVar

from auth_conformance.loop import BESIDE
from auth_conformance.transports.recorder import BudgetExceededError

T = TypeVar("T")

# A search that was broken off has so long to hand over what it knows, in seconds.
GRACE = 2.0


class HaltedError(Exception):
    """The search is over: its time or its requests are used up, or somebody pressed Ctrl-C."""


class OverError(BaseException):
    """As HaltedError, for inside Hypothesis: that takes every Exception for a failure, and goes on."""


@dataclass(slots=True)
class Bridge:
    """One search: its loop, and when it ends. `why` says why it ended early; "" when it did not.

    What ends a search is `quota`, the number that `sent` has by then; `deadline`, on the monotonic clock, is for
    services and machines that are too slow for it.
    """

    loop: asyncio.AbstractEventLoop
    deadline: float
    sent: Callable[[], int] = lambda: 0
    quota: int = sys.maxsize
    began: float = field(default_factory=time.monotonic)
    halted: Event = field(default_factory=Event)
    why: str = ""
    over: bool = False
    _waits_for: concurrent.futures.Future[Any] | None = None

    @property
    def spent(self) -> bool:
        """Whether nothing more may be sent."""
        if not self.halted.is_set() and time.monotonic() >= self.deadline:
            self.halt("its time was used up")
        if not self.halted.is_set() and self.left <= 0:
            self.halt("its requests were used up")
        return self.halted.is_set()

    @property
    def left(self) -> int:
        """How many requests may still be sent."""
        return self.quota - self.sent()

    def shorten(self, seconds: float, requests: int) -> None:
        """Let the search go on for no longer than this."""
        self.deadline = min(self.deadline, time.monotonic() + seconds)
        self.quota = min(self.quota, self.sent() + requests)

    def halt(self, why: str) -> None:
        """End the search: what is under way finishes, nothing more begins."""
        self.why = self.why or why
        self.halted.set()

    def end(self) -> None:
        """End the search for good, and with it the request that is under way."""
        self.over = True
        self.halt("the part has ended")
        if self._waits_for is not None:
            self._waits_for.cancel()

    def resume(self, deadline: float, requests: int) -> None:
        """Go on until `deadline` for so many requests, unless the search was ended from outside."""
        self.deadline, self.quota = deadline, self.sent() + requests
        if not self.over:
            self.halted.clear()
            self.why = ""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the loop and wait for it. Raises HaltedError when the search is over."""
        if self.spent:
            work.close()
            raise HaltedError(self.why)
        self._waits_for = waits_for = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            if self.over:
                waits_for.cancel()  # it was ended in this very moment
            return waits_for.result()
        except concurrent.futures.CancelledError:
            raise HaltedError(self.why) from None
        except BudgetExceededError as error:
            self.halt(str(error))
            raise HaltedError(str(error)) from None
        finally:
            self._waits_for = None


async def in_thread(work: Callable[[], T], bridge: Bridge | None = None) -> T:
    """Do `work`, which blocks, in a thread of its own, and return what it returns or raise what it raises.

    When the task is cancelled, the search behind `bridge` is ended and has two seconds to come to its end.
    A thread that takes longer is left behind: the pool of the loop would wait for it, and with it whoever pressed
    Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, if nobody waits

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it must reach the task that waits
            tell = partial(future.set_exception, error)
        else:
            tell = partial(future.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    context = contextvars.copy_context()
    Thread(target=context.run, args=(run,), name=BESIDE, daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if bridge is not None:
            bridge.end()
        await asyncio.wait({future}, timeout=GRACE)
        raise
