"""Whether two kinds of request take the same time: a paired test with three answers (checklist CRD110).

For each pair the difference of its two times is taken, so that drift falls out. The interval for the median
difference comes from the order statistics of the binomial distribution: it holds for any distribution of noise,
spikes included. Nothing is claimed unless the whole interval lies beyond the margin, and nothing is excused unless
it lies inside.
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# How many pairs are looked at, one look after the other.
LOOKS = (30, 60, 90)
# The chance that an interval misses the true median.
MISS = 0.001
# Less than this, in seconds or as a part of the median, is nothing.
LEAST = 0.003
PART = 0.10
# Below this factor a difference is the machine's, not the service's: sound pairs were seen to differ by 15 %.
FACTOR = 1.5

Pair = tuple[float, float]


class Time(enum.Enum):
    """What the times of two kinds of request say."""

    DIFFERENT = "different"
    SAME = "the same"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Timing:
    """A judgement. `low` and `high` bound the median difference (second minus first), in seconds."""

    answer: Time
    low: float
    high: float
    margin: float
    first: float
    second: float
    pairs: int

    def __str__(self) -> str:
        """Return it in one line, in milliseconds."""
        return (
            f"{self.first * 1000:.0f} ms and {self.second * 1000:.0f} ms in the median of {self.pairs} pairs "
            f"(difference {self.low * 1000:.1f} to {self.high * 1000:.1f} ms, margin {self.margin * 1000:.1f} ms)"
        )


def rank(count: int, miss: float = MISS) -> int | None:
    """The rank k so that the k-th smallest and k-th largest of `count` values enclose the median.

    None when there are too few values for that certainty.
    """
    below, k = 0.0, 0
    while k < count // 2:
        below += math.comb(count, k) / 2.0**count
        if 2 * below > miss:
            break
        k += 1
    return k or None


def interval(differences: Sequence[float], miss: float = MISS) -> tuple[float, float] | None:
    """The interval that encloses the median of the distribution; None for too few values."""
    k = rank(len(differences), miss)
    if k is None:
        return None
    ordered = sorted(differences)
    return ordered[k - 1], ordered[-k]


def judge(pairs: Sequence[Pair], control: Sequence[Pair]) -> Timing:
    """Judge pairs of times against pairs of equals, which must look equal: otherwise nothing is said."""
    first = statistics.median(pair[0] for pair in pairs) if pairs else 0.0
    second = statistics.median(pair[1] for pair in pairs) if pairs else 0.0
    margin = max(LEAST, PART * max(first, second))
    bounds = interval([late - early for early, late in pairs])
    equals = interval([late - early for early, late in control])
    if bounds is None or equals is None:
        return Timing(Time.UNCLEAR, 0.0, 0.0, margin, first, second, len(pairs))
    low, high = bounds
    quiet = -margin <= equals[0] and equals[1] <= margin
    factor = max(first, second) / max(min(first, second), 1e-9)
    if -margin <= low and high <= margin:
        answer = Time.SAME
    elif (low > margin or high < -margin) and quiet and factor >= FACTOR:
        answer = Time.DIFFERENT
    else:
        answer = Time.UNCLEAR
    return Timing(answer, low, high, margin, first, second, len(pairs))
