"""Set-Cookie lines as browsers read them, RFC 6265bis."""

import calendar
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.cookies import SetCookie, parse_date, parse_set_cookie

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAST = "Thu, 01 Jan 1970 00:00:00 GMT"
TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_", min_size=1, max_size=12)
VALUE = st.text("abcXYZ0189=,.:/+% ", max_size=20).map(lambda text: text.strip())
ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(["Secure", "HttpOnly", "SameSite", "Path", "Domain", "Max-Age", "Expires", "X"]),
        VALUE,
    ),
    max_size=6,
)


def parsed(line: str) -> SetCookie:
    cookie = parse_set_cookie(line)
    assert cookie is not None
    return cookie


@given(TOKEN, VALUE, ATTRIBUTES)
def test_what_is_written_is_read_back_whatever_the_case_and_blanks(
    name: str, value: str, attributes: list[tuple[str, str]]
) -> None:
    plain = f"{name}={value}" + "".join(f"; {key}={text}" for key, text in attributes)
    odd = f" {name} = {value} " + "".join(f" ;\t{key.swapcase()} = {text} " for key, text in attributes)
    expected = tuple((key.lower(), text) for key, text in attributes)
    assert parse_set_cookie(plain) == parse_set_cookie(odd) == SetCookie(name, value, expected)


@given(TOKEN, st.sampled_from(["Secure", "HttpOnly", "SameSite=Strict", "secure"]))
def test_an_attribute_in_the_value_is_no_attribute(name: str, word: str) -> None:
    for line in (
        f"{name}={word}",
        f"{name}=a,{word}",
        f"{name}=a {word}; Path=/",
        f'{name}="{word}"; Path={word}',
    ):
        cookie = parsed(line)
        assert not cookie.secure
        assert not cookie.http_only
        assert cookie.same_site is None


@given(st.text(max_size=200))
def test_nothing_that_a_server_sends_breaks_the_parser(line: str) -> None:
    cookie = parse_set_cookie(line)
    if cookie is not None:
        assert cookie.name or cookie.value
        assert ";" not in cookie.name + cookie.value
        cookie.deletes(NOW)
        cookie.prefix_faults()


@given(st.text(max_size=60))
def test_no_text_breaks_the_date_reader(text: str) -> None:
    found = parse_date(text)
    assert found is None or found.tzinfo is UTC


@given(st.datetimes(datetime(1601, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - made aware below
def test_every_date_is_read_in_both_usual_spellings(moment: datetime) -> None:
    expected = moment.replace(microsecond=0, tzinfo=UTC)
    day = f"{expected.day:02}"
    month = calendar.month_abbr[expected.month]
    clock = f"{expected:%H:%M:%S}"
    assert parse_date(f"Xyz, {day} {month} {expected.year:04} {clock} GMT") == expected
    assert parse_date(f"Xyz, {day}-{month}-{expected.year:04} {clock} GMT") == expected


def test_two_digit_years_are_of_the_century_that_browsers_take() -> None:
    assert parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse_date("Sunday, 06-Nov-30 08:49:37 GMT") == datetime(2030, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "06 Nov 1994", "06 Nov 1994 25:00:00", "31 Feb 2000 00:00:00", "1 Jan 1500 1:1:1"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_the_comma_of_expires_ends_nothing() -> None:
    cookie = parsed(f"sid=a; Expires={PAST}; Secure")
    assert cookie.attribute("expires") == PAST
    assert cookie.secure


@pytest.mark.parametrize(
    ("rest", "deletes"),
    [
        ("", False),
        ("Max-Age=0", True),
        ("Max-Age=-1", True),
        ("Max-Age=60", False),
        (f"Expires={PAST}", True),
        (f"Max-Age=60; Expires={PAST}", False),
        (f"Max-Age=soon; Expires={PAST}", True),
        ("Expires=Fri, 01 Jan 2100 00:00:00 GMT", False),
    ],
)
def test_when_a_browser_forgets(rest: str, *, deletes: bool) -> None:
    assert parsed(f"sid=x; {rest}").deletes(NOW) is deletes


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("sid=x", ()),
        ("__Host-sid=x; Secure; Path=/", ()),
        ("__Secure-sid=x; Secure; Path=/api; Domain=example.com", ()),
        ("__secure-sid=x; Path=/", ("__Secure- without Secure",)),
        ("__Host-sid=x; Secure", ("__Host- without Path=/",)),
        ("__HOST-sid=x; Secure; Path=/; Domain=example.com", ("__Host- with Domain",)),
        ("__Host-sid=x; Path=/api", ("__Host- without Secure", "__Host- without Path=/")),
    ],
)
def test_prefixes_promise(line: str, faults: tuple[str, ...]) -> None:
    assert parsed(line).prefix_faults() == faults


@pytest.mark.parametrize(
    "line",
    ["", ";", "=", "; Secure", "sid=a\x00b", "sid=a\nb", "sid=" + "x" * 4094, "__Host-sid", "=__secure-x=1"],
)
def test_what_browsers_ignore_is_none(line: str) -> None:
    assert parse_set_cookie(line) is None


def test_the_last_of_several_attributes_counts_and_a_long_one_does_not() -> None:
    cookie = parsed(
        "sid=x; SameSite=Lax; samesite=STRICT; Path=/a; Path=/b; Domain=.Example.COM; SameSite=" + "y" * 1025
    )
    assert cookie.same_site == "strict"
    assert cookie.scope == ("example.com", "/b")
