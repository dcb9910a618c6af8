"""Requests released at one moment, and what such a race shows (checklist LIF108, LIF110)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Inconclusive, Outcome, Passed, Role, Verdict
from auth_conformance.oracles.entry import failure
from auth_conformance.oracles.overlap import in_work, most_at_once
from auth_conformance.probe.core import Answer
from auth_conformance.probe.holdings import Holdings
from auth_conformance.transports.volley import Volley

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.model import Exchange
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.transports.message import HttpRequest

ROUNDS = 5
TOGETHER = 20
# Rounds without overlap, or refused for their number, prove nothing; so many must have been real races.
LEAST_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Race:
    """One round: the answers, and how many requests that no limit refused were in work at the same moment."""

    answers: tuple[Answer, ...]
    at_once: int

    @property
    def throttled(self) -> int:
        """How many of the requests a limit refused: those were no attack."""
        return sum(answer.outcome is Outcome.THROTTLED for answer in self.answers)


class Volleys(Holdings):
    """Sends requests together, and says whether they really were in work together."""

    async def together_now(
        self,
        requests: Sequence[HttpRequest],
        label: str,
        operation: str | Sequence[str],
        solo: float,
        *,
        moved: float = 0.0,
    ) -> Race:
        """Release all requests at one moment. `solo` is what one takes when it is alone, in seconds.

        `operation` is the one that all of them go to, or one for each.
        """
        places = [operation] * len(requests) if isinstance(operation, str) else operation
        inner = self.scene.recorder.transport
        if not self.target.in_process and self.scene.wire is not None:
            inner = await self.scene.wire()
        volley = Volley(inner, len(requests))
        seats = [volley.seat() for _ in requests]

        async def one(number: int, request: HttpRequest) -> Answer:
            sent = await self.scene.recorder.send(
                replace(request, fresh=True),
                label=f"{label} ({number + 1} of {len(requests)})",
                role=Role.ATTACK,
                operation=places[number],
                transport=seats[number],
                at_once=True,
            )
            judgement = failure(sent.exchange.reply)
            exchange = replace(sent.exchange, outcome=judgement.outcome if judgement else None)
            return Answer(request, sent.reply, exchange, judgement)

        with self.scene.recorder.clock.moved(moved):
            answers = await asyncio.gather(*(one(number, item) for number, item in enumerate(requests)))
        self.evidence += [answer.exchange for answer in answers]
        # What a limit refused was no attack, and no part of the race.
        spans = [
            seat.span
            for seat, answer in zip(seats, answers, strict=True)
            if seat.span is not None and answer.outcome is not Outcome.THROTTLED
        ]
        # In this process a request is in work from its call on; elsewhere it may have waited in a queue.
        return Race(tuple(answers), most_at_once(spans if self.target.in_process else in_work(spans, solo)))

    async def those_that_live(
        self, issued: Iterable[tuple[Answer, Credential]], baseline: Baseline, label: str
    ) -> list[tuple[Exchange, Exchange]]:
        """Use what a race issued: the answer that gave it and its use, of each credential that lets its owner in."""
        alive = []
        for answer, credential in issued:
            used = await self.at_witness(
                credential, label=label, role=Role.ATTACK, baseline=baseline, fresh=True
            )
            if used.accepted:
                alive.append((answer.exchange, used.exchange))
        return alive

    def crashes_of(self, race: Race) -> list[str]:
        """A crash of the service leaves a doubt; a limit is noted, and what it refused was no attack."""
        if race.throttled:
            label = race.answers[0].exchange.label.partition(" (")[0]
            self.notes.append(
                f"{label}: a limit of the service refused {race.throttled} of {len(race.answers)}"
            )
        return [
            f"{answer.exchange.label}: {answer.why}"
            for answer in race.answers
            if answer.outcome is Outcome.CRASHED
        ][:1]

    def raced(self, races: list[Race], doubts: list[str], what: str) -> Verdict:
        """The verdict of rounds in which nothing was found: passed only when enough of them were real races."""
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        real = sum(race.at_once > 1 for race in races)
        most = max((race.at_once for race in races), default=0)
        achieved = f"in {real} of {len(races)} rounds up to {most} requests were in work together"
        if doubts:
            return Inconclusive(f"{doubts[0]}; {achieved}", "", evidence, notes)
        if real >= LEAST_ROUNDS:
            return Passed(f"{what}; {achieved}.", evidence, notes)
        throttled = sum(race.throttled for race in races)
        why = (
            f"A limit of the service refused {throttled} of the requests: too few were left for a race"
            if throttled
            else "The service handled the requests one after the other: no race took place"
        )
        return Inconclusive(f"{why} ({achieved}).", "", evidence, notes)
