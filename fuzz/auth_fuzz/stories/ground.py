"""What all steps of a story stand on: the cast, the book of what they hold, the lines, and how a story breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Expectation, Outcome, Role, Rule, Severity
from auth_fuzz import rules
from auth_fuzz.stories.cast import NAMES, Actor, Held, Troupe
from auth_fuzz.stories.model import CONFIRMATION, Book, Habits, Life

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.secret import Secret
    from auth_fuzz.people import Searcher
    from auth_fuzz.stories.moves import Moves
    from auth_fuzz.world import World


class BrokenError(Exception):
    """The service did what the model forbids; the text is the last line of the story."""

    def __init__(
        self,
        rule: Rule,
        line: str,
        operation: str | None,
        severity: Severity | None = None,
        *,
        expected: Expectation | None = None,
    ) -> None:
        super().__init__(line)
        self.rule, self.line, self.operation, self.severity = rule, line, operation, severity
        self.expected = expected


class OffStageError(Exception):
    """The story cannot go on: a step that must work did not, for a reason that is no violation."""


class Ground:
    """One story so far. `tell` collects its lines and exchanges."""

    def __init__(self, world: World, moves: Moves, habits: Habits, troupe: Troupe) -> None:
        self.searcher: Searcher = world.searcher
        self.target = world.target
        self.world, self.moves, self.troupe = world, moves, troupe
        self.book = Book(habits, self.target.policy.leeway + 5.0)
        self.actors: dict[str, Actor] = {}
        self.held: list[Held] = []
        self.lines: list[str] = []
        self.exchanges: list[Exchange] = []
        self.moved = 0.0
        self.restarted = False
        self._looks = 0
        self._skipped = self.searcher.skipped

    # The story.

    def tell(self, line: str, *answers: Answer | Exchange) -> None:
        """Write a step down with what was sent for it."""
        sent = [answer if isinstance(answer, Exchange) else answer.exchange for answer in answers]
        shown = ", ".join(f"{item.operation} → {item.reply.status or item.reply.error}" for item in sent)
        self.lines.append(f"{line}" + (f" ({shown})" if shown else ""))
        special = "a restart" if self.restarted else ""
        self.exchanges += [replace(item, special=item.special or special) for item in sent]
        self.searcher.forget()

    @property
    def story(self) -> str:
        """The steps so far, numbered, in one text."""
        return " ".join(f"{number}. {line}." for number, line in enumerate(self.lines, 1))

    async def enter(self) -> None:
        """Bring the actors on: accounts from earlier stories where they are whole, else new ones."""
        for name in NAMES:
            self.actors[name] = actor = await self.troupe.lend(name)
            if actor.welcome is not None:
                holding = self.book.mailed(name, CONFIRMATION)
                self.book.revoked(holding, "it was used")
                self.held.append(Held(holding, None, mailed=actor.welcome))

    @property
    def _zombie(self) -> Rule:
        """What it is called when something is alive that was seen dead: a restart may have revived it."""
        return rules.RESTART if self.restarted else rules.ZOMBIE

    def _now(self) -> float:
        return self.searcher.scene.recorder.clock.now() + self.moved

    def actor(self, name: str) -> Actor:
        """The user of that name."""
        return self.actors[name]

    def alive(self, *kinds: str, owner: str = "") -> list[Held]:
        """What the model takes for alive, of these kinds."""
        self.book.now = self._now()
        return [
            item
            for item in self.held
            if item.holding.kind in kinds
            and (not owner or item.holding.owner == owner)
            and self.book.demand(item.holding)[0] is Life.ALIVE
        ]

    def _keep(  # noqa: PLR0917 - what a holding is made of
        self,
        owner: str,
        kind: str,
        family: int,
        credential: Credential | None,
        expires: float | None = None,
        refresh: Secret | None = None,
        identifier: str | None = None,
    ) -> Held:
        held = Held(self.book.issue(owner, kind, family, expires), credential, refresh, identifier)
        self.held.append(held)
        return held

    def doubt_the_dead(self, name: str) -> None:
        """Something changed that may have revived what was dead: it is presented once more."""
        for item in self.held:
            if item.holding.owner == name:
                item.demanded = Life.ALIVE

    # What it shows.

    async def _present(self, credential: Credential, label: str, *, fresh: bool = False) -> Answer:
        answer = await self.searcher.ask_witness(
            credential, label, role=Role.ATTACK, moved=self.moved, fresh=fresh
        )
        self.searcher.forget()
        return answer

    def _got_in(self) -> None:
        """The request that was told last is the one that should have been refused."""
        self.exchanges[-1] = admitted(self.exchanges[-1])

    async def _opened(
        self, credential: Credential, line: str, login: Answer, rule: Rule = rules.ZOMBIE
    ) -> BrokenError:
        answer = await self._present(credential, "what such a login opens")
        self.tell("what it gave is presented", accepted(answer))
        return BrokenError(
            rule,
            f"{line}: {'it opens the account' if answer.reply.ok else 'it got a credential'}",
            login.exchange.operation,
        )


def accepted(answer: Answer) -> Answer:
    """The answer as evidence of what should have been refused."""
    return replace(answer, exchange=admitted(answer.exchange))


def admitted(exchange: Exchange) -> Exchange:
    """The exchange as evidence of what should have been refused."""
    return replace(exchange, role=Role.ATTACK, outcome=Outcome.ACCEPTED)


def done(answer: Answer) -> bool:
    """Whether the service did what was asked."""
    return answer.status is not None and answer.status < 400 and answer.outcome is None
