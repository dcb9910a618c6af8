"""A run learns from a limit on everything how fast it may ask."""

import asyncio
import itertools
from typing import Any

import pytest

from auth_conformance.transports import pace as module
from auth_conformance.transports.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that nobody but sleepers moves."""

    class Clock:
        now = 1000.0

    async def sleep(seconds: float) -> None:
        Clock.now += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return Clock


def departures(pace: Pace, clock: Any, count: int) -> list[float]:
    async def main() -> list[float]:
        found = []
        for _ in range(count):
            await pace.turn()
            found.append(clock.now)
        return found

    return asyncio.run(main())


def test_without_a_limit_nobody_waits(clock: Any) -> None:
    assert departures(Pace(), clock, 5) == [1000.0] * 5


def test_a_configured_rate_is_kept(clock: Any) -> None:
    gaps = [later - earlier for earlier, later in itertools.pairwise(departures(Pace(4), clock, 4))]
    assert gaps == pytest.approx([0.25] * 3)


def test_the_first_refusal_slows_the_run_and_those_beside_it_do_not(clock: Any) -> None:
    pace = Pace()
    assert pace.hold(1.0) == 1.0
    first = pace.learned
    assert pace.hold(1.0) == 0.0
    assert pace.learned == first > 0
    left = departures(pace, clock, 3)
    assert left == pytest.approx([1001.0, 1001.0 + first, 1001.0 + 2 * first])
    pace.hold(1.0)
    assert pace.learned > first


def test_a_limit_met_by_a_flood_teaches_nothing(clock: Any) -> None:
    pace = Pace()
    pace.rushed()
    pace.hold(2.0)
    assert pace.learned == 0.0
    assert departures(pace, clock, 1) == [1002.0]


def test_a_rate_slower_than_any_that_is_learned_stays(clock: Any) -> None:
    pace = Pace(0.5)
    pace.hold(1.0)
    assert pace.learned == 2.0
    assert clock.now == 1000.0
