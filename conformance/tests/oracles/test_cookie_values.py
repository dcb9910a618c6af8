"""Cookie headers split as RFC 6265bis says, and the data that a cookie's value carries."""

import base64
import json
import secrets
import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth_conformance.oracles.cookies import (
    oversized,
    parse_cookie,
    parse_set_cookie,
    write_cookie,
)
from auth_conformance.oracles.cookievalues import forgeries, readings, scalars, sealed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = st.text("abcXYZ019-_", min_size=1, max_size=8)
VALUE = st.text('abcXYZ019=,:/+%"\\ é', max_size=16).map(lambda text: text.strip(" \t"))
JSON = st.dictionaries(
    st.text("abcdef_", min_size=1, max_size=6), st.text(max_size=8) | st.integers(), min_size=1
)


@given(st.lists(st.tuples(NAME, VALUE), max_size=6))
def test_cookies_are_read_back_in_their_order_with_repetitions(pairs: list[tuple[str, str]]) -> None:
    assert parse_cookie([write_cookie(pairs)]) == pairs
    assert parse_cookie([write_cookie([pair]) for pair in pairs]) == pairs
    assert parse_cookie([f" {write_cookie(pairs).replace('; ', ' ;  ')} ;"]) == pairs


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_header_breaks_the_splitter(lines: list[str]) -> None:
    for name, value in parse_cookie(lines):
        assert name or value
        assert ";" not in name + value
        assert "=" not in name


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("a=1; a=2", [("a", "1"), ("a", "2")]),
        ('a="1; b=2"', [("a", '"1'), ("b", '2"')]),
        ("a=b=c", [("a", "b=c")]),
        ("bare", [("", "bare")]),
        ("=x", [("", "x")]),
        (";; ;", []),
        ("a=", [("a", "")]),
    ],
)
def test_what_servers_disagree_about(line: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_cookie([line]) == pairs


@given(NAME, st.integers(4097, 5000))
def test_what_browsers_ignore_for_its_length_is_still_known(name: str, length: int) -> None:
    line = f"{name}={'x' * length}; Secure"
    assert parse_set_cookie(line) is None
    cookie = oversized(line)
    assert cookie is not None
    assert cookie.name == name
    assert cookie.secure
    assert oversized(f"{name}=x") is None


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("", None),
        ("; Max-Age=60", 60),
        ("; max-age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 60),
        ("; Max-Age=soon; Expires=Sun, 01 Mar 2026 13:00:00 GMT", 3600),
        ("; Expires=Sun, 01 Mar 2026 13:00:00 GMT; Max-Age=-1", -1),
        ("; Max-Age=soon", None),
    ],
)
def test_lifetimes(attributes: str, seconds: float | None) -> None:
    cookie = parse_set_cookie(f"a=1{attributes}")
    assert cookie is not None
    assert cookie.lifetime(NOW) == seconds


def test_a_date_that_no_browser_reads() -> None:
    cookie = parse_set_cookie("a=1; Expires=in twelve hours")
    assert cookie is not None
    with pytest.raises(ValueError, match="Expires"):
        cookie.lifetime(NOW)


def b64(data: bytes, *, pad: bool = False) -> str:
    text = base64.urlsafe_b64encode(data).decode()
    return text if pad else text.rstrip("=")


def dumped(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


WRITERS = {
    "in clear": lambda data: dumped(data).decode(),
    "percent-encoded": lambda data: quote(dumped(data).decode(), safe=""),
    "base64": lambda data: base64.b64encode(dumped(data)).decode(),
    "itsdangerous": lambda data: f"{b64(dumped(data))}.aZ8xYw.{b64(secrets.token_bytes(20))}",
    "Starlette": lambda data: (
        f"{base64.b64encode(dumped(data)).decode()}.aZ8xYw.{b64(secrets.token_bytes(20))}"
    ),
    "Flask, compressed": lambda data: (
        f".{b64(zlib.compress(dumped(data)))}.aZ8xYw.{b64(secrets.token_bytes(20))}"
    ),
    "Django": lambda data: f"{b64(dumped(data))}:1rABcd:{b64(secrets.token_bytes(32))}",
    "Rails": lambda data: f"{base64.b64encode(dumped(data)).decode()}--{secrets.token_hex(20)}",
    "JWT": lambda data: f"eyJhbGciOiJIUzI1NiJ9.{b64(dumped(data))}.{b64(secrets.token_bytes(32))}",
    "hexadecimal": lambda data: dumped(data).hex(),
}


@pytest.mark.parametrize("name", WRITERS)
@given(data=JSON)
@example(data={"_": "%00"})
def test_data_is_found_edited_and_written_back(name: str, data: dict[str, Any]) -> None:
    value = WRITERS[name](data)
    found = [reading for reading in readings(value) if reading.data == data]
    assert found, name
    other = found[0].rewrite(json.dumps({"user": "mallory"}))
    assert {"user": "mallory"} in [reading.data for reading in readings(other)]
    if name in {"itsdangerous", "Starlette", "Django", "Rails"}:  # the signature stays as it was
        assert other[-20:] == value[-20:]


@pytest.mark.parametrize("length", [12, 16, 24, 32, 64])
def test_a_reference_says_nothing(length: int) -> None:
    for _ in range(300):
        raw = secrets.token_bytes(length)
        for value in (
            b64(raw),
            raw.hex(),
            f"{b64(raw)}.{secrets.token_hex(32)}",
            base64.b64encode(raw).decode(),
        ):
            assert readings(value) == []
            assert sealed(value) is None


def test_what_is_encrypted_is_known_by_its_form() -> None:
    fernet = b64(b"\x80" + (1_772_366_400).to_bytes(8) + secrets.token_bytes(64), pad=True)
    assert sealed(fernet) == "a Fernet token"
    assert readings(fernet) == []
    jwe = ".".join(
        [b64(b'{"alg":"dir","enc":"A256GCM"}'), "", *(b64(secrets.token_bytes(16)) for _ in range(3))]
    )
    assert sealed(jwe) == "an encrypted JWT"


def test_forgeries_change_the_data_and_nothing_else() -> None:
    value = WRITERS["itsdangerous"]({"name": "alice", "role": "user"})
    made = forgeries(value, ("alice",), "bob")
    assert len(made) == 2
    tail = value.partition(".")[2]
    assert all(text.partition(".")[2] == tail and text != value for text in made.values())
    assert any("bob" in reading.text for text in made.values() for reading in readings(text))
    assert forgeries(secrets.token_urlsafe(32), ("alice",), "bob") == {}


@given(st.text(max_size=80))
def test_no_value_breaks_the_reader(value: str) -> None:
    for reading in readings(value):
        assert value not in repr(reading) or len(value) < 4
        list(scalars(reading.data))
    forgeries(value, ("a",), "b")
    sealed(value)
