"""A loop ends, whatever an application's tasks do with their cancellation."""

import asyncio
import os
import signal
import threading
import time

import pytest

from auth_conformance.loop import run_to_end


async def stubborn() -> None:
    """What aiosqlite does when its thread has gone: it swallows the cancellation and waits for an answer."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


async def leaves_one_behind(tasks: list[asyncio.Task[None]]) -> str:
    tasks.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(0)
    return "done"


def test_a_task_that_swallows_its_cancellation_is_cancelled_again() -> None:
    tasks: list[asyncio.Task[None]] = []
    started = time.monotonic()
    assert run_to_end(leaves_one_behind(tasks)) == "done"
    assert time.monotonic() - started < 5
    assert tasks[0].cancelled()


def test_what_is_raised_comes_out() -> None:
    async def fails() -> None:
        asyncio.get_running_loop().create_task(stubborn())
        await asyncio.sleep(0)
        raise LookupError("as it was")

    with pytest.raises(LookupError, match="as it was"):
        run_to_end(fails())


def test_the_thread_of_a_cancelled_task_still_finds_the_loop() -> None:
    answered: list[str] = []

    def late(loop: asyncio.AbstractEventLoop) -> None:
        time.sleep(0.05)
        loop.call_soon_threadsafe(answered.append, "in time")

    async def asks() -> None:
        threading.Thread(target=late, args=(asyncio.get_running_loop(),)).start()
        await asyncio.Event().wait()

    async def main() -> asyncio.Task[None]:
        left = asyncio.create_task(asks())
        await asyncio.sleep(0)
        return left

    assert run_to_end(main()).cancelled()
    assert answered == ["in time"]


def test_who_ends_the_job_interrupts_as_ctrl_c_does() -> None:
    told: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            told.append("what was decided by then")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_to_end(work())
    assert told == ["what was decided by then"]
