"""Which moments a body states."""

from datetime import date

import pytest

from auth_conformance.oracles.moments import day_of, is_day_of, moments, shift, timed

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("value", "ahead"),
    [
        (NOW + 60, 60.0),
        (NOW + 60.25, 60.25),
        (int(NOW * 1000) + 5000, 5.0),
        ("2026-11-18T11:06:40Z", 0.0),
        ("2026-11-18T11:06:40", 0.0),
        ("Wed, 18 Nov 2026 11:06:40 GMT", 0.0),
    ],
)
def test_a_moment_in_any_notation(value: object, ahead: float) -> None:
    assert [round(item.ahead, 3) for item in moments([{"at": value}], NOW)] == [ahead]


@pytest.mark.parametrize("value", [17, 3.5, True, None, "soon", "17", [], {}])
def test_no_moment(value: object) -> None:
    assert moments({"at": value}, NOW) == []


@pytest.mark.parametrize(
    "name",
    [
        "expires_in",
        "expiresIn",
        "ends_in",
        "valid_for_seconds",
        "ttl",
        "expire_dans",
        "gueltig_fuer_sekunden",
    ],
)
def test_what_is_left_of_a_token_counts_from_now(name: str) -> None:
    assert [item.ahead for item in moments({name: 300, "items_in": 300}, NOW)] == [300.0]
    assert moments({"expires_in": True}, NOW) == []


def test_a_shift_is_seen_where_both_bodies_state_a_moment() -> None:
    before, after = moments({"a": NOW, "b": NOW}, NOW), moments({"b": NOW + 50.5, "c": NOW + 90}, NOW)
    assert shift(before, after) == 50.5
    assert shift(moments({"a": NOW}, NOW), after) is None


def test_a_day_is_no_moment() -> None:
    assert day_of("2026-11-27") == date(2026, 11, 27)
    assert [day_of(text) for text in ("2026-11-27T00:00:00Z", "2026-13-27", "20261127", "")] == [None] * 4
    assert timed({"day": "2026-11-27", "at": "2026-11-27T10:00:00Z"}) == {"/at": "2026-11-27T10:00:00Z"}


@pytest.mark.parametrize(("hours", "said"), [(-14, True), (0, True), (36, True), (-15, False), (37, False)])
def test_a_day_says_an_end_from_where_it_begins_first_until_it_is_over_last(hours: int, said: bool) -> None:
    midnight = 1_792_368_000.0  # 2026-10-19 by UTC
    assert is_day_of(date(2026, 10, 19), midnight + hours * 3_600) is said
