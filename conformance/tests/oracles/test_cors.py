import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.model import Reply
from auth_conformance.oracles.cors import may_read, may_send, speaks_cors

EVIL = "https://evil.example"


def reply(status: int | None = 200, **headers: str | list[str]) -> Reply:
    lines = []
    for name, value in headers.items():
        lines += [(name.replace("_", "-"), text) for text in ([value] if isinstance(value, str) else value)]
    return Reply(status, tuple(lines))


@pytest.mark.parametrize(
    ("headers", "plain", "with_credentials"),
    [
        ({}, False, False),
        ({"access_control_allow_origin": "*"}, True, False),
        ({"access_control_allow_origin": EVIL}, True, False),
        ({"access_control_allow_origin": EVIL, "access_control_allow_credentials": "true"}, True, True),
        ({"access_control_allow_origin": "*", "access_control_allow_credentials": "true"}, True, False),
        ({"access_control_allow_origin": EVIL, "access_control_allow_credentials": "True"}, True, False),
        ({"access_control_allow_credentials": "true"}, False, False),
        ({"access_control_allow_origin": [EVIL, EVIL]}, False, False),
        ({"access_control_allow_origin": f"{EVIL}, https://a.example"}, False, False),
        ({"access_control_allow_origin": f"{EVIL}/"}, False, False),
        ({"access_control_allow_origin": "https://EVIL.example"}, False, False),
    ],
)
def test_reading(*, headers: dict[str, str], plain: bool, with_credentials: bool) -> None:
    seen = reply(200, **headers)
    assert may_read(EVIL, seen, credentials=False) is plain
    assert may_read(EVIL, seen, credentials=True) is with_credentials


def test_nothing_can_be_read_when_nothing_came() -> None:
    assert not may_read(EVIL, reply(None, access_control_allow_origin="*"), credentials=False)


OPEN = {"access_control_allow_origin": EVIL, "access_control_allow_credentials": "true"}


@pytest.mark.parametrize(
    ("status", "headers", "method", "names", "credentials", "expected"),
    [
        (200, OPEN, "POST", [], True, True),
        (204, OPEN, "DELETE", [], True, False),
        (204, {**OPEN, "access_control_allow_methods": "PUT, DELETE"}, "DELETE", [], True, True),
        (400, {**OPEN, "access_control_allow_methods": "DELETE"}, "DELETE", [], True, False),
        (200, {**OPEN, "access_control_allow_methods": "*"}, "DELETE", [], True, False),
        (200, {**OPEN, "access_control_allow_methods": "*"}, "DELETE", [], False, True),
        (200, OPEN, "POST", ["Authorization"], True, False),
        (
            200,
            {**OPEN, "access_control_allow_headers": "authorization"},
            "POST",
            ["Authorization"],
            True,
            True,
        ),
        (200, {**OPEN, "access_control_allow_headers": "*"}, "POST", ["Authorization"], False, False),
        (200, {**OPEN, "access_control_allow_headers": "*"}, "POST", ["X-API-Key"], False, True),
        (200, {**OPEN, "access_control_allow_headers": "*"}, "POST", ["X-API-Key"], True, False),
    ],
)
def test_sending(
    *, status: int, headers: dict[str, str], method: str, names: list[str], credentials: bool, expected: bool
) -> None:
    assert may_send(EVIL, reply(status, **headers), method, names, credentials=credentials) is expected


def test_a_trace_of_cors_is_any_header_of_it() -> None:
    assert not speaks_cors(reply(vary="Accept"))
    assert speaks_cors(reply(vary="Accept, Origin"))
    assert speaks_cors(reply(400, access_control_allow_methods="GET"))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=6))
def test_what_may_be_read_with_credentials_may_be_read_without(origin: str, allowed: str, flag: str) -> None:
    seen = reply(access_control_allow_origin=allowed, access_control_allow_credentials=flag)
    if may_read(origin, seen, credentials=True):
        assert may_read(origin, seen, credentials=False)
        assert allowed.strip(" \t") == origin
