"""How long a limit lasts, in the words of services."""

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from auth_conformance.oracles.patience import lasting
from auth_conformance.transports.message import RawReply


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, {"retry_after_ms": 900}, 7.0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "3"}, None, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}, None, 12.0),
        ({"RateLimit": '"default";r=0;t=4'}, None, 4.0),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, None, 5.0),
        ({}, {"error": {"retry_after_ms": 1500}}, 1.5),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({}, {"retry_after": 2.5}, 2.5),
        ({}, {"retried": 3, "attempts_waited": 4}, None),
        ({}, None, None),
    ],
)
def test_the_end_of_a_limit_is_read(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    assert lasting(RawReply(429, tuple(headers.items())).header, body) == seconds


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Retry-After", lambda at: formatdate(at, usegmt=True)),
        ("X-RateLimit-Reset", lambda at: str(int(at))),
        ("X-Rate-Limit-Reset", lambda at: str(int(1000 * at))),
    ],
)
def test_a_moment_is_as_far_away_as_it_is(name: str, written: Callable[[float], str]) -> None:
    told = lasting(RawReply(429, ((name, written(time.time() + 30)),)).header)
    assert told is not None
    assert 20 < told <= 30
