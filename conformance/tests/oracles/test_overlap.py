"""When requests were in work together, and when they only waited in one queue."""

from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.overlap import Span, in_work, most_at_once

TIMES = st.floats(0, 100, allow_nan=False)
SPANS = st.lists(st.tuples(TIMES, TIMES).map(lambda pair: Span(min(pair), max(pair))), max_size=12)


def test_spans_that_only_touch_do_not_overlap() -> None:
    assert most_at_once([Span(0, 1), Span(1, 2), Span(2, 3)]) == 1
    assert most_at_once([Span(0, 1.1), Span(1, 2)]) == 2
    assert most_at_once([]) == 0


def test_a_queue_is_no_race() -> None:
    # All are released at 0 and each takes 1 when it is alone: a service that does one at a time answers so.
    serial = [Span(0, number + 1) for number in range(5)]
    assert most_at_once(serial) == 5
    assert most_at_once(in_work(serial, 1)) == 1


def test_answers_that_come_closer_than_one_takes_were_in_work_together() -> None:
    assert most_at_once(in_work([Span(0, 1.0), Span(0, 1.2), Span(0, 1.4)], 1)) == 3


@given(SPANS)
def test_the_count_is_that_of_some_moment(spans: list[Span]) -> None:
    lasting = [span for span in spans if span.end > span.start]
    counted = [sum(other.start <= span.start < other.end for other in lasting) for span in lasting]
    assert most_at_once(spans) == max(counted, default=0)


@given(SPANS, st.floats(0, 10, allow_nan=False))
def test_time_in_work_is_never_more_than_time_on_the_way(spans: list[Span], solo: float) -> None:
    assert most_at_once(in_work(spans, solo)) <= most_at_once(spans)
