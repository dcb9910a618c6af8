"""An engine in a thread: pytest asks for one result after another while the checks run together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from auth_conformance.engine import opened, summary
from auth_conformance.loop import run_to_end, wait_for_those_left
from auth_conformance.model import Result, TargetSummary
from auth_conformance.runner import run_all

if TYPE_CHECKING:
    from auth_conformance.probe import Scene
    from auth_conformance.sdk import Check
    from auth_conformance.settings import Settings
    from auth_conformance.transports.mailbox import Lookup

# Longest time, in seconds, that closing a target may take, and as long the threads that a search leaves behind.
_CLOSING = 30.0
Then = Callable[["Scene", Callable[[Result], None]], Awaitable[None]]


@dataclass(slots=True)
class Conductor:
    """Opens a target on a loop of its own and runs the checks that will be asked for.

    `result` blocks until the verdict on a code is there; it raises what opening the target raised.
    """

    settings: Settings
    app: object | None = None
    mailbox: Lookup | None = None
    run_id: str = ""
    requests: int = 0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    target: TargetSummary | None = None
    _results: dict[str, Future[Result]] = field(default_factory=dict)
    _parts: dict[str, Future[list[Result]]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _then: Then | None = None
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _work: asyncio.Task[None] | None = None

    def start(self, checks: Sequence[Check], parts: Sequence[str] = (), then: Then | None = None) -> None:
        """Begin to run these checks in the background, and after them `then`, which decides the `parts`."""
        self._then = then
        self._parts = {name: Future() for name in parts}
        self._results = {check.rule.code: Future() for check in checks}
        self._thread = threading.Thread(
            target=self._run, args=(list(checks),), name="auth-conformance", daemon=True
        )
        self._thread.start()

    def result(self, code: str) -> Result:
        """The result of one check, when it is there."""
        result = self._results[code].result()
        self._told.add(code)
        return result

    def part(self, name: str) -> list[Result]:
        """The results of one search, when they are there; none if it was left out."""
        results = self._parts[name].result()
        self._told.add(name)
        return results

    def untold(self) -> list[Result]:
        """What is decided by now and nobody has asked for."""
        checks = [
            future.result()
            for code, future in self._results.items()
            if code not in self._told and _decided(future)
        ]
        parts = [
            result
            for name, future in self._parts.items()
            if name not in self._told and _decided(future)
            for result in future.result()
        ]
        return [*checks, *parts]

    def deliver_part(self, name: str, results: list[Result]) -> None:
        """Hand over the results of one search."""
        future = self._parts.get(name)
        if future is not None and not future.done():
            future.set_result(results)

    def stop(self) -> None:
        """End the run: what is not decided by now stays undecided. The target is closed."""
        if self._thread is None:
            return
        if self._loop is not None and self._work is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may close in this very moment: nothing to stop
                self._loop.call_soon_threadsafe(self._work.cancel)
        self._thread.join(timeout=_CLOSING)
        wait_for_those_left(_CLOSING)

    def _run(self, checks: Sequence[Check]) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._work = asyncio.current_task()
            async with opened(self.settings, app=self.app, mailbox=self.mailbox) as door:
                self.run_id = door.scene.run_id
                self.target = summary(door.scene.target)
                try:
                    await run_all(checks, door.scene, self._deliver)
                    if self._then is not None:
                        await self._then(door.scene, self._deliver)
                    for name in self._parts:
                        self.deliver_part(name, [])
                finally:
                    self.requests = door.scene.recorder.sent
                    self.target = summary(door.scene.target, door.scene.seen)

        try:
            run_to_end(main())
        except BaseException as error:  # noqa: BLE001 - it must reach the thread that waits
            self._fail(error)

    def _deliver(self, result: Result) -> None:
        future = self._results[result.rule.code]
        if not future.done():
            future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = RuntimeError("the run was stopped before this check was decided")
        waiting: list[Future[Any]] = [*self._results.values(), *self._parts.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(error)


def _decided(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
