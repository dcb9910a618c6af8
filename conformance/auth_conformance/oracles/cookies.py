"""Set-Cookie lines taken apart as RFC 6265bis §5.6 orders it, without the semantics of a jar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

# RFC 6265bis §5.6: browsers ignore a cookie whose name and value are longer, in bytes ...
LONGEST_PAIR = 4096
# ... and an attribute whose value is longer.
LONGEST_ATTRIBUTE = 1024
# Clients that are no browsers keep a longer cookie: a login is one all the same. Beyond this nobody looks.
LONGEST_KEPT = 1 << 16
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# RFC 6265bis §5.1.1: what separates the words of a date; commas among them.
_NOT_IN_DATES = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_CLOCK = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D.*)?", re.DOTALL | re.ASCII)
_DAY = re.compile(r"(\d{1,2})(?:\D.*)?", re.DOTALL | re.ASCII)
_YEAR = re.compile(r"(\d{2,4})(?:\D.*)?", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One cookie as sent: attribute names in lower case, first to last; later ones win (RFC 6265bis)."""

    name: str
    value: str
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """Return the last value of that attribute, "" when it has none, None when it is absent."""
        found = [value for key, value in self.attributes if key == name.lower()]
        return found[-1] if found else None

    @property
    def secure(self) -> bool:
        """Whether browsers send it over https only."""
        return self.attribute("secure") is not None

    @property
    def http_only(self) -> bool:
        """Whether scripts cannot read it."""
        return self.attribute("httponly") is not None

    @property
    def same_site(self) -> str | None:
        """`lax`, `strict`, `none`, another word, or None when absent."""
        value = self.attribute("samesite")
        return None if value is None else value.lower()

    @property
    def scope(self) -> tuple[str, str]:
        """Domain and path: a cookie of another scope is another cookie. "" is the default of either."""
        path = self.attribute("path") or ""
        return (self.attribute("domain") or "").lower().removeprefix("."), path if path.startswith(
            "/"
        ) else ""

    @property
    def prefix(self) -> str:
        """`__Host-` or `__Secure-` when the name claims it, in any capitalisation; else ""."""
        lower = self.name.lower()
        return next((prefix for prefix in ("__Host-", "__Secure-") if lower.startswith(prefix.lower())), "")

    def prefix_faults(self) -> tuple[str, ...]:
        """Return what the name's prefix demands and the cookie lacks: browsers ignore it then (§4.1.3)."""
        faults = [] if self.secure or not self.prefix else [f"{self.prefix} without Secure"]
        if self.prefix == "__Host-":
            if self.scope[1] != "/":
                faults.append("__Host- without Path=/")
            if self.attribute("domain"):
                faults.append("__Host- with Domain")
        return tuple(faults)

    def lifetime(self, now: datetime) -> float | None:
        """How many seconds a browser keeps it; None for as long as the browser runs (§5.7).

        Raises ValueError when only an Expires says so, and no browser can read it.
        """
        age = self.attribute("max-age")
        if age is not None and re.fullmatch(r"-?\d+", age, re.ASCII):
            return float(age)
        text = self.attribute("expires")
        if text is None:
            return None
        expires = parse_date(text)
        if expires is None:
            raise ValueError("unreadable Expires")
        return (expires - now).total_seconds()

    def deletes(self, now: datetime) -> bool:
        """Whether a browser forgets the cookie on this line. Max-Age wins over Expires (§5.7)."""
        age = self.attribute("max-age")
        if age is not None and re.fullmatch(r"-?\d+", age, re.ASCII):
            return int(age) <= 0
        expires = parse_date(self.attribute("expires") or "")
        return expires is not None and expires <= now


def oversized(line: str) -> SetCookie | None:
    """The cookie in a Set-Cookie line that browsers ignore because name and value are too long; else None."""
    if parse_set_cookie(line) is not None:
        return None
    return parse_set_cookie(line, longest=len(line.encode("utf-8", "surrogatepass")))


def parse_cookie(lines: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs in Cookie header values, in order, as they were sent (RFC 6265bis §5.8.3).

    Nothing is decoded, unquoted or merged: two cookies of one name are two pairs. A part without `=` is a
    cookie without a name; empty parts are nothing.
    """
    pairs = []
    for line in lines:
        for part in line.split(";"):
            name, equals, value = part.partition("=")
            name, value = (name.strip(" \t"), value.strip(" \t")) if equals else ("", part.strip(" \t"))
            if name or value:
                pairs.append((name, value))
    return pairs


def write_cookie(pairs: Iterable[tuple[str, str]]) -> str:
    """A Cookie header value with these pairs in this order (RFC 6265bis §5.8.3)."""
    return "; ".join(f"{name}={value}" if name else value for name, value in pairs)


def parse_set_cookie(line: str, *, longest: int = LONGEST_PAIR) -> SetCookie | None:
    """Take one Set-Cookie header value apart; None for what a browser ignores (RFC 6265bis §5.6)."""
    if _CONTROL.search(line):
        return None
    pair, _, rest = line.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if (not name and not value) or len((name + value).encode("utf-8", "surrogatepass")) > longest:
        return None
    if not name and value.lower().startswith(("__secure-", "__host-")):
        return None  # §5.7: a nameless cookie must not look like a prefixed one when it is sent back
    attributes = []
    for part in rest.split(";") if rest else []:
        key, _, text = part.partition("=")
        key, text = key.strip(" \t"), text.strip(" \t")
        if key and len(text) <= LONGEST_ATTRIBUTE:
            attributes.append((key.lower(), text))
    return SetCookie(name, value, tuple(attributes))


def parse_date(text: str) -> datetime | None:  # noqa: C901 - the steps of RFC 6265bis §5.1.1, in its order
    """Return an Expires date as browsers read it, in UTC; None when they ignore it."""
    time: tuple[int, int, int] | None = None
    day = month = year = None
    for token in _NOT_IN_DATES.split(text):
        if time is None and (found := _CLOCK.fullmatch(token)):
            time = (int(found[1]), int(found[2]), int(found[3]))
        elif day is None and (found := _DAY.fullmatch(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(token)):
            year = int(found[1])
    if time is None or day is None or month is None or year is None:
        return None
    if 70 <= year <= 99:
        year += 1900
    elif year <= 69:
        year += 2000
    if year < 1601:
        return None
    try:
        return datetime(year, month, day, *time, tzinfo=UTC)
    except ValueError:
        return None


def reach_of(lines: Iterable[str], name: str) -> str:
    """Where browsers send the cookie that these Set-Cookie lines set: its SameSite, `absent` when it says nothing."""
    for line in lines:
        cookie = parse_set_cookie(line)
        if cookie is not None and cookie.name == name:
            return cookie.same_site or "absent"
    return "absent"
