"""What is on this machine, and from how many addresses it can be called."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_many_callers(url: str) -> bool:
    """Whether the URL can be called from any address of 127.0.0.0/8, so that callers are told apart.

    Linux gives all of them to the loopback interface (RFC 1122 §3.2.1.3), macOS and the BSDs only the first.
    """
    if not (urlsplit(url).hostname or "").startswith("127."):
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("127.83.19.4", 0))
        except OSError:
            return False
    return True
