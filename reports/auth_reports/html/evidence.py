"""Exchanges as the page shows them: the control beside the attack, within a budget of bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role
from auth_reports.html.curl import Curl, curl
from auth_reports.html.text import cut, short, visible, weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auth_conformance.model import Exchange, Request

BODY = 8000
LINE = 1000
HEADERS = 40
PAIRS = 3
STEPS = 60
_TOO_LITTLE = 600
_EXPANSION = 8  # escaping makes a byte at most six long: five for a quote, and some room for the rest
_ROLE_WORDS = {Role.SETUP: "Preparation", Role.CONTROL: "Control", Role.ATTACK: "Attack"}
_TELLING = (
    Outcome.ACCEPTED,
    Outcome.CRASHED,
    Outcome.AMBIGUOUS,
    Outcome.INTERCEPTED,
    Outcome.THROTTLED,
    None,
)


@dataclass(slots=True)
class Budget:
    """The bytes that evidence may still take; bodies get shorter when little is left."""

    left: int

    def share(self, among: int) -> Budget:
        """Take out an equal share for one of `among` claimants; `give_back` returns what it leaves."""
        share = Budget(self.left // max(among, 1))
        self.left -= share.left
        return share

    def give_back(self, share: Budget) -> None:
        """Return what a share did not use."""
        self.left += share.left

    def body(self, text: str) -> str:
        """Return as much of `text` as may be shown: never all that is left, others come after it."""
        return self.spend(cut(text, min(BODY, self.left // _EXPANSION)))

    def spend(self, shown: str) -> str:
        """Return `shown` and book it, or nothing when the budget does not hold it."""
        cost = weight(shown)
        if cost > self.left:
            return ""
        self.left -= cost
        return shown


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a request; `differs` when the other side of the pair has no such line."""

    text: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One exchange, ready to print. `cut` says what was left out, "" if nothing."""

    role: str
    label: str
    number: int
    outcome: str
    seen: int
    took: float
    request: tuple[Line, ...]
    reply: str
    cut: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An attack and the control that makes it mean something; either may be missing, not both."""

    control: Side | None
    attack: Side | None
    curl: Curl

    @property
    def sides(self) -> tuple[Side, ...]:
        """The control, then the attack."""
        return tuple(side for side in (self.control, self.attack) if side)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list of everything that a check sent."""

    number: int
    role: str
    label: str
    request: str
    status: str
    outcome: str


def pairs(
    evidence: Sequence[Exchange], budget: Budget, *, base: str | None, most: int = PAIRS
) -> tuple[Pair, ...]:
    """Choose the exchanges that prove a finding, the most telling first, each beside its control."""
    times = Counter((item.request, item.outcome) for item in evidence if item.role is Role.ATTACK)
    attacks = _distinct(item for item in evidence if item.role is Role.ATTACK)
    attacks.sort(key=lambda item: _TELLING.index(item.outcome) if item.outcome in _TELLING else len(_TELLING))
    chosen: list[Exchange] = attacks or list(evidence)
    found: list[Pair] = []
    for exchange in chosen[:most]:
        if budget.left < _TOO_LITTLE:
            break
        attack, control = (exchange, _control(exchange, evidence)) if attacks else (None, exchange)
        found.append(_pair(control, attack, budget, base, times[exchange.request, exchange.outcome]))
    return tuple(found)


def _distinct(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Drop repetitions of a request that had the same outcome: a finding is seen twice by design."""
    first: dict[tuple[Request, Outcome | None], Exchange] = {}
    for item in exchanges:
        first.setdefault((item.request, item.outcome), item)
    return list(first.values())


def _control(attack: Exchange, evidence: Sequence[Exchange]) -> Exchange | None:
    """Return the nearest control before the attack; an accepted one of the same operation is best."""
    controls = [item for item in evidence if item.role is Role.CONTROL]
    return max(
        controls,
        key=lambda item: (
            item.outcome is Outcome.ACCEPTED,
            item.operation == attack.operation,
            item.number < attack.number,
            -abs(item.number - attack.number),
        ),
        default=None,
    )


