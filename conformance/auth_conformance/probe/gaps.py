"""Short outages of what knows credentials: 401 to everybody, and a few requests later to nobody.

A gateway whose identity provider was away for a moment says so in the words in which a key is refused that may not
do something. A control before and one after a series are both let in, and what was refused between proves nothing.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome
from auth_conformance.oracles.entry import Judgement
from auth_conformance.probe.core import Unclear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.probe.core import Answer
    from auth_conformance.probe.refusal import Refusal

# How often the witness is asked until it lets in again.
_LOOKS = 5


async def outlasted(probe: Refusal, answer: Answer, again: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a live credential; where it is 401, what the same request gets right after the witness let in.

    RFC 9110 §15.5.2: 401 says that nobody was known, and this one is. Two requests more for each 401, and none for
    a 403. Where the witness stays shut the answer says so: it is no refusal of what was asked.
    """
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return answer
    for _ in range(_LOOKS):
        try:
            live = await probe.credential()
            baseline = await probe.baseline(probe.witness, live)
            await probe.must_live(probe.witness, live, baseline, "beside")
        except Unclear:
            continue
        return await again()
    nobody = Judgement(Outcome.INTERCEPTED, "401, as everybody was answered just then")
    return replace(answer, judgement=nobody)
