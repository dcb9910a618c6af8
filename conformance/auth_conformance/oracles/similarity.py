"""Whether two kinds of answer differ in a way that does not come and go by itself.

Several answers of either kind are compared part by part: status, each header, cookies, body, length. A part
counts only when all answers of one kind agree on it and all of the other kind agree on something else. A part
on which even answers of one kind disagree (a nonce, a counter, a load balancer's name) is compared again with
its digits taken out; of a header there is then left that it is there, of other parts nothing that proves anything.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.normalise import masked, without_echoes
from auth_conformance.oracles.pointer import strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Headers of the transport and of the way, not of the application's decision.
IGNORED = {
    "content-length": "the length of the body is a part of its own",
    "date": "the time",
    "age": "the time",
    "connection": "belongs to the connection",
    "keep-alive": "counts requests of a connection",
    "transfer-encoding": "belongs to the connection",
    "server-timing": "the time: CRD110 measures that properly",
    "x-response-time": "the time: CRD110 measures that properly",
    "x-process-time": "the time: CRD110 measures that properly",
    "x-runtime": "the time: CRD110 measures that properly",
}
_DIGITS = re.compile(r"\d+")
# Lengths that agree twice may do so by chance (times with and without trailing zeros); thrice is no chance.
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer as compared. `echoes` are the inputs of its request, which may come back in it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    echoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A part on which the two kinds always differ, with what each has there ("(absent)" if nothing)."""

    part: str
    left: str
    right: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.part}: {_short(self.left)} or {_short(self.right)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences` always hold; `unstable` are parts that differ among answers of one kind already."""

    differences: tuple[Difference, ...]
    unstable: tuple[str, ...]


ABSENT = "(absent)"


def compare(left: Sequence[Seen], right: Sequence[Seen]) -> Comparison:
    """Compare two kinds of answer. Raises ValueError without two of each: one alone shows no stability."""
    if min(len(left), len(right)) < 2:
        raise ValueError("two answers of each kind are needed")
    differences, unstable = [], []
    left, right = _without_changing_members(left, right)
    parts = [_parts(answer) for answer in (*left, *right)]
    sides = parts[: len(left)], parts[len(left) :]
    for name in dict.fromkeys(name for answer in parts for name in answer):
        values = [[answer.get(name, ABSENT) for answer in side] for side in sides]
        if name == "length" and (not all(map(_agree, values)) or min(map(len, sides)) < _ENOUGH):
            continue
        if name != "status" and not all(map(_agree, values)):
            values = [[_DIGITS.sub("0", value) for value in side] for side in values]
        # Where the header of one kind always has one value, the other's changing is what nobody can explain.
        steady = [_agree(side) and side[0] != ABSENT for side in values]
        if name.startswith("header ") and not all(map(_agree, values)) and not any(steady):
            values = [_named_by_length(side, values) for side in values]
        if not all(map(_agree, values)):
            unstable.append(name)
        elif values[0][0] != values[1][0]:
            differences.append(Difference(name, values[0][0], values[1][0]))
    return Comparison(tuple(differences), tuple(unstable))


def _named_by_length(side: Sequence[str], sides: Sequence[Sequence[str]]) -> list[str]:
    """What is left of a header that is another one in each answer (the id of a request): that it is there.

    And how long it is, where that is always the same for one kind.
    """
    enough = min(map(len, sides)) >= _ENOUGH
    lengths = enough and all(_agree(str(len(value)) for value in each) for each in sides)
    return [
        ABSENT if value == ABSENT else f"<{len(value)} changing>" if lengths else "<changing>"
        for value in side
    ]


def _without_changing_members(
    left: Sequence[Seen], right: Sequence[Seen]
) -> tuple[Sequence[Seen], Sequence[Seen]]:
    """The answers without what changes by itself: members of JSON bodies on which answers of one kind disagree.

    A trace id beside a message says nothing; how long it is stays, where all of one kind agree on that.
    """
    sides = [[(answer, _leaves(answer)) for answer in side] for side in (left, right)]
    if not all(leaves for side in sides for _, leaves in side):
        return left, right
    changing = {
        pointer
        for side in sides
        for pointer in set().union(*(leaves for _, leaves in side))
        if not _agree(masked(leaves.get(pointer, ABSENT), answer.echoes) for answer, leaves in side)
    }
    if not all(leaves.keys() - changing for side in sides for _, leaves in side):
        return left, right  # nothing is left that says what happened: what changes may be the answer itself
    same_length = {
        pointer: all(_agree(str(len(leaves.get(pointer, ABSENT))) for _, leaves in side) for side in sides)
        for pointer in changing
    }

    def stable(answer: Seen, leaves: dict[str, str]) -> Seen:
        body = answer.body
        for pointer in changing & leaves.keys():
            text = json.dumps(leaves[pointer])
            what = f"<{len(text)} changing>" if same_length[pointer] else "<changing>"
            body = body.replace(text, json.dumps(what))
        return replace(answer, body=body)

    first, second = ([stable(answer, leaves) for answer, leaves in side] for side in sides)
    return first, second


def _leaves(answer: Seen) -> dict[str, str]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    return {key: value for key, value in strings(document).items() if key and isinstance(value, str)}


def _parts(answer: Seen) -> dict[str, str]:
    found = {"status": str(answer.status), "body": masked(answer.body, answer.echoes)}
    # Masking hides what kind of id stood there; the length without one's own input still tells.
    found["length"] = str(len(without_echoes(answer.body, answer.echoes)))
    for key, value in answer.headers:
        name = key.lower()
        if name in IGNORED:
            continue
        if name == "set-cookie":
            name, text = _cookie(value, answer.echoes)
        else:
            # Counters in headers run on from answer to answer; that a header is there does not.
            name, text = f"header {name}", _DIGITS.sub("0", masked(value, answer.echoes))
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _cookie(line: str, echoes: tuple[str, ...]) -> tuple[str, str]:
    cookie = parse_set_cookie(line)
    if cookie is None:
        return "cookie", masked(line, echoes)
    attributes = sorted(
        f"{key}={'' if key in ('expires', 'max-age') else masked(value, echoes)}"
        for key, value in cookie.attributes
    )
    # The value is random where it means anything; that it is empty is the difference that tells.
    return f"cookie {cookie.name}", "; ".join((f"{'' if cookie.value else 'no '}value", *attributes))


def _agree(values: Iterable[str]) -> bool:
    return len(set(values)) == 1


def _short(text: str, longest: int = 80) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
