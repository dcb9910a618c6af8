"""How a service says no in the body of a 2xx: `{"ok": false}`, `{"code": 401}`, `{"status": "error"}`.

No names are assumed. One answer to a caller who was let in, beside one to nobody for the same request, shows which
member speaks; and an answer says no when that member says what nobody was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

# A text that is one word of a vocabulary, and not a sentence, is no longer.
_WORD = 16
# Numbers with which services say that all is well: a code of their own, or one of HTTP's.
_WELL = frozenset({0, 1, 20_000, *range(200, 300)})


# What such a member may hold.
Word: TypeAlias = bool | int | str


@dataclass(frozen=True, slots=True)
class Envelope:
    """The member that speaks, and what it says.

    `yes` is what callers who were let in got (None: it is missing then), `no` what nobody got.
    """

    member: str
    yes: Word | None
    no: Word

    def says_no(self, data: Any) -> bool:
        """Whether this body of a 2xx refuses."""
        if not isinstance(data, dict) or self.member not in data:
            return False
        value = data[self.member]
        if type(self.no) is int and type(self.yes) is int:
            return type(value) is int and value != self.yes  # each reason has a number of its own
        return type(value) is type(self.no) and bool(value == self.no)


def learned(good: Sequence[Any], stranger: Any) -> Envelope | None:
    """What tells the bodies of callers who were let in from that of nobody; None where no member does.

    A truth value speaks clearest, then a number, then a word.
    """
    if not good or not isinstance(stranger, dict) or not all(isinstance(body, dict) for body in good):
        return None
    for kind in (bool, int, str):
        for member, no in stranger.items():
            if type(no) is kind and (found := _speaking(member, no, good)) is not None:
                return found
    return None


def _speaking(member: str, no: Word, good: Sequence[dict[str, Any]]) -> Envelope | None:
    said = [body.get(member) for body in good]
    yes = said[0]
    if any(value != yes or type(value) is not type(yes) for value in said):
        return None
    if yes is None:
        # Only a plain "false" says no by itself: a message alone is no vocabulary.
        return (
            Envelope(member, None, no) if no is False and all(member not in body for body in good) else None
        )
    if type(yes) is not type(no) or yes == no:
        return None
    if type(no) is bool and no:
        return Envelope(member, yes, no)  # {"error": true}
    if type(yes) is int and yes not in _WELL:
        return None
    if isinstance(no, str) and (len(no) > _WORD or len(str(yes)) > _WORD or " " in no):
        return None
    return Envelope(member, yes, no)
