"""Other spellings of a name."""

import string

from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.naming import LONGEST, awkward_pairs, respelled, same_by_rule

local = st.text(alphabet=string.ascii_lowercase, min_size=2, max_size=20)


@given(local)
def test_each_spelling_differs_and_some_rule_makes_it_equal(name: str) -> None:
    for whole in (name, f"{name}@example.com"):
        for spelling in respelled(whole):
            assert spelling.text != whole
            # Letters that only some languages fold are harmless although a rule makes them equal.
            assert spelling.harmless or same_by_rule(spelling.text, whole), spelling.words


def test_what_no_normalisation_folds_may_stand_beside() -> None:
    assert {spelling.words for spelling in respelled("alphaffio1") if spelling.harmless} == {
        "with a dotless i",
        "with a dotted capital I",
        "with a trailing dot",
        "in Cyrillic look-alikes",
    }
    assert "with a trailing dot" not in {
        spelling.words for spelling in respelled("alphaffio1@example.com") if spelling.harmless
    }


def test_all_kinds_are_there_for_a_name_that_has_the_letters() -> None:
    words = {spelling.words for spelling in respelled("alphaffio1@example.com")}
    assert {
        "with a ligature",
        "with a dotless i",
        "in Cyrillic look-alikes",
        "in full-width letters",
    } <= words
    assert len(words) == 18


@given(st.text(alphabet=string.ascii_lowercase, min_size=5, max_size=40), st.booleans())
def test_awkward_names_fill_a_column_or_have_an_accent(core: str, email: bool) -> None:
    (long, longer), (accent, apart) = awkward_pairs(core, email=email)
    assert len(long) == LONGEST
    assert longer.text[:LONGEST] == long
    assert len(longer.text) == LONGEST + 1
    assert accent != apart.text
    assert same_by_rule(accent, apart.text)
    if email:
        assert all(0 < len(label) <= 63 for label in long.partition("@")[2].split("."))
