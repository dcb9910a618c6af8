"""Texts of a target as Python: nothing in them can end a literal, a comment or a docstring."""

from __future__ import annotations

import re

_UNSEEN = re.compile(r"[^\x20-\x7e]")


def kind(name: str) -> str:
    """What a secret in a member or header of this name is called in a test."""
    lowered = re.sub(r"\W+", "_", name.lower())
    for part, word in (
        ("refresh", "refresh_token"),
        ("authorization", "token"),
        ("csrf", "csrf_token"),
        ("token", "token"),
        ("key", "api_key"),
        ("pass", "password"),
        ("sess", "session"),
        ("cookie", "session"),
    ):
        if part in lowered:
            return word
    return "secret"


def joined(pieces: list[str]) -> str:
    """One expression; literals side by side become one."""
    merged: list[str] = []
    for piece in pieces:
        if merged and piece.startswith('"') and merged[-1].startswith('"'):
            merged[-1] = merged[-1][:-1] + piece[1:]
        else:
            merged.append(piece)
    return " + ".join(merged) if merged else '""'


def literal(text: str) -> str:
    """A Python string literal in ASCII with double quotes: nothing of a target can end it or hide in it."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    number = ord(character)
    return f"\\U{number:08x}" if number > 0xFFFF else f"\\u{number:04x}"


def comment(text: str) -> str:
    """One line for a comment or docstring, without what could end it or steer a terminal."""
    line = _UNSEEN.sub("?", " ".join(text.split()))
    return line.replace("\\", "/").replace('"""', "'''")[:400]
