"""An event loop that ends: an application's tasks may refuse to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

# What threads are called that work for a loop and may be left behind when it ends.
BESIDE = "auth-conformance-beside"

# A task that swallows one cancellation, such as a driver that closes its connection after it, is cancelled again.
_TIMES = 5
# How long each cancellation may take to be obeyed, in seconds.
_PATIENCE = 1.0
# How long the threads of what was cancelled have to hand in their answers while the loop still takes them, in seconds.
_LAST_ANSWERS = 0.2


def run_to_end(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on a loop of its own, as `asyncio.run` does, and return what it returns or raise what it raises.

    `asyncio.run` cancels once what is left over and waits for it without end. Here what is left over is cancelled
    up to five times. A runner that ends the job (SIGTERM) interrupts as Ctrl-C does, even where the shell that
    started it in the background lets it ignore Ctrl-C.
    """
    terminated: list[bool] = []

    async def bounded() -> Result:
        _heed_termination(terminated)
        try:
            return await main
        except asyncio.CancelledError:
            if terminated:
                raise KeyboardInterrupt from None
            raise
        finally:
            own = asyncio.current_task()
            left = {task for task in asyncio.all_tasks() if task is not own}
            if left:
                await _end(left)
                await _let_go()

    return asyncio.run(bounded())


def _heed_termination(told: list[bool]) -> None:
    """Let SIGTERM cancel this task, and be `told` of it. Where signals cannot be handled nothing changes."""
    own = asyncio.current_task()

    def end() -> None:
        told.append(True)
        if own is not None:
            own.cancel()

    # Only the main thread hears signals, and not on every system.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)


async def _let_go() -> None:
    """Close what cancelled tasks held, such as a database connection with its lock and its thread, in time.

    A thread that answers a closed loop dies with a traceback in the user's terminal.
    """
    gc.collect()
    await asyncio.sleep(_LAST_ANSWERS)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for _ in range(_TIMES):
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        done, tasks = await asyncio.wait(tasks, timeout=_PATIENCE)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at: whatever it was, nobody waits for it


def wait_for_those_left(seconds: float) -> bool:
    """Wait, so long at most, for the threads that were left behind, and return whether all have ended.

    Two that parse source at once disturb each other: up to CPython 3.11.7 one of them gets a SystemError then
    (python/cpython#106905), and it may be anybody's: pytest parses what it imports, and so do its other plugins when
    a session ends.
    """
    end = time.monotonic() + seconds
    left = [
        thread
        for thread in threading.enumerate()
        if thread.name == BESIDE and thread is not threading.current_thread()
    ]
    for thread in left:
        thread.join(max(0.0, end - time.monotonic()))
    return not any(thread.is_alive() for thread in left)
