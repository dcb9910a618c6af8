"""The paired three-way test of times: never a wrong accusation, never a wrong excuse."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.timing import FACTOR, LEAST, PART, Time, interval, judge, rank

times = st.floats(min_value=0.0005, max_value=2.0, allow_nan=False)
Times = list[tuple[float, float]]
pairs = st.lists(st.tuples(times, times), min_size=30, max_size=90)


def noisy(rng: random.Random, level: float, noise: float) -> float:
    return level * rng.lognormvariate(0.0, noise)


def drawn(seed: int, first: float, second: float, noise: float, count: int = 90) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    return [(noisy(rng, first, noise), noisy(rng, second, noise)) for _ in range(count)]


@pytest.mark.parametrize("count", [30, 60, 90])
def test_the_ranks_enclose_the_median_as_surely_as_they_say(count: int) -> None:
    k = rank(count)
    assert k is not None
    outside = 2 * sum(math.comb(count, i) for i in range(k)) / 2**count
    assert outside <= 0.001
    assert outside + 2 * math.comb(count, k) / 2**count > 0.001


def test_few_values_say_nothing() -> None:
    assert rank(5) is None
    assert interval([1.0] * 8) is None
    assert judge([(0.01, 0.5)] * 8, [(0.01, 0.01)] * 8).answer is Time.UNCLEAR
    assert judge([], []).answer is Time.UNCLEAR


@given(pairs, pairs)
def test_the_judgement_is_what_its_bounds_say(measured: Times, control: Times) -> None:
    timing = judge(measured, control)
    assert timing.low <= timing.high
    assert timing.margin >= LEAST
    assert timing.margin >= PART * max(timing.first, timing.second) - 1e-12
    if timing.answer is Time.SAME:
        assert max(abs(timing.low), abs(timing.high)) <= timing.margin
    if timing.answer is Time.DIFFERENT:
        assert min(abs(timing.low), abs(timing.high)) > timing.margin
        assert max(timing.first, timing.second) >= FACTOR * min(timing.first, timing.second) - 1e-9


@given(pairs, pairs)
def test_which_kind_comes_first_does_not_matter(measured: Times, control: Times) -> None:
    swapped = [(second, first) for first, second in measured]
    assert judge(measured, control).answer is judge(swapped, control).answer


@given(pairs, st.floats(min_value=1.0, max_value=1.45))
def test_below_the_factor_nobody_is_accused(measured: Times, factor: float) -> None:
    slower = [(first, first * factor) for first, _ in measured]
    assert judge(slower, [(first, first) for first, _ in measured]).answer is not Time.DIFFERENT


@pytest.mark.parametrize(("level", "noise"), [(0.060, 0.10), (0.250, 0.10), (0.250, 0.30)])
def test_a_skipped_hash_is_always_found(level: float, noise: float) -> None:
    for seed in range(100):
        pair = drawn(seed, 0.1 * level, level, noise)
        control = drawn(seed + 1000, 0.1 * level, 0.1 * level, noise)
        assert judge(pair, control).answer is Time.DIFFERENT


@pytest.mark.parametrize("noise", [0.05, 0.10, 0.30])
def test_equal_cost_is_never_accused(noise: float) -> None:
    answers = [
        judge(drawn(seed, 0.06, 0.06, noise), drawn(seed + 1000, 0.06, 0.06, noise)).answer
        for seed in range(100)
    ]
    assert Time.DIFFERENT not in answers
    if noise <= 0.05:
        assert answers.count(Time.SAME) >= 85


def test_a_noisy_control_forbids_an_accusation() -> None:
    apart = drawn(1, 0.01, 0.2, 0.05)
    assert judge(apart, apart).answer is Time.UNCLEAR


def test_spikes_and_drift_fall_out() -> None:
    rng = random.Random(7)
    drift = [0.05 + 0.001 * number for number in range(90)]
    measured = [(level + (1.0 if rng.random() < 0.05 else 0.0), level) for level in drift]
    assert judge(measured, [(level, level) for level in drift]).answer is Time.SAME
