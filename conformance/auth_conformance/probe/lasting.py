"""Whether a limit that has answered is one on what was tried: it outlasts a moment, and it spares everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

# Pauses between single tries once a limit has answered, in seconds: who asks so seldom floods nobody.
CALM = 1.0
# Refused so many times in a row the limit lasts; else so many tries are watched, and half of them must be refused.
# A limit of some tries a minute, whose window may just begin anew, lets fewer through than that.
IN_A_ROW, WATCHED = 3, 20


async def lasts(refused: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a limit holds against who asks once a second; `refused` tries once and says whether it answered.

    A gateway that lets one request a second through slows a flood down and stops nobody who guesses: thirty
    thousand passwords in a night (NIST SP 800-63B-4 §3.2.2 allows a hundred).
    """
    through = 0
    for number in range(1, WATCHED + 1):
        await asyncio.sleep(CALM)
        through += not await refused()
        if number == IN_A_ROW and not through:
            return True
        if 2 * through > WATCHED:
            return False
    return True
