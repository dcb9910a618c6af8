"""Where a reply holds a value: a small language around JSON pointers, for whatever is no JSON.

`/data/token` is a JSON pointer and "" the whole body; `header Token` a header, without its scheme word;
`cookie sid` a cookie that is set, by this reply or by one before it; `mail code` the code in the message that the
request led to; `input csrf` a field of a form, in a page or listed in JSON; `query flow` a parameter of an address
that the body names; `text Hello, <b>{}</b>` what stands between two pieces of a page; `value fetch` the word itself,
for what is the same for everybody.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.pointer import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_READ = 400_000
_LONGEST = 200
_INPUT = re.compile(r"<(?:input|meta)\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""")
_SCHEME_WORD = re.compile(r"^(?:bearer|token|jwt)\s+", re.IGNORECASE)


class Readable(Protocol):
    """What of a reply can be read."""

    @property
    def json(self) -> Any:
        """The body as JSON data; None when it is none."""
        ...

    @property
    def text(self) -> str:
        """The body as text."""
        ...

    @property
    def earlier(self) -> Sequence[Readable]:
        """The replies to the requests that prepared this one."""
        ...

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        ...

    def header_lines(self, name: str) -> tuple[str, ...]:
        """All headers of that name."""
        ...


def found_at(reply: Readable, where: str) -> Any:
    """What `reply` holds at `where`; None when there is nothing."""
    kind, _, rest = where.partition(" ")
    if where.startswith("/") or not rest:
        return resolve(reply.json, where)
    match kind:
        case "header":
            value = reply.header(rest)
            return None if value is None else _SCHEME_WORD.sub("", value.strip())
        case "cookie":
            return _cookie(reply, rest)
        case "input":
            return _input(reply, rest)
        case "query":
            named = re.search(rf"[?&]{re.escape(rest)}=([^&\"'\\\s<#]+)", reply.text[:_READ])
            return unquote(named[1]) if named else None
        case "text":
            return _between(reply.text, rest)
        case "value":
            return rest
        case "mail":
            return None  # it is in no reply: whoever reads the mailbox knows it
        case _:
            return resolve(reply.json, where)


def is_place(where: str) -> bool:
    """Whether `where` is of this language: "", a pointer, or one of its words with a name."""
    kind, blank, rest = where.partition(" ")
    if not where or where.startswith("/"):
        return True
    if kind == "text":
        return rest.count("{}") == 1 and rest.strip() != "{}"
    return (
        kind in ("header", "cookie", "input", "query", "value", "mail") and bool(blank) and bool(rest.strip())
    )


def _cookie(reply: Readable, name: str) -> str | None:
    for one in (reply, *reversed(reply.earlier)):
        for line in one.header_lines("set-cookie"):
            cookie = parse_set_cookie(line)
            if cookie is not None and cookie.name == name and cookie.value:
                return cookie.value
    return None


def attributes(tag: str) -> dict[str, str]:
    """The attributes of an HTML tag, names in lower case, character references resolved."""
    return {
        match[1].lower(): html.unescape(match[2] or match[3] or match[4] or "")
        for match in _ATTRIBUTE.finditer(tag)
    }


def _input(reply: Readable, name: str) -> str | None:
    if reply.json is not None:
        return next((value for key, value in named_values(reply.json) if key == name), None)
    for tag in _INPUT.findall(reply.text[:_READ]):
        found = attributes(tag)
        if found.get("name") == name:
            return found.get("value", found.get("content", ""))
    return None


def named_values(document: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The fields that JSON lists as `{"name": …, "value": …}`, and its plain members that hold text."""
    if depth > 8:
        return
    if isinstance(document, list):
        for item in document[:50]:
            yield from named_values(item, depth + 1)
    if isinstance(document, dict):
        name, value = document.get("name"), document.get("value")
        if isinstance(name, str) and isinstance(value, str):
            yield name, value
        for key, item in document.items():
            if isinstance(item, str):
                yield str(key), item
            else:
                yield from named_values(item, depth + 1)


def _between(text: str, pattern: str) -> str | None:
    before, _, after = pattern.partition("{}")
    end = re.escape(after) or r"(?=[<\s])"
    found = re.search(rf"{re.escape(before)}(.{{1,{_LONGEST}}}?){end}", text[:_READ], re.DOTALL)
    return html.unescape(found[1].strip()) if found else None
