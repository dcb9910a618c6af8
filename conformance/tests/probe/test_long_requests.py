"""A server that hangs up on what is too long for it has refused, not crashed; one that hangs up on less has."""

import pytest

from auth_conformance.model import Outcome, Reply
from auth_conformance.probe.core import LONGEST_BODY, LONGEST_HEADERS, hung_up
from auth_conformance.transports.message import HttpRequest

CLOSED = Reply(None, error="connection closed without an answer (ReadError)")
SLOW = Reply(None, error="no answer within 10 s")
LONG_HEADER = HttpRequest("GET", "/me").with_headers(("Authorization", "x" * LONGEST_HEADERS))
LONG_BODY = HttpRequest("POST", "/login").with_json({"password": "x" * LONGEST_BODY})


@pytest.mark.parametrize("request_", [LONG_HEADER, LONG_BODY])
def test_a_lost_refusal_of_something_long_is_no_crash(request_: HttpRequest) -> None:
    judged = hung_up(CLOSED, request_)
    assert judged is not None
    assert judged.outcome is Outcome.INTERCEPTED


@pytest.mark.parametrize(
    ("seen", "request_"),
    [
        (CLOSED, HttpRequest("GET", "/me").with_headers(("Authorization", "x" * 8_000))),
        (SLOW, LONG_HEADER),
        (Reply(500), LONG_BODY),
        (Reply(413), LONG_BODY),
    ],
)
def test_anything_else_is_judged_as_ever(seen: Reply, request_: HttpRequest) -> None:
    assert hung_up(seen, request_) is None
