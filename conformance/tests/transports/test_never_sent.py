"""What our client refuses to send is told without the value: it may be a token."""

import asyncio

import pytest

from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.message import HttpRequest, never_sent


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Illegal header value b'Bearer eyJhbGciOi'", "Illegal header value"),
        ('Illegal header value b"Bearer eyJhbGci\'Oi"', "Illegal header value"),
        (
            "Invalid non-printable ASCII character in URL, '\\x00' at position 3.",
            "Invalid non-printable ASCII character in URL",
        ),
        ("'eyJhbGciOi' is no header", "ValueError"),
        ("illegal target: bytearray(b'eyJhbGciOi')", "illegal target"),
        ("too long", "too long"),
    ],
)
def test_what_is_quoted_is_left_out(message: str, told: str) -> None:
    assert never_sent(ValueError(message)).error == f"our client refused to send it: {told}"


async def nothing(scope: object, receive: object, send: object) -> None:
    """Never called."""


@pytest.mark.parametrize("header", ["Bearer eyJhbGciOi\n", "Bearer eyJhbGciOi\udcff\u20ac"])
def test_a_token_that_no_header_can_hold_is_not_told(header: str) -> None:
    async def sent() -> list[str]:
        request = HttpRequest("GET", "/").with_headers(("Authorization", header))
        transports = (HttpTransport("http://127.0.0.1:9", agent="test"), AsgiTransport(nothing, agent="test"))
        return [str((await transport.send(request)).error) for transport in transports]

    for error in asyncio.run(sent()):
        assert "eyJ" not in error