def _pair(
    control: Exchange | None, attack: Exchange | None, budget: Budget, base: str | None, seen: int
) -> Pair:
    twin = set(_request_lines(control)) if control and attack else None
    reproduced = attack or control
    assert reproduced is not None, "a pair has at least one side"  # noqa: S101 - by construction, for types
    return Pair(
        control=_side(control, budget, None) if control else None,
        attack=_side(attack, budget, twin, seen) if attack else None,
        curl=curl(reproduced.request, base=base),
    )


def _request_lines(exchange: Exchange) -> list[str]:
    request = exchange.request
    return [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]


def _side(exchange: Exchange, budget: Budget, twin: set[str] | None, seen: int = 1) -> Side:
    """Render one exchange; lines of its request that `twin` lacks are marked."""
    reply = exchange.reply
    sent = [
        Line(short(line, LINE), twin is not None and line not in twin) for line in _request_lines(exchange)
    ]
    notes = [note for note in (_more("request headers", len(sent) - 1),) if note]
    sent = sent[: HEADERS + 1]
    for line in sent:
        budget.spend(line.text)
    if exchange.request.body:
        shown = budget.body(exchange.request.body)
        notes += _cut_note("request", shown, exchange.request.body, 0)
        sent += [Line(""), *(Line(line) for line in shown.split("\n"))]
    head = [
        f"HTTP {reply.status}" if reply.status is not None else f"no reply: {short(reply.error or 'unknown')}"
    ]
    head += [short(f"{name}: {value}", LINE) for name, value in reply.headers[:HEADERS]]
    body = budget.body(reply.body)
    notes += [note for note in (_more("reply headers", len(reply.headers)),) if note]
    notes += _cut_note("reply", body, reply.body, reply.size)
    return Side(
        role=_ROLE_WORDS[exchange.role],
        label=short(exchange.label, LINE),
        number=exchange.number,
        outcome=exchange.outcome.value if exchange.outcome else "",
        seen=seen,
        took=exchange.took,
        request=tuple(sent),
        reply=budget.spend("\n".join(head)) + (f"\n\n{body}" if body else ""),
        cut="; ".join(notes),
    )


def _more(what: str, count: int) -> str:
    return f"{count - HEADERS} more {what}" if count > HEADERS else ""


def _cut_note(what: str, shown: str, text: str, size: int) -> list[str]:
    """Say how much of a body is missing; `size` is what came over the wire, 0 if unknown."""
    known = len(text.encode(errors="replace"))
    # A digest in the place of a secret makes a body shorter or longer; only one that was long may have been cut.
    cut_before = len(text) >= BODY or size > 2 * BODY
    if not cut_before and shown == visible(text):
        return []
    return [f"{what} body: {len(shown.encode())} of {max(known, size)} bytes shown"]


def steps(evidence: Sequence[Exchange], budget: Budget) -> tuple[Step, ...]:
    """Return one line per exchange, in the order sent, as far as the budget goes."""
    found: list[Step] = []
    for item in evidence[:STEPS]:
        step = Step(
            number=item.number,
            role=_ROLE_WORDS[item.role],
            label=short(item.label, 200),
            request=short(f"{item.request.method} {item.request.url}", 200),
            status="no reply" if item.reply.status is None else str(item.reply.status),
            outcome=item.outcome.value if item.outcome else "",
        )
        row = f"{step.role}{step.label}{step.request}{step.outcome}"
        if budget.left < len(row) + 100 or not budget.spend(row):
            break
        budget.left -= min(budget.left, 100)  # what the markup of a row takes
        found.append(step)
    return tuple(found)


def proof(evidence: Iterable[Exchange]) -> str:
    """Sum up what was sent and how it was answered: the sentence that a verdict rests on."""
    exchanges = list(evidence)
    told = []
    for role, one, many in (
        (Role.CONTROL, "control", "controls"),
        (Role.ATTACK, "attack delivered", "attacks delivered"),
    ):
        sent = [item for item in exchanges if item.role is role]
        # A reply that is judged by what it holds, and not by whether it let somebody in, has no outcome.
        outcomes = Counter(item.outcome.value for item in sent if item.outcome)
        if sent:
            answers = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
            told.append(
                f"{len(sent)} {one if len(sent) == 1 else many}" + (f": {answers}" if answers else "")
            )
    return "; ".join(told)
