"""Stable differences between two kinds of answer, and everything that only looks like one."""

import itertools
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.similarity import Comparison, Seen, compare

SAME = '{"detail":"wrong"}'
NUMBER = itertools.count(1)


def seen(status: int = 401, body: str = SAME, echoes: tuple[str, ...] = (), **headers: str) -> Seen:
    return Seen(status, tuple((key.replace("_", "-"), value) for key, value in headers.items()), body, echoes)


def parts(left: list[Seen], right: list[Seen]) -> list[str]:
    return [difference.part for difference in compare(left, right).differences]


@given(st.lists(st.tuples(st.integers(200, 499), st.text(max_size=30)), min_size=2, max_size=4))
def test_equal_kinds_never_differ(answers: list[tuple[int, str]]) -> None:
    kind = [seen(status, body) for status, body in answers]
    assert compare(kind, list(kind)).differences == ()


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_always_differs_is_found(left: str, right: str) -> None:
    found = parts([seen(400)] * 2, [seen(401)] * 2)
    assert found == ["status"]
    if left != right:
        assert compare([seen(x=left)] * 3, [seen(x=right)] * 3) == compare(
            [seen(x=left)] * 2, [seen(x=right)] * 2
        )


@pytest.mark.parametrize(
    ("right", "part"),
    [
        (seen(404), "status"),
        (seen(body='{"detail":"no such user"}'), "body"),
        (seen(x_attempts="4"), "header x-attempts"),
        (seen(set_cookie="hint=1; Path=/"), "cookie hint"),
        (seen(retry_after="30"), "header retry-after"),
    ],
)
def test_each_part_counts(right: Seen, part: str) -> None:
    assert parts([seen(), seen()], [right, right]) == [part]


def test_what_is_there_once_is_no_difference() -> None:
    comparison = compare([seen(), seen()], [seen(404), seen()])
    assert comparison.differences == ()
    assert comparison.unstable == ("status",)


def test_ids_times_counters_and_echoes_are_no_difference() -> None:
    def made(name: str) -> Seen:
        body = f'{{"id":"{uuid4()}","at":"2026-03-01T12:00:00Z","detail":"no {name}","left":{next(NUMBER)}}}'
        return seen(
            body=body,
            echoes=(name,),
            x_request_id=uuid4().hex,
            x_ratelimit_remaining=str(100 - next(NUMBER)),
            date="Sun, 01 Mar 2026 12:00:00 GMT",
            set_cookie=f"visit={uuid4().hex}; Expires=Sun, 01 Mar 2026 12:00:{next(NUMBER):02} GMT",
        )

    left, right = [made("nobodyx"), made("nobodyy")], [made("alice"), made("alice")]
    assert compare(left, right) == Comparison((), ())


def test_a_counter_for_one_kind_only_is_a_difference() -> None:
    right = [seen(body=f'{{"detail":"wrong","left":{left}}}') for left in (4, 3)]
    assert parts([seen(), seen()], right) == ["body"]


def test_a_nonce_without_a_pattern_is_unstable_and_hides_nothing_else() -> None:
    nonces = iter("abcdefgh")
    left, right = [seen(401, next(nonces)) for _ in range(2)], [seen(404, next(nonces)) for _ in range(2)]
    comparison = compare(left, right)
    assert comparison.unstable == ("body",)
    assert [difference.part for difference in comparison.differences] == ["status"]


def test_a_header_that_is_another_one_each_time_hides_nothing_beside_it() -> None:
    ids = (f"{chr(97 + number)}{'x' * 7}" for number in range(26))

    def made(status: int = 401, length: int = 8) -> Seen:
        return seen(status, x_request_id=next(ids)[:length])

    assert compare([made(), made()], [made(), made()]) == Comparison((), ())
    assert parts([made(), made()], [made(404), made(404)]) == ["status"]
    assert parts([made(), made()], [seen(), seen()]) == ["header x-request-id"]
    # How long it is may tell: not of two, which may agree by chance.
    assert parts([made(), made()], [made(length=1), made(length=1)]) == []
    assert parts([made() for _ in range(3)], [made(length=1) for _ in range(3)]) == ["header x-request-id"]
    one_sided = compare([seen(x_hint="blocked")] * 2, [seen(x_hint="a"), seen(x_hint="b")])
    assert one_sided == Comparison((), ("header x-hint",))


def test_a_member_that_changes_by_itself_hides_nothing_beside_it() -> None:
    def made(code: str, length: int = 12) -> Seen:
        return seen(body=f'{{"fault":{{"code":"{code}","trace":"{uuid4().hex[:length]}"}}}}')

    assert compare([made("NO"), made("NO")], [made("NO"), made("NO")]) == Comparison((), ())
    assert parts([made("NO"), made("NO")], [made("LOCKED"), made("LOCKED")]) == ["body"]
    # What changes may still be another kind of thing.
    assert parts([made("NO"), made("NO")], [made("NO", 8), made("NO", 8)]) == ["body"]


def test_a_name_that_stands_in_its_address_is_left_out_of_the_length_once() -> None:
    """Registered under the address of somebody else, the answer repeats as much of one's own input."""
    body = '{{"id":7,"username":"{}","email":"{}@example.com"}}'
    fresh = seen(201, body.format("carla", "carla"), ("carla", "carla@example.com", "carla"))
    other = seen(201, body.format("dario", "alina"), ("dario", "alina@example.com", "alina"))
    assert parts([fresh] * 3, [other] * 3) == []


def test_the_length_tells_what_masking_hides() -> None:
    short, long = "0123456789abcdef", "0123456789abcdef0123456789abcdef"
    assert parts([seen(body=short)] * 3, [seen(body=long)] * 3) == ["length"]
    assert parts([seen(body=short)] * 2, [seen(body=long)] * 2) == []


def test_one_answer_shows_no_stability() -> None:
    with pytest.raises(ValueError, match="two answers"):
        compare([seen()], [seen(), seen()])


def test_a_difference_is_told_in_one_line() -> None:
    difference = compare([seen(body="a\nb")] * 2, [seen(body="see " * 50)] * 2).differences[0]
    assert str(difference).startswith("body: a b or see see")
    assert len(str(difference)) < 120
