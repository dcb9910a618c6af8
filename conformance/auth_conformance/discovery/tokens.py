"""What a login reply issued: tokens found by their shape first and their names second, and cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Jwt
from auth_conformance.discovery.names import mentions, names, plain, rank
from auth_conformance.oracles.cookies import LONGEST_KEPT, SetCookie, parse_set_cookie
from auth_conformance.oracles.pointer import strings

if TYPE_CHECKING:
    from auth_conformance.transports.message import RawReply

_SHORTEST = 16
_VARIED = 7
_OPAQUE = re.compile(r"[A-Za-z0-9._~+/=|:$-]+")
_NOT_A_TOKEN = re.compile(r"https?://|^\d{4}-\d\d-\d\d[T ]|^[\d.]+$")


@dataclass(frozen=True, slots=True)
class Issued:
    """Something in a reply that may be a credential: at a JSON pointer, or in the cookie of that name."""

    value: str
    pointer: str | None = None
    cookie: str | None = None


def opaque(text: str) -> bool:
    """Whether a text looks like a token: long, without blanks, of many different characters."""
    return (
        len(text) >= _SHORTEST
        and len(set(text)) >= _VARIED
        and _OPAQUE.fullmatch(text) is not None
        and _NOT_A_TOKEN.search(text) is None
    )


def names_csrf(name: str) -> bool:
    """Whether something is named for CSRF, also in the middle of a word that nothing divides."""
    return mentions(name, names("tokens", "csrf")) or any(word in name.lower() for word in ("csrf", "xsrf"))


def issued(reply: RawReply) -> list[Issued]:
    """Everything in a reply that may authenticate: tokens by name and shape, likeliest first, cookies."""
    cookies = [
        Issued(cookie.value, cookie=cookie.name)
        for cookie in live_cookies(reply)
        if not names_csrf(cookie.name) and not _refreshing(cookie)
    ]
    ranked: list[tuple[int, Issued]] = []
    for pointer, value in strings(reply.json).items():
        name = pointer.rsplit("/", 1)[-1]
        if not isinstance(value, str) or not value or "refresh" in plain(name) or names_csrf(name):
            continue
        place = rank(name, names("tokens", "access"))
        jwt = Jwt.parse(value) is not None
        if not (jwt or opaque(value)) or (not jwt and rank(name, names("tokens", "never")) is not None):
            continue
        ranked.append((place if place is not None else (20 if jwt else 40), Issued(value, pointer=pointer)))
    for name, value in reply.headers:
        word, _, rest = value.strip().rpartition(" ")
        named = rank(name, names("tokens", "headers")) is not None
        worded = word.lower() in ("", "bearer", "token", "jwt")
        if named and worded and (opaque(rest) or Jwt.parse(rest) is not None):
            ranked.append((30, Issued(rest, pointer=f"header {name.title()}")))
    if not ranked:
        ranked = _named_only(reply)
    tokens = [item for _, item in sorted(ranked, key=lambda pair: pair[0])]
    return tokens[:3] + cookies[:3]


def kept(reply: RawReply) -> list[Issued]:
    """The cookies of the visit before a login: what authenticates where the login itself issues nothing."""
    cookies = {cookie.name: cookie for one in reply.earlier for cookie in live_cookies(one)}
    return [Issued(item.value, cookie=name) for name, item in cookies.items() if not names_csrf(name)][:3]


def _named_only(reply: RawReply) -> list[tuple[int, Issued]]:
    """What is named like a token and does not look like one: who counts sessions issues "S5001"."""
    found = []
    for pointer, value in strings(reply.json).items():
        name = pointer.rsplit("/", 1)[-1]
        place = rank(name, names("tokens", "access"))
        if place is None or names_csrf(name) or rank(name, names("tokens", "never")) is not None:
            continue
        if isinstance(value, str) and _OPAQUE.fullmatch(value) is not None:
            found.append((place, Issued(value, pointer=pointer)))
    return found


def refresh_pointer(reply: RawReply) -> str | None:
    """Where the refresh token stands in a reply, if there is one."""
    for pointer, value in strings(reply.json).items():
        name = pointer.rsplit("/", 1)[-1]
        if isinstance(value, str) and len(value) >= _SHORTEST and not _NOT_A_TOKEN.search(value):
            parent = pointer.split("/")[-2] if pointer.count("/") > 1 else ""
            if rank(name, names("tokens", "refresh")) is not None:
                return pointer
            if rank(parent, names("tokens", "refresh")) is not None and "token" in name.lower():
                return pointer
    return None


def refresh_cookie(reply: RawReply) -> SetCookie | None:
    """The cookie that holds the refresh token, if there is one."""
    return next((cookie for cookie in live_cookies(reply) if _refreshing(cookie)), None)


def _refreshing(cookie: SetCookie) -> bool:
    """Whether a cookie is named for refreshing, or is sent only to paths that are (RFC 6265 §5.1.4)."""
    path = cookie.attribute("path") or ""
    named = "refresh" in plain(cookie.name) or mentions(cookie.name, names("tokens", "refresh_cookies"))
    return named or mentions(path, names("refresh"))


def csrf_place(reply: RawReply) -> str | None:
    """Where a login reply, or one before it, gives a CSRF token: in its JSON, else in a readable cookie."""
    cookies = [cookie for one in (reply, *reply.earlier) for cookie in live_cookies(one)]
    named = [cookie.name for cookie in cookies if names_csrf(cookie.name)]
    named.sort(key=lambda name: "refresh" in name.lower())
    return csrf_pointer(reply.json) or (f"cookie {named[0]}" if named else None)


def csrf_header_for(place: str) -> str:
    """The header that goes with a CSRF cookie of that name, as the frameworks have it."""
    name = place.partition(" ")[2].lower()
    return {"xsrf-token": "X-XSRF-TOKEN", "csrftoken": "X-CSRFToken", "_xsrf": "X-XSRFToken"}.get(
        name, "X-CSRF-Token"
    )


def csrf_pointer(data: Any) -> str | None:
    """Where a reply gives a CSRF token, if it does: by the member's name, or beside the header that it goes into."""
    if csrf_header_named(data) is not None:
        return "/token"
    return next(
        (
            pointer
            for pointer, value in strings(data).items()
            if isinstance(value, str) and names_csrf(pointer.rsplit("/", 1)[-1])
        ),
        None,
    )


