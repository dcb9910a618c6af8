"""How much a fuzzing run may cost: seconds, requests, and examples per search."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost.

    `seconds` and `requests` bound the whole run, which shares them out; `examples` bounds each single search,
    `shrinking` the requests that make what was found as short as it can be, and `endings` the different things that
    stories may be found to end with.

    Under one seed the same `requests` and `examples` send the same requests, whatever else the machine does; a
    run that `seconds` cuts short sends the beginning of what each search would have sent.
    """

    seconds: float = SECONDS
    requests: int = 30_000
    examples: int = 200
    shrinking: int = 500
    endings: int = 6


def seconds(text: str) -> float:
    """The seconds in `90`, `90s`, `2m`, `1h`. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in _UNITS or not float(match[1]):
        raise ValueError(f"{text!r} is no length of time: write 90s, 2m or 1h")
    return float(match[1]) * _UNITS[match[2]]
