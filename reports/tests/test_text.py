from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from auth_reports.html.text import cut, finalize, prose, remedy, short, spans, visible

ANY = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY)
def test_nothing_unseen_is_left(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown if char not in "\t\n"} & {"Cc", "Cs"}
    assert not set(shown) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff"
    )
    assert visible(shown) == shown
    shown.encode()


@given(ANY, st.integers(0, 50))
def test_a_cut_text_is_a_beginning_and_never_longer_than_allowed(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert len(shown.encode()) <= limit
    assert visible(text).startswith(shown)
    assert short(text, limit) in {visible(text), f"{shown} \u2026"}


@given(ANY)
def test_prose_never_fails_and_loses_no_word(text: str) -> None:
    blocks = prose(text)
    kept = "".join(block.code + "".join(span.text for span in block.spans) for block in blocks)
    for char in text:
        if char.isalpha():
            assert char in kept


def test_markup_of_our_own_is_left_alone() -> None:
    ours = Markup("<b>\u202e</b>")
    assert finalize(ours) is ours
    assert finalize("\x00") == "\u27e6U+0000\u27e7"
    assert finalize(3) == 3


def test_prose_knows_paragraphs_bullets_and_code() -> None:
    blocks = prose("One `a`\ntwo.\n\n    code\n\n      more\n\n- first\n  goes on\n- second\n\nEnd.")
    assert [block.kind for block in blocks] == ["p", "code", "li", "li", "p"]
    assert blocks[1].code == "code\n\n  more"
    assert "".join(span.text for span in blocks[2].spans) == "first goes on"


def test_backticks_mark_code() -> None:
    assert [(span.text, span.code) for span in spans("a `b` c ``d`e`` `f")] == [
        ("a ", False),
        ("b", True),
        (" c ", False),
        ("d`e", True),
        (" `f", False),
    ]


def test_lines_of_configuration_are_code_and_the_rest_is_prose() -> None:
    text = (
        '[mailbox]  # one of two\napp = "m:f"  # called\n[[login]]\nOr name another account.\n# so\na.b = 1'
    )
    assert [(block.kind, block.code) for block in remedy(text)] == [
        ("code", '[mailbox]  # one of two\napp = "m:f"  # called\n[[login]]'),
        ("p", ""),
        ("code", "# so\na.b = 1"),
    ]
    assert [block.kind for block in remedy("rate = 1")] == ["code"]
    assert [block.kind for block in remedy("Ask again (rate = 1).")] == ["p"]
