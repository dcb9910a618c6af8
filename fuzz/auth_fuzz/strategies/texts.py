"""API keys: the text of a live one, trimmed, stretched, mixed, folded, and put into other places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from auth_conformance.credentials import Credential
from auth_conformance.model import Severity
from auth_fuzz.strategies.attack import Attack, Headers, Material

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

WILD = ("*", "%", "_", "' OR '1'='1", "null", "undefined", "true", "0", "[]", "{}", "\\", "../", "%00", "?")
AFTER = ("a", "=", "%20", "%00", ".", ":", ";", ",", "/", "#", "_", "-", "AAAAAAAAAAAA")


def edited_texts(text: str, other: str | None) -> SearchStrategy[tuple[str, str]]:
    """Texts near a live credential, each with the words for it; never a live one itself.

    What is drawn depends on the length of the text alone, never on its letters: those are new in every run, and one
    seed must search alike in all of them.
    """
    length = len(text)
    choices: list[SearchStrategy[tuple[str, str]]] = [
        st.integers(0, length - 1).map(
            lambda size: (f"its first {size} of {length} characters", text[:size])
        ),
        st.tuples(st.integers(0, length - 1), st.sampled_from("aAb0_-")).map(
            lambda pair: (
                f"character {pair[0]} changed to {pair[1]!r}",
                text[: pair[0]] + pair[1] + text[pair[0] + 1 :],
            )
        ),
        st.integers(0, length - 1).map(
            lambda place: (f"character {place} left out", text[:place] + text[place + 1 :])
        ),
        st.sampled_from(AFTER).map(lambda tail: (f"{tail!r} after it", text + tail)),
        st.sampled_from(AFTER).map(lambda head: (f"{head!r} before it", head + text)),
        st.sampled_from(
            [
                ("all in capitals", text.upper()),
                ("all in small letters", text.lower()),
                ("with its case swapped", text.swapcase()),
                ("written twice", text + text),
                ("backwards", text[::-1]),
                ("in quotes", f'"{text}"'),
            ]
        ),
        st.integers(0, length).map(
            lambda place: (
                f"case swapped from character {place}",
                text[:place] + text[place:].swapcase(),
            )
        ),
        st.sampled_from(WILD).map(lambda wild: (f"{wild!r} instead of it", wild)),
        st.tuples(st.integers(0, length), st.sampled_from(WILD)).map(
            lambda pair: (f"its first {pair[0]} characters and {pair[1]!r}", text[: pair[0]] + pair[1])
        ),
    ]
    if other is not None:
        choices.append(
            st.integers(1, max(length - 1, 1)).map(
                lambda place: (
                    f"its first {place} characters and the rest of another user's",
                    text[:place] + other[place:],
                )
            )
        )

    def unlike(pair: tuple[str, str]) -> tuple[str, str]:
        """The pair, or where the edit changed nothing (a letter for itself) another one: a filter would draw again."""
        same = pair[1].strip() == text or pair[1] == (other or "")
        return (f"{AFTER[0]!r} after it", text + AFTER[0]) if same else pair

    return st.one_of(choices).map(unlike)


def key_attacks(material: Material) -> SearchStrategy[Attack]:
    """Texts near a live key in its own place, and two keys at once."""
    live, other = material.live, material.other
    theirs = other.value.reveal() if other is not None else None

    def near(pair: tuple[str, str]) -> Attack:
        headers, query = material.bearing(pair[1])
        folded = pair[1].lower() == material.text.lower()
        return Attack(f"the key, {pair[0]}", headers, query, severity=Severity.MEDIUM if folded else None)

    choices: list[SearchStrategy[Attack]] = [edited_texts(material.text, theirs).map(near)]
    if other is not None:
        both = [(live, other), (other, live)]
        choices.append(st.sampled_from(both).map(_two))
    return st.one_of(choices)


def _two(pair: tuple[Credential, Credential]) -> Attack:
    first, second = pair
    headers: Headers = (*first.headers, *second.headers)
    return Attack(
        f"the keys of two users at once, {first.owner or 'the first'}'s first",
        headers,
        (*first.query, *second.query),
        severity=Severity.LOW,
    )
