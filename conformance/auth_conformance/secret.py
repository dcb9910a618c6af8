"""The type of a secret: printing, formatting or pickling one never shows its text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

# Options of other plugins may take a secret as their value; one that takes the name of a variable does not.
_TAKES_SECRET = re.compile(r"--?[\w-]*(?:pass|secret|token|api-?key)[\w-]*(?<!-env)(?<!-file)", re.IGNORECASE)
_IN_VALUE = re.compile(
    r"(://[^:/@\s]*:)[^/@\s]+(?=@)|((?:pass\w*|secret|token|api_?key)=)[^&\s]+", re.IGNORECASE
)
_HIDDEN = "***"


class Secret:
    """A password, token, key or cookie value.

    `repr`, `str` and formatting show the first twelve hexadecimal digits of its SHA-256, which is enough
    to see in a transcript that two requests carried the same value. Only transports and credentials call
    `reveal`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap `text`; the empty string is a legal secret (some attacks send it)."""
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, to be sent and never to be stored."""
        return self._text

    @property
    def digest(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of the text."""
        return hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Secret(sha256:{self.digest})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is never serialised")


def without_secrets(words: Iterable[str]) -> list[str]:
    """The words of a command line as a report may repeat them: stars for what an option or a URL gives away."""
    found: list[str] = []
    expected = False
    for word in words:
        name, sign, _ = word.partition("=")
        if expected and not word.startswith("-"):
            found.append(_HIDDEN)
            expected = False
            continue
        expected = bool(_TAKES_SECRET.fullmatch(name)) and not sign
        if sign and _TAKES_SECRET.fullmatch(name):
            found.append(f"{name}={_HIDDEN}")
        else:
            found.append(_IN_VALUE.sub(lambda match: f"{match[1] or match[2]}{_HIDDEN}", word))
    return found
