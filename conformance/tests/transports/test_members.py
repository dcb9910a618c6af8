"""What travels in the body beside a session: a CSRF token in a form, in JSON, and where it cannot go."""

import json
from urllib.parse import parse_qsl

import pytest

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

SESSION = Credential(
    Carrier(Kind.COOKIE, "cookie", "sid"), Secret("s"), companions=(("body csrf_token", "a+b"),)
)


def sent(request: HttpRequest) -> HttpRequest:
    return request.with_headers(*SESSION.headers)


@pytest.mark.parametrize("before", [(), (("csrf_token", "junk"),)])
def test_a_form_has_it_once(before: tuple[tuple[str, str], ...]) -> None:
    request = sent(HttpRequest("POST", "/x").with_form((("tea", "green & black"), *before)))
    assert parse_qsl(str(request.body, "ascii")) == [("tea", "green & black"), ("csrf_token", "a+b")]
    assert [name for name, _ in request.headers] == ["Content-Type", "Cookie"]


def test_json_has_it_as_a_member() -> None:
    request = sent(HttpRequest("POST", "/x").with_json({"tea": "green", "csrf_token": "junk"}))
    assert json.loads(request.body or b"") == {"tea": "green", "csrf_token": "a+b"}


def test_a_change_without_a_body_becomes_a_form() -> None:
    assert sent(HttpRequest("POST", "/logout")).body == b"csrf_token=a%2Bb"


def test_a_part_of_a_multipart_form() -> None:
    typed = HttpRequest(
        "POST", "/x", headers=(("Content-Type", "multipart/form-data; boundary=xyz"),), body=b"--xyz--"
    )
    assert (
        sent(typed).body
        == b'--xyz\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\na+b\r\n--xyz--'
    )


@pytest.mark.parametrize("body", [b"[1]", b'{"a":', b"\x00"])
def test_what_it_does_not_fit_into_stays_as_it_is(body: bytes) -> None:
    typed = HttpRequest("POST", "/x", headers=(("Content-Type", "application/json"),), body=body)
    assert sent(typed).body == body


def test_reading_carries_none() -> None:
    assert sent(HttpRequest("GET", "/x")) == HttpRequest("GET", "/x", headers=(("Cookie", "sid=s"),))
