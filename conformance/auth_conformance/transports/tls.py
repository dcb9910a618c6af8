"""What a TLS server agrees to: one handshake per question, nothing sent inside."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from dataclasses import dataclass
from functools import cache

import httpx

# Suites without encryption, with too short keys, or broken (RFC 7465, RFC 9325 §4.1).
WEAK = "NULL:eNULL:aNULL:EXPORT:RC4:3DES:DES:MD5"
VERSIONS = (
    ("TLS 1.0", ssl.TLSVersion.TLSv1),
    ("TLS 1.1", ssl.TLSVersion.TLSv1_1),
    ("TLS 1.2", ssl.TLSVersion.TLSv1_2),
    ("TLS 1.3", ssl.TLSVersion.TLSv1_3),
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """How one handshake ended. `offered` is false when our own library would not even ask."""

    agreed: bool
    offered: bool = True
    why: str = ""


def trusting(ca_file: str | None = None) -> ssl.SSLContext:
    """A context that verifies chain, name and dates, by the usual authorities and the one of this file."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


@cache
def usual(*, verify: bool) -> ssl.SSLContext:
    """The context that httpx makes, once for the process: to read its certificates takes longer than a request."""
    return httpx.create_ssl_context(verify=verify, trust_env=False)


async def handshake(host: str, port: int, context: ssl.SSLContext, *, timeout: float = 10.0) -> Handshake:  # noqa: ASYNC109 - of the whole exchange
    """Shake hands once and hang up."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except TimeoutError:
        return Handshake(agreed=False, why="no answer in time")
    except ssl.SSLCertVerificationError as error:
        return Handshake(agreed=False, why=error.verify_message or str(error))
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        local = "no protocols available" in reason or (
            "unsupported protocol" in reason and "alert" not in reason
        )
        return Handshake(agreed=False, offered=not local or "version" in reason, why=reason)
    except OSError as error:
        return Handshake(agreed=False, why=str(error))
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return Handshake(agreed=True)


def offering(version: ssl.TLSVersion) -> ssl.SSLContext | None:
    """A context that offers this version only and takes any certificate; None where our library cannot."""
    context = _careless()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the old versions are what is asked about
            context.minimum_version = version
            context.maximum_version = version
            if version < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("ALL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    return context


def offering_weak() -> ssl.SSLContext | None:
    """A context that offers weak suites only; None where our library has none of them."""
    context = _careless()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{WEAK}:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    return context


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def listens(host: str, port: int, *, timeout: float = 5.0) -> bool:  # noqa: ASYNC109
    """Whether anything takes connections there."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port, family=socket.AF_UNSPEC)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