def csrf_header_named(data: Any) -> str | None:
    """The header that a reply names for the token in it: `{"headerName": …, "token": …}`, as Spring Security has it."""
    if not isinstance(data, dict) or not isinstance(data.get("token"), str):
        return None
    name = data.get("headerName")
    return name if isinstance(name, str) and names_csrf(name) else None


def live_cookies(reply: RawReply) -> list[SetCookie]:
    """The cookies that a reply sets and does not delete in the same breath."""
    found = [parse_set_cookie(line, longest=LONGEST_KEPT) for line in reply.header_lines("set-cookie")]
    return [cookie for cookie in found if cookie is not None and cookie.value and not _ended(cookie)]


def deletes_cookie(reply: RawReply, name: str) -> bool:
    """Whether a reply tells browsers to forget the cookie of that name."""
    found = [parse_set_cookie(line) for line in reply.header_lines("set-cookie")]
    return any(item is not None and item.name == name and (not item.value or _ended(item)) for item in found)


def _ended(cookie: SetCookie) -> bool:
    age = cookie.attribute("max-age")
    if age is not None:
        return age.strip().lstrip("-").isdecimal() and int(age) <= 0
    expires = cookie.attribute("expires")
    if not expires:
        return False
    try:
        moment = parsedate_to_datetime(expires)
    except (ValueError, TypeError):
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= datetime.now(UTC)
