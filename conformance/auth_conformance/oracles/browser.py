"""What makes an answer inert in a browser and unfit for caches: headers in, sentences out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from auth_conformance.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

# A year (ASVS V3.4.1).
HSTS_SECONDS = 31_536_000
_SINGLE = (
    "x-content-type-options",
    "strict-transport-security",
    "referrer-policy",
    "x-frame-options",
    "cache-control",
)
# What caches store without being told for how long (RFC 9110 §15.1).
_STORED = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410})
_POLICIES = {
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
}

Fault = tuple[str, str, Severity]


class Answered(Protocol):
    """The part of a reply that is looked at."""

    @property
    def status(self) -> int | None: ...  # noqa: D102
    @property
    def media_type(self) -> str: ...  # noqa: D102
    def header(self, name: str) -> str | None: ...  # noqa: D102
    def header_lines(self, name: str) -> tuple[str, ...]: ...  # noqa: D102


def header_faults(reply: Answered, *, https: bool, page: bool = False) -> list[Fault]:
    """What one answer lacks: header, what is wrong with it, and how grave that is.

    `page` is an HTML page that is meant to be one; `https` says that the answer came over TLS.
    """
    found = [("X-Content-Type-Options", text, Severity.LOW) for text in _sniffing(reply)]
    found += [("Content-Security-Policy", text, Severity.LOW) for text in _policy(reply, page=page)]
    found += [("Referrer-Policy", text, Severity.LOW) for text in _referrer(reply)]
    if https:
        found += [("Strict-Transport-Security", text, Severity.LOW) for text in _transport(reply)]
    found += _content_type(reply, page=page)
    for name in _SINGLE:
        lines = {line.strip().lower() for line in reply.header_lines(name)}
        if len(lines) > 1:
            found.append((name.title(), "is sent twice with different values", Severity.LOW))
    return found


def _sniffing(reply: Answered) -> Iterable[str]:
    value = reply.header("x-content-type-options")
    if value is None:
        yield "is missing"
    elif value.split(",")[0].strip().lower() != "nosniff":
        yield f"is {value[:30]!r}, not nosniff"


def _policy(reply: Answered, *, page: bool) -> Iterable[str]:
    lines = reply.header_lines("content-security-policy")
    if not lines:
        yield "is missing"
        return
    # Several policies apply together (CSP Level 3 §4.2): each directive has to stand in one of them.
    directives: dict[str, str] = {}
    for part in ",".join(lines).replace(",", ";").split(";"):
        name, _, value = part.strip().partition(" ")
        directives.setdefault(name.lower(), value.strip().lower())
    if "frame-ancestors" not in directives:
        yield "has no frame-ancestors, which default-src does not replace"
    if not page and directives.get("default-src") != "'none'":
        yield "does not say default-src 'none', although there is nothing to load"


def _referrer(reply: Answered) -> Iterable[str]:
    value = reply.header("referrer-policy")
    if value is None:
        yield "is missing"
        return
    known = [word.strip().lower() for word in value.split(",") if word.strip().lower() in _POLICIES]
    if not known or known[-1] == "unsafe-url":
        yield f"is {value[:40]!r}, which sends whole URLs everywhere"


def _transport(reply: Answered) -> Iterable[str]:
    value = reply.header("strict-transport-security")
    if value is None:
        yield "is missing"
        return
    seconds = re.search(r"max-age\s*=\s*\"?(\d+)", value, re.IGNORECASE)
    if seconds is None or int(seconds[1][:18]) < HSTS_SECONDS:
        yield "lasts less than a year"
    elif "includesubdomains" not in value.lower():
        yield "leaves out the sub-domains"


def _content_type(reply: Answered, *, page: bool) -> Iterable[Fault]:
    status = reply.status or 0
    value = reply.header("content-type")
    length = reply.header("content-length")
    if value is None:
        if status not in (204, 304) and length != "0":
            yield "Content-Type", "is missing", Severity.LOW
        return
    if reply.media_type.startswith("text/") and "charset=" not in value.lower():
        yield "Content-Type", "names no charset", Severity.LOW
    if not page and reply.media_type == "text/html" and status >= 400:
        yield "Content-Type", "is HTML for an error of an interface that speaks JSON", Severity.MEDIUM


def directives(reply: Answered) -> set[str]:
    """The directives of Cache-Control in lower case, values taken off."""
    joined = ",".join(reply.header_lines("cache-control"))
    return {part.split("=")[0].strip().lower() for part in joined.split(",") if part.strip()}


def vary(reply: Answered) -> set[str]:
    """The names in Vary, in lower case."""
    return {
        part.strip().lower()
        for line in reply.header_lines("vary")
        for part in line.split(",")
        if part.strip()
    }


def cacheable(reply: Answered) -> bool:
    """Whether a cache may keep the answer at all (RFC 9111 §3): successes and redirects without `no-store`."""
    return "no-store" not in directives(reply) and (reply.status or 0) in _STORED


def refusal_fault(reply: Answered) -> str | None:
    """What lets a cache keep a refusal and give it to whoever comes with a credential; None when nothing does.

    Caches keep no 401 of their own accord (RFC 9111 §3): only words that allow it count.
    """
    said = directives(reply)
    if said & {"no-store", "no-cache", "private"} or not said & {"public", "s-maxage", "max-age"}:
        return None
    aged = re.findall(r"(?:s-maxage|max-age)\s*=\s*\"?(\d+)", (reply.header("cache-control") or "").lower())
    if aged and not any(int(age) for age in aged):
        return None
    return f"lets caches keep its refusal ({', '.join(sorted(said))})"


def cache_fault(
    reply: Answered, *, issues: bool, carrier: str, posted: bool = False
) -> tuple[str, Severity] | None:
    """What is wrong with the cache headers of private data; None when nothing is.

    `issues` says that the answer holds a credential. `carrier` is where the request carried its own: shared
    caches hold back answers to `Authorization` (RFC 9111 §3.5), and to nothing else. What was `posted` is kept only
    where its answer says how long it is fresh (RFC 9110 §9.3.3).
    """
    said = directives(reply)
    fresh = bool(said & {"public", "max-age", "s-maxage"}) or reply.header("expires") is not None
    if "no-store" in said or (posted and not issues and not fresh):
        return None
    if said & {"public", "s-maxage"}:
        return f"is marked for shared caches ({', '.join(sorted(said))})", Severity.HIGH
    if issues:
        return "issues a credential without Cache-Control: no-store", Severity.MEDIUM
    private = "private" in said
    if carrier == "cookie" and not private and "cookie" not in vary(reply) and "*" not in vary(reply):
        return "depends on a cookie and says neither private nor Vary: Cookie", Severity.MEDIUM
    return "is private data without Cache-Control: no-store", Severity.LOW
