"""Whether one service answers: a gateway may give an answer again, or share requests among versions of the service.

An attack that was refused by one of two versions says nothing of the other, and an answer that belongs to an earlier
question says nothing at all. Both are seen by asking the same few questions again: what is answered in one way, then
in another, then in the first again has more than one voice. What changes for good (a login that ends, a limit that is
met) has not.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Passed, Role, Verdict
from auth_conformance.oracles.normalise import digest, members
from auth_conformance.probe.answers import Missing, Unclear
from auth_conformance.probe.core import Core
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.probe.answers import Answer

Question = tuple[str, Callable[[], "Awaitable[Answer]"]]
Voice = tuple[object, ...]

REMEDY = "# point the run at one instance of the service, behind no gateway"
# Two live callers, a stranger, the document and an unknown path are asked in an order that shows an answer given again
# each second to tenth time in nine of ten cases, and whether two or three instances take turns.
ORDER = "bbdcabdecacaeddcbeae"
LIVE = frozenset("ac")
# How often a question is asked again whose answer has changed: a change for good is none.
MORE = 6
# Headers by which instances tell themselves apart, and those that name a version; other values may take turns as well.
_INSTANCE = re.compile(
    r"served|backend|instance|node|pod|replica|worker|upstream|machine|hostname", re.IGNORECASE
)
_VERSION = re.compile(r"^server$|version|revision|release|build|commit", re.IGNORECASE)
# So many instances are told apart; what has more values names requests.
_MOST = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer: to which question, and how that is answered, in what stays the same each time."""

    question: str
    exchange: Exchange
    voice: Voice
    sound: bool


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What asking again has shown: `mixed` and `versions` say so in words; `header` names one of `instances`."""

    mixed: str = ""
    versions: str = ""
    header: str = ""
    instances: frozenset[str] = frozenset()
    proofs: tuple[Exchange, ...] = field(default=())

    def attacked(self, evidence: Sequence[Exchange]) -> bool:
        """Whether the attacks in it have met each instance that is known."""
        met = self._met_by(evidence).values()
        return not met or self.instances <= set().union(*met)

    def met_once(self, evidence: Sequence[Exchange]) -> str:
        """What is to be told of attacks that some instance has never met: those that write are sent once."""
        met = self._met_by(evidence)
        lacking = [label for label, names in met.items() if not self.instances <= names]
        if not lacking:
            return ""
        what = f"{len(lacking)} of {len(met)} attacks ({lacking[0]})"
        return (
            f"{what} by each instance that answers here ({self.header}: {', '.join(sorted(self.instances))})"
        )

    def _met_by(self, evidence: Sequence[Exchange]) -> dict[str, set[str]]:
        """The instances that each attack has met, by its label."""
        met: dict[str, set[str]] = {}
        for item in evidence:
            if item.role is Role.ATTACK:
                met.setdefault(item.label, set()).add(item.reply.header(self.header) or "")
        return met


async def steadiness(probe: Core) -> Steadiness:
    """Ask what has one answer several times: twenty requests, and six more for each change; once per run."""
    asking = Core(probe.scene, probe.rule)

    async def ask() -> Steadiness:
        try:
            found = await _asked(asking)
        except (Missing, Unclear):
            return Steadiness()
        if found.header:
            probe.scene.instances[found.header] = found.instances
        return found

    return await probe.scene.once("steadiness", ask)


def steadied(verdict: Verdict, found: Steadiness) -> Verdict:
    """The verdict as far as answers of more than one voice bear it."""
    doubted = found.mixed or (found.versions if isinstance(verdict, Passed) else "")
    if not doubted or not isinstance(verdict, Passed | Failed) or not verdict.evidence:
        return verdict
    return Inconclusive(doubted, REMEDY, (*found.proofs, *verdict.evidence), verdict.notes)


def unmet(verdict: Verdict, found: Steadiness) -> Inconclusive:
    """What is said where the attacks of a check never met one of the instances."""
    names = ", ".join(sorted(found.instances))
    reason = (
        f"Several instances answer here ({found.header}: {names}), and not all of them were attacked by this check: "
        "nothing is known of the others."
    )
    evidence = verdict.evidence if isinstance(verdict, Passed) else ()
    return Inconclusive(reason, REMEDY, evidence)


async def _asked(probe: Core) -> Steadiness:
    questions = await _questions(probe)
    heard = [await _heard(questions[name]) for name in ORDER if name in questions]
    for name in questions:
        voices = _voices(heard, name)
        for _ in range(MORE):
            if len(set(voices)) < 2 or _takes_turns(voices):
                break  # one voice, or more than one: else it is asked whether the first one comes again
            heard.append(await _heard(questions[name]))
            voices = _voices(heard, name)
    return _told([item for item in heard if item.sound])


async def _questions(probe: Core) -> dict[str, Question]:
    """What can be asked here. Raises Missing or Unclear where nobody is let in."""
    live = {"a": await probe.credential()}
    if "b" in probe.target.accounts:
        with contextlib.suppress(Missing, Unclear):
            live["c"] = await probe.credential(owner="b")
    witness = probe.witness_for(live["a"], probe.witness)
    operation, pointer = witness.operation, witness.identity or None
    label, role = "control: is the same question answered in the same way?", Role.CONTROL

    def calling(name: str) -> Question:
        who = live.get(name)
        return name, lambda: probe.call(operation, who, label=label, role=role, pointer=pointer, edit=_anew)

    def reading(name: str, path: str) -> Question:
        return name, lambda: probe.send(HttpRequest("GET", path, fresh=True), label=label, role=role)

    nowhere = f"{operation.path.split('{')[0].rsplit('/', 1)[0]}/nothing-{probe.word(8)}"
    document = next((item.path for item in probe.target.documents if item.path is not None), None)
    found = [*map(calling, ("b", *live)), reading("e", nowhere)]
    found += [reading("d", document)] if document is not None else []
    return {question[0]: question for question in found}


def _anew(request: HttpRequest) -> HttpRequest:
    return replace(request, fresh=True)  # many balancers choose by the connection


async def _heard(question: Question) -> Heard:
    """What broke, or met a limit, is no answer: other controls see that."""
    name, ask = question
    answer = await ask()
    reply, document = answer.exchange.reply, answer.reply.json
    # The caller's own record may change meanwhile, its members not; and members have no order (RFC 8259 §4).
    told = (reply.principal, members(reply.shape)) if name in LIVE else (_text(reply.digest, document),)
    return Heard(name, answer.exchange, (reply.status, reply.media_type, *told), answer.judgement is None)


def _text(usual: str, document: object) -> object:
    """What an answer says, by its digest; what an OpenAPI document says is its version and operations.

    Workers of one version order sets as their hash seeds have it: ids of operations and lists may differ among them.
    """
    if document is None:
        return usual
    if not isinstance(document, dict) or not isinstance(paths := document.get("paths"), dict):
        return digest(json.dumps(document, sort_keys=True))
    about = document.get("info")
    version = about.get("version") if isinstance(about, dict) else None
    return str(version), frozenset(
        (path, *sorted(item)) for path, item in paths.items() if isinstance(item, dict)
    )


def _voices(heard: Sequence[Heard], name: str) -> list[Voice]:
    """How a question was answered each time. A body of the usual make that was seen once holds an id of its own."""
    asked = [item for item in heard if item.question == name and item.sound]
    often = Counter(item.voice for item in asked)
    usual = max(asked, key=lambda item: often[item.voice], default=None)
    return [
        usual.voice if usual is not None and often[item.voice] == 1 and _alike(item, usual) else item.voice
        for item in asked
    ]


def _alike(one: Heard, other: Heard) -> bool:
    """Whether two answers have the same status, and the same members by their shape where they have any."""
    seen, usual = one.exchange.reply, other.exchange.reply
    told = one.question not in LIVE and one.voice[:2] == other.voice[:2]
    return told and seen.shape == usual.shape != ""


def _told(heard: Sequence[Heard]) -> Steadiness:
    proofs = tuple(item.exchange for item in heard)
    if mixed := _mixed(heard):
        return Steadiness(mixed=mixed, proofs=proofs)
    if versions := _versions(heard):
        return Steadiness(versions=versions, proofs=proofs)
    header, instances = _instances([item.exchange for item in heard])
    return Steadiness(header=header, instances=instances, proofs=proofs)


def _mixed(heard: Sequence[Heard]) -> str:
    """What one question was granted is the answer to the next one, which has another one else.

    Refusals are alike, whatever was asked for: that one comes where another is usual says nothing.
    """
    usual = {item.question: Counter(_voices(heard, item.question)).most_common(1)[0][0] for item in heard}
    for before, item in pairwise(heard):
        again = before.exchange.reply.digest == item.exchange.reply.digest
        granted = HTTPStatus.OK <= (item.exchange.reply.status or 0) < HTTPStatus.MULTIPLE_CHOICES
        if (
            again
            and granted
            and before.voice == usual[before.question]
            and item.voice != usual[item.question]
        ):
            return (
                f"Something in front gives old answers again: {item.exchange.operation} was answered with what "
                "another caller or another path had been answered just before. So may an attack have been."
            )
    return ""


def _versions(heard: Sequence[Heard]) -> str:
    for name in dict.fromkeys(item.question for item in heard):
        asked = [item.exchange for item in heard if item.question == name]
        if _takes_turns(_voices(heard, name)):
            return (
                f"{asked[0].operation} is answered to the same caller in one way, in another, and in the first again: "
                "more than one version of the service answers, or something in front gives old answers again. An "
                "attack that was refused may have met one of them only."
            )
        for header in _headers(asked):
            values = [exchange.reply.header(header) for exchange in asked]
            if _VERSION.search(header) and _takes_turns(values):
                shown = ", ".join(sorted({str(value) for value in values}))
                return (
                    f"More than one version of the service answers ({header}: {shown}): an attack that one of them "
                    "has refused says nothing of the other."
                )
    return ""


def _instances(asked: Sequence[Exchange]) -> tuple[str, frozenset[str]]:
    for header in _headers(asked):
        values = [exchange.reply.header(header) for exchange in asked]
        known = frozenset(value for value in values if value)
        if _INSTANCE.search(header) and None not in values and len(known) <= _MOST and _takes_turns(values):
            return header, known
    return "", frozenset()


def _headers(asked: Sequence[Exchange]) -> list[str]:
    return sorted({name.lower() for exchange in asked for name, _ in exchange.reply.headers})


def _takes_turns(values: Sequence[object]) -> bool:
    """Whether a value comes again after another one: one change alone is none."""
    return any(
        values[first] == values[last] and any(value != values[first] for value in values[first + 1 : last])
        for first in range(len(values))
        for last in range(first + 2, len(values))
    )
