"""Secrets found in stored values, keys taken apart, and moments read out of bodies."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.disclosure import WINDOW, Form, Search, Trace, gravest, is_slow_hash, shared
from auth_conformance.oracles.keys import common_start, public_start, public_starts, secret_bits, shown_parts
from auth_conformance.oracles.moments import moment, moments, shift

SECRETS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=24, max_size=64)
ANYTHING = st.text(max_size=40)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


@given(SECRETS, st.binary(max_size=8), st.binary(max_size=8))
def test_base64_is_found_at_every_alignment(secret: str, before: bytes, after: bytes) -> None:
    value = base64.b64encode(before + secret.encode() + after).decode()
    found = Search(secret).traces(value)
    assert found
    assert found[0].form in {Form.ENCODED, Form.CLEAR}


@given(SECRETS, ANYTHING, ANYTHING)
def test_what_can_be_read_is_found(secret: str, before: str, after: str) -> None:
    for value in (secret, secret.encode().hex(), quote(secret, safe=""), secret[::-1], secret.lower()):
        assert Search(secret).traces(before + value + after)[0].form in {Form.CLEAR, Form.ENCODED}


@given(SECRETS)
def test_digests_are_told_apart(secret: str) -> None:
    search = Search(secret, [b"pepper"])
    raw = secret.encode()
    assert search.traces(hashlib.md5(raw, usedforsecurity=False).hexdigest())[0].form is Form.BROKEN_DIGEST
    for value in (
        hashlib.sha256(raw).hexdigest(),
        hashlib.sha512(raw).digest(),
        base64.b64encode(hashlib.sha256(raw).digest()).decode(),
        hmac.digest(b"pepper", raw, "sha256").hex(),
    ):
        assert [trace.form for trace in search.traces(value)] == [Form.FAST_DIGEST]
    assert search.traces(hashlib.sha256(b"salt" + raw).hexdigest(), [b"salt"])[0].form is Form.FAST_DIGEST
    assert not search.traces(hashlib.sha256(b"salt" + raw).hexdigest())


@pytest.mark.parametrize("spell", [secrets.token_urlsafe, secrets.token_hex])
def test_the_bytes_that_a_secret_spells_are_the_secret(spell: Callable[[int], str]) -> None:
    text = spell(32)
    raw = bytes.fromhex(text) if spell is secrets.token_hex else base64.urlsafe_b64decode(text + "=")
    for value in (raw, b"key:" + raw, raw.hex().upper()):
        assert Search(text).traces(value)[0].form in {Form.ENCODED, Form.CLEAR}
    assert Search(text).traces(hashlib.sha256(raw).digest())[0].form is Form.FAST_DIGEST
    assert not Search(text).traces(secrets.token_bytes(32))


@given(SECRETS, st.integers(WINDOW, 20))
def test_a_part_is_measured(secret: str, length: int) -> None:
    part = secret[2 : 2 + length]
    found = Search(secret).traces(f"#{part}#")
    assert len(part) < length or (found[0].form is Form.PART and found[0].length >= length)


@given(ANYTHING)
def test_chance_is_no_trace(text: str) -> None:
    assert not Search(secrets.token_hex(20)).traces(text)
    assert shared(secrets.token_hex(20), text) == 0


def test_the_gravest_comes_first() -> None:
    traces = [
        ("a", Trace(Form.FAST_DIGEST, "")),
        ("b", Trace(Form.PART, "", 12)),
        ("c", Trace(Form.PART, "", 20)),
    ]
    assert gravest(traces) == traces[2]
    assert gravest([]) is None
    assert is_slow_hash("$2b$12$abc")
    assert not is_slow_hash(hashlib.sha256(b"").hexdigest())


def test_every_separator_of_the_first_half_may_end_the_public_part() -> None:
    assert public_starts("rk_ab12_x-y_z" + "q" * 30) == ["rk_", "rk_ab12_", "rk_ab12_x-", "rk_ab12_x-y_"]
    assert public_starts("q" * 40) == []
    assert len(public_starts("a_" * 20)) == 4


@pytest.mark.parametrize(
    ("key", "start"),
    [("sk_live_abcdefghijklmnop", "sk_live_"), ("0123456789abcdef", ""), ("a.b", "a."), ("abcdefgh-ij", "")],
)
def test_the_public_start_leaves_the_longer_half(key: str, start: str) -> None:
    assert public_start(key) == start


def test_bits_are_counted_where_keys_vary() -> None:
    assert secret_bits(["rk_" + "a" * 12, "rk_" + "z" * 12]) == pytest.approx(12 * 4.7, abs=0.1)
    assert secret_bits([f"sk_live_{secrets.token_hex(32)}" for _ in range(2)]) > 230
    assert secret_bits([secrets.token_hex(16) for _ in range(2)], public=8) < 100
    assert shown_parts("rk_abc_def", ["rk_abc", "rk_abc_def", "rk", "other"]) == ["rk_abc"]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_the_common_start_is_one_and_the_longest(texts: list[str]) -> None:
    start = common_start(texts)
    assert all(text.startswith(start) for text in texts)
    assert len(start) == min(map(len, texts)) or len({text[len(start)] for text in texts}) > 1


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-02T02:00:00+14:00", NOW),
        ("2026-03-01T12:00:00", NOW),
        ("2026-03-01", NOW - 43_200),
        ("Sun, 01 Mar 2026 12:00:00 GMT", NOW),
        (int(NOW), NOW),
        (int(NOW) * 1000, NOW),
        (12, None),
        (True, None),
        ("2026-99-99", None),
        ("tomorrow", None),
        (None, None),
    ],
)
def test_moments_in_every_notation(value: object, at: float | None) -> None:
    assert moment(value, NOW) == at


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()))
def test_no_value_is_too_odd_for_a_moment(value: object) -> None:
    assert moment(value, NOW) is None or isinstance(moment(value, NOW), float)


def test_durations_and_moves() -> None:
    before = moments({"expires_in": 900, "made": "2026-03-01T12:00:00Z"}, NOW)
    assert {item.pointer: item.ahead for item in before} == {"/expires_in": 900, "/made": 0}
    after = moments({"made": "2026-03-01T13:00:00Z"}, NOW)
    assert shift(before, after) == 3600
    assert shift(before, []) is None
