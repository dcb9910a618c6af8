"""What a message to a person holds: the token of its link or its code, and the host that the link leads to."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

_LINK = re.compile(r"https?://[^\s<>\"'\\]+", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:token|code|otp|pin|key|password|passcode)\b[^\S\r\n]*(?:is)?[^\S\r\n]*[:=]?[^\S\r\n]+(\S{4,})",
    re.IGNORECASE,
)
_LONE = re.compile(r"(?<![\w./-])(\d{4,8}|[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+){0,2})(?![\w/-])")
_NAMES = ("token", "code", "key", "otp", "t", "k", "reset", "confirmation", "verification", "secret", "id")
_SHORTEST = 4
# Bits per character below which a run of letters is a word: "verification" has about three.
_RANDOM = 20


@dataclass(frozen=True, slots=True)
class Letter:
    """What was read out of one message. `tokens` come likeliest first; `links` are its addresses."""

    text: str
    tokens: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def token(self) -> str | None:
        """The likeliest token."""
        return self.tokens[0] if self.tokens else None

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that the links of the message lead to, with their ports."""
        return frozenset(urlsplit(link).netloc.lower() for link in self.links)


def read(text: str) -> Letter:
    """Read a message: tokens in links, then tokens that the text names, then lone codes and random texts."""
    plain = html.unescape(text)
    links = tuple(dict.fromkeys(link.rstrip(".,;:!?)]}") for link in _LINK.findall(plain)))
    tokens: list[str] = []
    for link in links:
        tokens += _in_link(link)
    without = _LINK.sub(" ", plain)
    tokens += [found.strip(".,;:!?\"'<>()[]") for found in _NAMED.findall(without) if _codelike(found)]
    tokens += [found for found in _LONE.findall(without) if _tokenlike(found)]
    unique = tuple(dict.fromkeys(token for token in tokens if len(token) >= _SHORTEST))
    return Letter(plain, unique, links)


def _in_link(link: str) -> list[str]:
    try:
        parts = urlsplit(link)
    except ValueError:
        return []
    pairs = parse_qsl(parts.query) + parse_qsl(parts.fragment.lstrip("/?"))
    pairs += parse_qsl(parts.fragment.partition("?")[2])
    named = [value for name in _NAMES for key, value in pairs if key.lower() == name]
    named += [value for key, value in pairs if key.lower().endswith(("token", "code"))]
    segments = [part for part in parts.path.split("/") if _tokenlike(part)]
    return [*named, *reversed(segments), *(value for _, value in pairs if _tokenlike(value))]


def _tokenlike(text: str) -> bool:
    """Whether a text looks made by chance: digits, or long and with the entropy of a random one."""
    bare = text.strip(".,;:!?\"'<>()[]")
    if "@" in bare:
        return False
    if bare.isdigit():
        return len(bare) >= _SHORTEST
    has_digit = any(character.isdigit() for character in bare)
    return bool(bare) and (has_digit or len(bare) >= _RANDOM) and bits(bare) >= _RANDOM


def _codelike(text: str) -> bool:
    """Whether a text that follows the word "code" or "token" is one, and not the next word of the sentence."""
    return "@" not in text and (any(character.isdigit() for character in text) or _tokenlike(text))


def bits(text: str) -> float:
    """The Shannon entropy of a text over its own characters, times its length: a rough upper bound."""
    counts = Counter(text)
    return -sum(count * math.log2(count / len(text)) for count in counts.values()) if text else 0.0
