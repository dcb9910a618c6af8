"""Who is named in lines and charged by counters: only what is beyond doubt."""

import pytest

from auth_conformance.probe.bookkeeping import one_charged, one_named, remaining
from auth_conformance.transports.message import RawReply

NAMES = {"a": frozenset({"alice", "shared"}), "b": frozenset({"bob", "shared"})}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["GET /me by alice"], "a"),
        (["x", "by bob", "bob again"], "b"),
        (["alice for bob"], None),
        (["by alice", "by bob"], None),
        (["by shared"], None),
        ([], None),
    ],
)
def test_one_person_is_named_or_nobody(lines: list[str], expected: str | None) -> None:
    assert one_named(lines, NAMES) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"a": 96, "b": 99}, "a"),
        ({"a": 99, "b": 96}, "b"),
        ({"a": 96, "b": 96}, None),  # both, such as one counter for an address
        ({"a": 95, "b": 99}, None),  # somebody else asked as well
        ({"a": 100, "b": 100}, None),  # the window began anew
    ],
)
def test_one_person_is_charged_or_it_cannot_be_told(after: dict[str, int], expected: str | None) -> None:
    assert one_charged({"a": 100, "b": 100}, after, 3) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7), ("0", 0), ("-1", None), ("soon", None), ("", None), ("9" * 40, 999_999_999)],
)
def test_what_is_left(value: str, expected: int | None) -> None:
    assert remaining(RawReply(200, (("X-RateLimit-Remaining", value),))) == expected
