"""A request as it will be sent and a reply as it came: raw, in memory only, never written anywhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote, quote_plus, unquote, urlencode

from auth_conformance.model import NO_ANSWER
from auth_conformance.oracles.cookies import LONGEST_KEPT, parse_set_cookie
from auth_conformance.oracles.places import found_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# Replies are hostile input: no more than this many bytes of a body are read.
BODY_LIMIT = 1 << 20
# Answers that by their nature never end (WHATWG HTML, server-sent events; JSON lines; the push of browsers).
ENDLESS = ("text/event-stream", "application/x-ndjson", "application/jsonl", "multipart/x-mixed-replace")
# How long an endless answer is listened to after its head, in seconds.
STREAM_FOR = 1.0
# Where a message begins to quote what it is about, as in: Illegal header value b'Bearer …'.
_QUOTED = re.compile(r"\b[bru]{0,2}['\"]|['\"]|\bbytearray\(")
_MARK = re.compile(r"(?:\{\{|%7B%7B)([\w-]+)(?:\}\}|%7D%7D)", re.IGNORECASE)


# Between the parts of a multipart body.
_BOUNDARY = "auth-conformance-0b1c2d3e4f"
# How much of a page is read in search of the field that asks for a password.
_READ = 200_000
_PASSWORD_FIELD = re.compile(r"""<input\b[^>]*\btype\s*=\s*["']?password\b""", re.IGNORECASE)
# How a place begins that is a cookie of the reply's.
_COOKIE = "cookie "
# A place that is in no reply: the code in the message that a request leads to.
MAILED = "mail "


