"""A request of a transcript as a curl command that is safe to paste.

The transcript has digests where secrets were. They become shell variables, named for what they stand for;
all other text is quoted so that no shell interprets any of it, whoever wrote it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_reports.html.text import UNSEEN, visible

if TYPE_CHECKING:
    from auth_conformance.model import Derivation, Request

_LONGEST = 4000
_OUR_OWN = frozenset({"accept-encoding", "connection", "content-length", "host", "user-agent"})
# What the recorder writes where a secret was, and how a Secret prints itself.
_DIGEST = re.compile(
    r"\u2039[^\u2039\x00\n]{0,2000}?sha256:[0-9a-f]{8,64}\u203a|Secret\(sha256:[0-9a-f]{8,64}\)|sha256:[0-9a-f]{8,64}"
)
_SHORT = re.compile(r"sha256:([0-9a-f]{12})")
_FIELD = re.compile(r"[\"']?([A-Za-z][\w-]*)[\"']?\s*[=:]\s*[\"']?$")


@dataclass(frozen=True, slots=True)
class Curl:
    """The command, and for each placeholder in it what has to be put there."""

    command: str
    placeholders: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Names:
    """Hands out one variable per digest; `mark` leaves NUL-framed names in a text, which quoting resolves."""

    given: dict[str, str] = field(default_factory=dict)

    def name(self, kind: str, digest: str) -> str:
        if digest not in self.given:
            taken = set(self.given.values())
            number = next(n for n in range(1, len(taken) + 2) if _numbered(kind, n) not in taken)
            self.given[digest] = _numbered(kind, number)
        return f"\x00{self.given[digest]}\x00"

    def mark(self, text: str, kind: str | None = None) -> str:
        """Replace the digests in `text`, which holds no NUL; without `kind` the field before one names it."""

        def replace(match: re.Match[str]) -> str:
            before = _FIELD.search(text[max(0, match.start() - 80) : match.start()])
            return self.name(kind or _kind(before[1] if before else ""), match[0])

        return _DIGEST.sub(replace, text)


def _numbered(kind: str, number: int) -> str:
    return kind if number == 1 else f"{kind}_{number}"


def _kind(name: str) -> str:
    """Return the variable's name for a header, field or cookie name."""
    lowered = name.lower().replace("-", "_")
    for part, kind in (
        ("refresh", "REFRESH_TOKEN"),
        ("authorization", "TOKEN"),
        ("csrf", "CSRF_TOKEN"),
        ("token", "TOKEN"),
        ("key", "API_KEY"),
        ("pass", "PASSWORD"),
        ("sess", "SESSION"),
        ("cookie", "SESSION"),
    ):
        if part in lowered:
            return kind
    return "SECRET"


def curl(request: Request, *, base: str | None = None) -> Curl:
    """Return `request` as a curl command.

    `base` is what stands before its path: the address of the target, or the name of a variable for it, which
    replaces the origin of an absolute URL, too.
    """
    names = _Names()
    url = _clean(request.url)
    parts = urlsplit(url) if "://" in url[:10] else None
    extra: list[tuple[str, str]] = []
    marked = names.mark(url)
    origin = f"{parts.scheme}://{parts.netloc}" if parts and parts.netloc else ""
    if base and "://" in base:
        marked = marked if origin else base.rstrip("/") + marked
    elif base and (url.startswith("/") or (origin and marked.startswith(origin))):
        marked = f"\x00{base}\x00" + marked.removeprefix(origin)
        extra.append((f"${base}", "the address at which you have started the application"))
    words = [f"curl -i -g --path-as-is -X {_quote(_clean(request.method))} {_quote(marked)}"]
    for name, value in request.headers:
        if name.lower() not in _OUR_OWN:
            words.append(f"-H {_quote(_header(_clean(name), _clean(value), names))}")
    if request.body:
        body = names.mark(_clean(request.body))
        if len(body) > _LONGEST:
            body = "\x00BODY\x00"
            extra.append(
                ("$BODY", "the body of this request, too long for a command line: see the JSON report")
            )
        words.append(f"--data-raw {_quote(body)}")
    recipes = {recipe.digest: recipe for recipe in request.derived}
    legend = [
        (f"${name}", _made(name, recipes[short]) if short in recipes else f"the value shown as {digest}")
        for digest, name in names.given.items()
        for short in _SHORT.findall(digest)[-1:]
    ]
    return Curl(" \\\n  ".join(words), (*legend, *extra))


def _made(name: str, recipe: Derivation) -> str:
    """How the attacker's value is made: nobody can look it up, and the live one that it follows from expires."""
    live = f"a live credential in $LIVE (then: sha256:{recipe.base})"
    if recipe.signed is not None:
        return (
            f"{live}, with other claims and signed with the key shown as sha256:{recipe.signed.key}; "
            "the exported test makes it"
        )
    if any(piece[1] < 0 for piece in recipe.pieces if not isinstance(piece, str)):
        return f"{live}, altered; the exported test makes it"
    words = [
        shlex.quote(piece)
        if isinstance(piece, str)
        else f'"$(printf %s "$LIVE" | cut {_range(piece, recipe)})"'
        for piece in recipe.pieces
        if piece
    ]
    line = f"{name}={''.join(words)}"
    return f"made from {live}: {line}" if recipe.base else line


def _range(piece: tuple[int, int], recipe: Derivation) -> str:
    """What `cut` keeps: it counts from one, parts between dots or characters."""
    return f"{'-d. -f' if recipe.parts else '-c'}{piece[0] + 1}-{piece[1]}"


def _clean(text: str) -> str:
    """No argument of a program can hold a NUL: show where one was."""
    return text.replace("\x00", visible("\x00"))


def _header(name: str, value: str, names: _Names) -> str:
    """Return one header for `-H`, which takes `Name;` for an empty value."""
    if not value:
        return f"{name};"
    kind = None if name.lower() == "cookie" else _kind(name)
    return f"{name}: {names.mark(value, kind)}"


def _quote(text: str) -> str:
    """Quote for a POSIX shell or bash; the NUL-framed names in `text` stay variables."""
    pieces = text.split("\x00")
    literal = "".join(pieces[::2])
    if len(pieces) > 1 and not UNSEEN.search(literal) and not re.search(r"[\"$`\\!\n\t]", literal):
        return '"' + "".join(f"${{{p}}}" if i % 2 else p for i, p in enumerate(pieces)) + '"'
    return "".join(f'"${piece}"' if i % 2 else _literal(piece) for i, piece in enumerate(pieces)) or "''"


def _literal(text: str) -> str:
    if not text:
        return ""
    if not UNSEEN.search(text) and "\n" not in text and "\t" not in text:
        return shlex.quote(text)
    return "$'" + "".join(_ansi_c(char) for char in text) + "'"


def _ansi_c(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char not in "\n\t" and not UNSEEN.match(char):
        return char
    number = ord(char)
    if char.isascii():
        return f"\\x{number:02x}"
    if "\ud800" <= char <= "\udfff":  # half a character: no shell can write one
        return "\\ufffd"
    return f"\\u{number:04x}" if char <= "\uffff" else f"\\U{number:08x}"
