"""Were requests really in work at the same time? Without that a race has not been run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """When a request was released and when its answer was complete, in seconds of one monotonic clock."""

    start: float
    end: float


def in_work(spans: Iterable[Span], solo: float) -> list[Span]:
    """The parts of the spans in which the service must have been at work.

    A released request may wait in a queue; but whatever takes at least `solo` seconds when it is alone was in
    work for the last `solo` seconds before its answer.
    """
    return [Span(max(span.start, span.end - solo), span.end) for span in spans]


def most_at_once(spans: Iterable[Span]) -> int:
    """How many of the spans share a moment; spans that only touch do not."""
    lasting = [span for span in spans if span.end > span.start]
    # At one moment ends come before starts: -1 sorts first.
    events = sorted([(span.start, 1) for span in lasting] + [(span.end, -1) for span in lasting])
    most = now = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most