@dataclass(frozen=True, slots=True)
class Step:
    """A request that has to come before another one, and what the other takes from its reply.

    `takes` gives each mark its place in the reply (`auth_conformance.oracles.places`): `{{name}}` in the requests
    that follow stands for what is found there. `person` is the user name whose mail a place `mail …` means.
    """

    request: HttpRequest
    takes: tuple[tuple[str, str], ...] = ()
    person: str = ""

    @property
    def mailed(self) -> tuple[str, ...]:
        """The marks whose values come by mail."""
        return tuple(name for name, where in self.takes if where.startswith(MAILED))

    def read(self, reply: RawReply, sent: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """The values that the reply gives to the marks; "" for what it does not hold.

        `sent` are the cookies that went along: a browser keeps what it has where no new one is set.
        """
        found = {name: found_at(reply, where) for name, where in self.takes}
        cookies = {
            name: where.removeprefix(_COOKIE) for name, where in self.takes if where.startswith(_COOKIE)
        }
        found |= {name: sent.get(cookie) for name, cookie in cookies.items() if found[name] is None}
        # A script that copies a cookie into a header decodes it first (decodeURIComponent).
        decoded = cookies.keys()
        return {
            name: "" if value is None else unquote(str(value)) if name in decoded else str(value)
            for name, value in found.items()
        }


# What a pair among headers is called that stands for a member of the body: `body csrf_token`.
MEMBER = "body "


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `path` is the path as sent; header values may be raw bytes (obs-text, RFC 9110 §5.5).

    `target` replaces the whole request target byte for byte and needs the wire transport. `fresh` asks for
    a connection of its own. `source` is the loopback address to call from, where the target is on this machine:
    two people seldom share an address, and a limit that one of them meets is not the other's.
    `before` are requests that the recorder sends first, whose replies fill the marks in this one and whose cookies
    it takes along; `then` are sent after it with the cookies that it was given. `limit` is how many bytes of the
    reply are read.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str | bytes], ...] = ()
    body: bytes | None = None
    target: bytes | None = None
    fresh: bool = False
    source: str | None = None
    before: tuple[Step, ...] = ()
    then: tuple[HttpRequest, ...] = ()
    limit: int = BODY_LIMIT
    # How the operation wants its JSON to be called, such as application/vnd.api+json.
    json_type: str = "application/json"
    # The version that the request line names; only the wire transport can name another one.
    version: str = "1.1"

    @property
    def url(self) -> str:
        """Path and query, percent-encoded: what stands in the request line."""
        path = quote(self.path, safe="/%:@!$&'()*+,;=~-._")
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def header(self, name: str) -> str | bytes | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, *pairs: tuple[str, str | bytes]) -> Self:
        """Append headers; existing ones of the same name stay (some attacks send two).

        A pair named `body NAME` is no header (their names have no blanks): it becomes that member of the body.
        """
        headers = tuple(pair for pair in pairs if not pair[0].startswith(MEMBER))
        request = replace(self, headers=(*self.headers, *headers))
        for name, value in pairs:
            if name.startswith(MEMBER) and isinstance(value, str):
                request = request.with_member(name.removeprefix(MEMBER), value)
        return request

    def with_member(self, name: str, value: str) -> Self:
        """Put a member into the body, in the place of one of its name; a request that changes nothing stays as it is.

        So does a body that is neither a form nor a JSON object.
        """
        if self.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            return self
        if self.body is None:
            return self.with_form(((name, value),))
        kind, pair = str(self.header("content-type") or "").lower(), urlencode(((name, value),)).encode()
        if "json" in kind:
            try:
                data = json.loads(self.body)
            except ValueError:
                return self
            body = json.dumps({**data, name: value}).encode() if isinstance(data, dict) else self.body
        elif "urlencoded" in kind:
            kept = [
                part for part in self.body.split(b"&") if part.partition(b"=")[0] != pair.partition(b"=")[0]
            ]
            body = b"&".join((*filter(None, kept), pair))
        elif "boundary=" in kind:
            mark = b"--" + str(self.header("content-type")).partition("boundary=")[2].strip('" ').encode()
            part = f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            body = mark + part + self.body
        else:
            body = self.body
        return replace(self, body=body)

    def from_origin(self, origin: str) -> Self:
        """The request as a page of `origin` sends it; a page has one origin."""
        return replace(self, headers=(*self._without("origin"), ("Origin", origin)))

    def with_query(self, *pairs: tuple[str, str]) -> Self:
        """Append query parameters."""
        return replace(self, query=(*self.query, *pairs))

    def with_json(self, value: object) -> Self:
        """Carry `value` as a JSON body."""
        return replace(
            self,
            body=json.dumps(value, ensure_ascii=True).encode("ascii"),
            headers=(*self._without("content-type"), ("Content-Type", self.json_type)),
        )

    def beside(self, members: Mapping[str, object]) -> Self:
        """Carry `members` as JSON beside those that the body has: a procedure needs what says which one is meant."""
        own = (
            json.loads(self.body) if self.body and "json" in str(self.header("content-type")).lower() else {}
        )
        return self.with_json({**own, **members})

    def with_form(self, pairs: tuple[tuple[str, str], ...]) -> Self:
        """Carry `pairs` as an urlencoded form."""
        return replace(
            self,
            body=urlencode(pairs).encode("ascii"),
            headers=(*self._without("content-type"), ("Content-Type", "application/x-www-form-urlencoded")),
        )

    def with_parts(self, members: Mapping[str, Any], files: Collection[str] = ()) -> Self:
        """The request with a multipart body, one part per member (RFC 7578).

        A file is named after its value, and its content is every text that the form carries: what an object is
        known by shows wherever the service shows the file.
        """
        texts = "\n".join(str(value) for value in members.values() if isinstance(value, str))
        written = []
        for name, value in members.items():
            head = f'Content-Disposition: form-data; name="{name}"'
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if name in files:
                head += f'; filename="{text}.txt"\r\nContent-Type: text/plain'
                text = texts or text
            written.append(f"--{_BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n")
        body = "".join(written) + f"--{_BOUNDARY}--\r\n"
        kind = ("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
        headers = (*self._without("content-type"), kind)
        return replace(self, headers=headers, body=body.encode("utf-8", "surrogatepass"))

    def filled(self, values: Mapping[str, str]) -> Self:
        """The request with the marks `{{name}}` replaced, each as its place in the request spells values."""
        if not values:
            return self
        kind = str(self.header("content-type") or "")
        return replace(
            self,
            path=_fill(self.path, values),
            query=tuple((name, _fill(value, values)) for name, value in self.query),
            headers=tuple(
                (name, value if isinstance(value, bytes) else _fill(value, values))
                for name, value in self.headers
            ),
            body=None
            if self.body is None
            else _fill(
                self.body.decode("utf-8", "surrogateescape"),
                {
                    name: json.dumps(value)[1:-1] if "json" in kind else quote_plus(value)
                    for name, value in values.items()
                },
            ).encode("utf-8", "surrogateescape"),
        )

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it takes along, by name; none where they are raw bytes."""
        own = self.header("cookie")
        pairs = own.split(";") if isinstance(own, str) else ()
        return dict(pair.strip().split("=", 1) for pair in pairs if "=" in pair)

    def with_cookies(self, cookies: Mapping[str, str]) -> Self:
        """Take cookies along beside those that the request has; one that is named again replaces its like."""
        if not cookies or isinstance(self.header("cookie"), bytes):
            return self
        kept = self.cookies
        line = "; ".join(f"{name}={value}" for name, value in {**kept, **cookies}.items())
        return replace(self, headers=(*self._without("cookie"), ("Cookie", line)))

    def _without(self, name: str) -> tuple[tuple[str, str | bytes], ...]:
        return tuple(pair for pair in self.headers if pair[0].lower() != name)


def media_type(headers: Iterable[tuple[str, str]]) -> str:
    """Content type without parameters, lower case; "" if there is none."""
    found = next((value for name, value in headers if name.lower() == "content-type"), "")
    return found.split(";")[0].strip().lower()


def no_answer(within: float, took: float) -> RawReply:
    """The reply that did not come in time; both in seconds."""
    return RawReply(None, error=f"{NO_ANSWER} {within:g} s", took=took)


def never_sent(error: Exception) -> RawReply:
    """The reply to what our own client refused to put on the wire: why, without the value that it quotes."""
    why = _QUOTED.split(str(error), maxsplit=1)[0].strip(" :,") or type(error).__name__
    return RawReply(None, error=f"our client refused to send it: {why}", undelivered=True)


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply. `status` is None when none came, and `error` says why in a few words.

    `took` is in seconds; `ended` is when the whole of it was there, on the monotonic clock (0: not measured).
    `undelivered` is true when our own client refused to put the request on the wire:
    the target never saw it. `earlier` are the replies to the requests that prepared this one, `later` those to
    the requests that followed it. `soft` is true of a 2xx whose body says no, in the way of this service.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: str | None = None
    took: float = 0.0
    ended: float = 0.0
    undelivered: bool = False
    truncated: bool = False
    earlier: tuple[RawReply, ...] = ()
    later: tuple[RawReply, ...] = ()
    soft: bool = False
    _json: list[Any] = field(default_factory=list, compare=False, repr=False)

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def header_lines(self, name: str) -> tuple[str, ...]:
        """All headers of that name, in order."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def late(self) -> bool:
        """Whether no answer came in time: a service that is busy is not broken."""
        return self.status is None and (self.error or "").startswith(NO_ANSWER)

    @property
    def cut_short(self) -> bool:
        """Whether less of the body came than was announced (RFC 9112 §8): what is missing says nothing of its writer.

        Not for an answer to HEAD, which announces a body that never comes.
        """
        announced = self.header("content-length") or ""
        encoded = self.header("content-encoding") is not None
        short = announced.isdecimal() and not encoded and len(self.body) < int(announced)
        return self.truncated or (short and self.status not in (204, 304))

    @property
    def torn(self) -> bool:
        """Whether it is less than was meant: cut short, or called JSON and none. What it lacks is not gone."""
        named = self.media_type.endswith("json")
        return self.cut_short or (named and self.json is None and self.body.strip() not in (b"", b"null"))

    @property
    def media_type(self) -> str:
        """Content type without parameters, lower case; "" if there is none."""
        return media_type(self.headers)

    @property
    def text(self) -> str:
        """The body as UTF-8 text, wrong bytes replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON data; None when it is none."""
        if not self._json:
            try:
                self._json.append(json.loads(self.body))
            except (ValueError, RecursionError):
                self._json.append(None)
        return self._json[0]

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx, and the body does not take it back."""
        return self.status is not None and 200 <= self.status < 300 and not self.soft

    @property
    def granted(self) -> bool:
        """Whether a request that changes something was granted: 2xx, or a redirect as browsers get it."""
        return self.status is not None and 200 <= self.status < 400 and not self.soft

    @property
    def asks_for_password(self) -> bool:
        """Whether this is a page with a field for a password: how a form says no that is shown again with 200."""
        page = self.ok and "html" in self.media_type
        return page and _PASSWORD_FIELD.search(self.text[:_READ]) is not None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, by name, also those too long for browsers; those that it deletes are left out."""
        found = [parse_set_cookie(line, longest=LONGEST_KEPT) for line in self.header_lines("set-cookie")]
        return {cookie.name: cookie.value for cookie in found if cookie is not None and cookie.value}


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _MARK.sub(lambda match: values.get(match[1], match[0]), text)


class Transport(Protocol):
    """One request in, one reply out; failures are replies with an `error`, never exceptions."""

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver `request` once, following no redirect and adding no credential."""
        ...

    async def close(self) -> None:
        """Give back what the transport holds."""
