"""Places in replies: what each word of the language reads, and that requests take it along as they spell it."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.places import found_at, is_place
from auth_conformance.transports.message import HttpRequest, RawReply, Step

PAGE = b"""<html><head><meta name="csrf-token" content="m&amp;1"></head><body>Hello, <b>al&#105;ce</b>
<form action="/login?flow=f%2F1"><input type=hidden name='tok' value="t&quot;1"></form></body></html>"""


def reply(body: bytes = b"", *headers: tuple[str, str], earlier: tuple[RawReply, ...] = ()) -> RawReply:
    return RawReply(200, headers, body, earlier=earlier)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("input tok", 't"1'),
        ("input csrf-token", "m&1"),
        ("input other", None),
        ("query flow", "f/1"),
        ("query other", None),
        ("text Hello, <b>{}</b>", "alice"),
        ("text Goodbye, <b>{}</b>", None),
        ("/json", None),
    ],
)
def test_pages(where: str, expected: str | None) -> None:
    assert is_place(where)
    assert found_at(reply(PAGE), where) == expected


def test_json_headers_and_cookies() -> None:
    first = reply(b"", ("Set-Cookie", "csrf=from-before; Path=/"))
    found = reply(
        b'{"a": {"b": 7}, "nodes": [{"attributes": {"name": "csrf", "value": "n1"}}], "ticket": "t"}',
        ("Token", "Bearer abc"),
        ("Set-Cookie", "sid=1; Secure"),
        ("Set-Cookie", "gone=; Max-Age=0"),
        earlier=(first,),
    )
    assert found_at(found, "/a/b") == 7
    assert found_at(found, "")["ticket"] == "t"
    assert found_at(found, "header token") == "abc"
    assert found_at(found, "cookie sid") == "1"
    assert found_at(found, "cookie csrf") == "from-before"
    assert found_at(found, "cookie gone") is None
    assert found_at(found, "input csrf") == "n1"
    assert found_at(found, "input ticket") == "t"
    assert found.cookies == {"sid": "1"}


@pytest.mark.parametrize("where", ["header", "cookie ", "text everything", "text {}", "body x", "token"])
def test_what_is_no_place(where: str) -> None:
    assert not is_place(where)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["json", "form"]))
def test_values_arrive_whatever_they_hold(value: str, encoding: str) -> None:
    body = {"tok": "{{tok}}", "other": "{{unknown}}"}
    request = HttpRequest("POST", "/login", query=(("flow", "{{tok}}"),))
    request = request.with_json(body) if encoding == "json" else request.with_form(tuple(body.items()))
    filled = request.filled({"tok": value})
    assert filled.query == (("flow", value),)
    sent = RawReply(200, (), filled.body or b"")
    if encoding == "json":
        assert sent.json == {"tok": value, "other": "{{unknown}}"}
    else:
        assert dict(parse_qsl(sent.text, keep_blank_values=True))["tok"] == value


def test_cookies_share_one_header() -> None:
    request = HttpRequest("POST", "/login", headers=(("cookie", "old=1; sid=2"),)).with_cookies({"sid": "3"})
    assert request.headers == (("Cookie", "old=1; sid=3"),)
    assert HttpRequest("GET", "/").with_cookies({}).headers == ()


def test_a_step_decodes_what_scripts_decode() -> None:
    step = Step(HttpRequest("GET", "/"), (("xsrf", "cookie XSRF-TOKEN"), ("none", "/nothing")))
    assert step.read(reply(b"", ("Set-Cookie", "XSRF-TOKEN=a%3D%3D"))) == {"xsrf": "a==", "none": ""}
