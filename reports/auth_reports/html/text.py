"""Text on its way into the page: unseen characters made visible, length capped, rule prose parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

# Controls except tab and line feed, soft hyphen, zero-width, bidi, interlinear, tag characters, surrogates:
# all that can hide, reorder or fake text on a page or in a terminal into which it is copied.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SPAN = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)
# A line of TOML: the head of a table, a comment, or a key with its value.
_SETTING = re.compile(r"\[\[?[\w.\"' -]+\]\]?(?: *#.*)?|#.*|[\w.\"-]+ = .+")
_BULLET = re.compile(r"(?:[-*]|\d+\.)\s+")


def visible(text: str) -> str:
    """Replace every character that hides or reorders text by its number, such as `⟦U+202E⟧`.

    Applying it twice changes nothing.
    """
    return UNSEEN.sub(lambda match: f"\u27e6U+{ord(match[0]):04X}\u27e7", text)


def finalize(value: object) -> object:
    """Jinja's last step before escaping: no expression of a template gets around `visible`."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)


def weight(text: str) -> int:
    """How many bytes `text` takes in the page, escaped."""
    return len(escape(text).encode())


def cut(text: str, limit: int) -> str:
    """Return the beginning of `text`, made visible, in at most `limit` bytes of UTF-8."""
    shown = visible(text[: limit + 1]).encode()
    return shown[:limit].decode(errors="ignore")


def short(text: str, limit: int = 1000) -> str:
    """Return `text`, made visible, with an ellipsis where the rest was left out."""
    shown = cut(text, limit)
    return shown if len(text) <= limit and shown == visible(text) else shown + " \u2026"


def slug(text: str) -> str:
    """Return `text` as part of an element id."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "x"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text inside a paragraph, code or not."""

    text: str
    code: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or list item (`spans`), or a block of code (`code`)."""

    kind: Literal["p", "li", "code"]
    spans: tuple[Span, ...] = ()
    code: str = ""


def prose(text: str) -> tuple[Block, ...]:
    """Parse the little Markdown that rule texts use: paragraphs, bullets, `code` and indented code."""
    blocks: list[Block] = []
    lines = text.expandtabs(4).strip("\n").splitlines()
    while lines:
        if not lines[0].strip():
            lines.pop(0)
        elif lines[0].startswith("    "):
            blocks.append(Block("code", code=_code(lines)))
        else:
            blocks.append(_paragraph(lines))
    return tuple(blocks)


def remedy(text: str) -> tuple[Block, ...]:
    """Parse what to do: lines of configuration are code, that people copy, and the rest is prose."""
    lines = text.splitlines()
    return prose("\n".join(f"    {line}" if _SETTING.fullmatch(line) else line for line in lines))


def _code(lines: list[str]) -> str:
    """Take the indented lines at the start of `lines`; blank ones belong to them until text follows."""
    taken: list[str] = []
    while lines and (lines[0].startswith("    ") or not lines[0].strip()):
        taken.append(lines.pop(0)[4:])
    return "\n".join(taken).rstrip()


def _paragraph(lines: list[str]) -> Block:
    """Take one paragraph or one bullet from the start of `lines`."""
    first = lines.pop(0).strip()
    bullet = _BULLET.match(first)
    taken = [first[bullet.end() :] if bullet else first]
    while lines and lines[0].strip() and not _BULLET.match(lines[0].strip()):
        if lines[0].startswith("    ") and not bullet:
            break
        taken.append(lines.pop(0).strip())
    return Block("li" if bullet else "p", spans=spans(" ".join(taken)))


def spans(text: str) -> tuple[Span, ...]:
    """Split a line of prose at its backticks."""
    found: list[Span] = []
    end = 0
    for match in _SPAN.finditer(text):
        found.append(Span(text[end : match.start()], code=False))
        found.append(Span(match[2].strip() if len(match[1]) > 1 else match[2], code=True))
        end = match.end()
    found.append(Span(text[end:], code=False))
    return tuple(span for span in found if span.text)
