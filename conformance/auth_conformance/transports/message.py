"""A request as it will be sent and a reply as it came: raw, in memory only, never written anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self
from urllib.parse import quote, urlencode

# Replies are hostile input: no more than this many bytes of a body are read.
BODY_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `path` is the path as sent; header values may be raw bytes (obs-text, RFC 9110 §5.5).

    `target` replaces the whole request target byte for byte and needs the wire transport. `fresh` asks for
    a connection of its own. `source` is the loopback address to call from, where the target is on this machine:
    two people seldom share an address, and a limit that one of them meets is not the other's.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str | bytes], ...] = ()
    body: bytes | None = None
    target: bytes | None = None
    fresh: bool = False
    source: str | None = None

    @property
    def url(self) -> str:
        """Path and query, percent-encoded: what stands in the request line."""
        path = quote(self.path, safe="/%:@!$&'()*+,;=~-._")
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def header(self, name: str) -> str | bytes | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, *pairs: tuple[str, str | bytes]) -> Self:
        """Append headers; existing ones of the same name stay (some attacks send two)."""
        return replace(self, headers=(*self.headers, *pairs))

    def with_query(self, *pairs: tuple[str, str]) -> Self:
        """Append query parameters."""
        return replace(self, query=(*self.query, *pairs))

    def with_json(self, value: object) -> Self:
        """Carry `value` as a JSON body."""
        return replace(
            self,
            body=json.dumps(value, ensure_ascii=True).encode("ascii"),
            headers=(*self._without("content-type"), ("Content-Type", "application/json")),
        )

    def with_form(self, pairs: tuple[tuple[str, str], ...]) -> Self:
        """Carry `pairs` as an urlencoded form."""
        return replace(
            self,
            body=urlencode(pairs).encode("ascii"),
            headers=(*self._without("content-type"), ("Content-Type", "application/x-www-form-urlencoded")),
        )

    def _without(self, name: str) -> tuple[tuple[str, str | bytes], ...]:
        return tuple(pair for pair in self.headers if pair[0].lower() != name)


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply. `status` is None when none came, and `error` says why in a few words.

    `took` is in seconds. `undelivered` is true when our own client refused to put the request on the wire:
    the target never saw it.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: str | None = None
    took: float = 0.0
    undelivered: bool = False
    truncated: bool = False
    _json: list[Any] = field(default_factory=list, compare=False, repr=False)

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def header_lines(self, name: str) -> tuple[str, ...]:
        """All headers of that name, in order."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def media_type(self) -> str:
        """Content type without parameters, lower case; "" if there is none."""
        return (self.header("content-type") or "").split(";")[0].strip().lower()

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
        """Whether the status is 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Transport(Protocol):
    """One request in, one reply out; failures are replies with an `error`, never exceptions."""

    async def send(self, request: HttpRequest) -> RawReply:
        """Deliver `request` once, following no redirect and adding no credential."""
        ...

    async def close(self) -> None:
        """Give back what the transport holds."""
