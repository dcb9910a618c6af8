"""How a verdict is shown: a word, a sign and a colour for each of seven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Errored, Failed, Inconclusive, Masked, Skipped

if TYPE_CHECKING:
    from auth_conformance.model import Result


@dataclass(frozen=True, slots=True)
class State:
    """How a result is shown: `key` for CSS, the word, a sign that repeats it, and what it means."""

    key: str
    word: str
    sign: str
    meaning: str
    fill: str
    short: str = ""


FAILED = State("failed", "Failed", "\u2715", "the rule is broken, seen twice", "#b3261e")
ERRORED = State("errored", "Errored", "!", "our own error: nothing is known", "#7a3e9d")
INCONCLUSIVE = State("inconclusive", "Inconclusive", "?", "a control or an answer was unclear", "#b26a00")
UNTESTED = State("untested", "Not tested", "\u25cb", "something that you can supply was missing", "#8a6d1d")
MASKED = State("masked", "Masked", "\u2261", "another failure makes the answer meaningless", "#5f6b7a")
ABSENT = State("absent", "Not applicable", "\u2013", "the target has no such feature", "#a9b1bb", "N/A")
PASSED = State("passed", "Passed", "\u2713", "every attack delivered and refused", "#2e7d4f")
STATES = (FAILED, ERRORED, INCONCLUSIVE, UNTESTED, MASKED, ABSENT, PASSED)


def state_of(result: Result) -> State:
    """Return how `result` is shown; Skipped is two things to a reader."""
    match result.verdict:
        case Failed():
            return FAILED
        case Errored():
            return ERRORED
        case Inconclusive():
            return INCONCLUSIVE
        case Masked():
            return MASKED
        case Skipped(applicable=True):
            return UNTESTED
        case Skipped():
            return ABSENT
        case _:
            return PASSED
