"""From the threads of the search engines to the loop on which all requests are sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar

from auth_conformance.transports.recorder import BudgetExceededError

T = TypeVar("T")


class HaltedError(Exception):
    """The search is over: its time or its requests are used up, or somebody pressed Ctrl-C."""


@dataclass(slots=True)
class Bridge:
    """One search: its loop, and when it ends. `why` says why it ended early; "" when it did not."""

    loop: asyncio.AbstractEventLoop
    deadline: float
    began: float = field(default_factory=time.monotonic)
    halted: Event = field(default_factory=Event)
    why: str = ""
    over: bool = False

    @property
    def spent(self) -> bool:
        """Whether nothing more may be sent."""
        if not self.halted.is_set() and time.monotonic() >= self.deadline:
            self.halt("its time was used up")
        return self.halted.is_set()

    def halt(self, why: str) -> None:
        """End the search: what is under way finishes, nothing more begins."""
        self.why = self.why or why
        self.halted.set()

    def end(self) -> None:
        """End the search for good."""
        self.over = True
        self.halt("the part has ended")

    def resume(self, deadline: float) -> None:
        """Go on until `deadline`, unless the search was ended from outside."""
        self.deadline = deadline
        if not self.over:
            self.halted.clear()
            self.why = ""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the loop and wait for it. Raises HaltedError when the search is over."""
        if self.spent:
            work.close()
            raise HaltedError(self.why)
        try:
            return asyncio.run_coroutine_threadsafe(work, self.loop).result()
        except BudgetExceededError as error:
            self.halt(str(error))
            raise HaltedError(str(error)) from None
