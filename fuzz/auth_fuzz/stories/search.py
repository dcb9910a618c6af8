"""The search for a story that breaks the model: acts are played until one does, or the budget is used up."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import Phase, Verbosity, seed, settings
from hypothesis.errors import Flaky, HypothesisException, StopTest
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from auth_conformance.model import Expectation, Violation
from auth_conformance.probe import Missing, Unclear
from auth_fuzz.bridge import OverError
from auth_fuzz.health import HEALTH
from auth_fuzz.rules import KILLED, UNCONFIRMED
from auth_fuzz.stories.acts import act_of, acts, offered
from auth_fuzz.stories.cast import NAMES, NEWCOMER, Troupe
from auth_fuzz.stories.ground import BrokenError, OffStageError
from auth_fuzz.stories.habits import learn, learn_restart
from auth_fuzz.stories.machine import machine_of
from auth_fuzz.stories.moves import Moves, find_moves, kinds_of_login

if TYPE_CHECKING:
    from auth_conformance.model import Rule
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.budget import Budget
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.stories.acts import Act
    from auth_fuzz.stories.model import Habits
    from auth_fuzz.stories.stage import Stage
    from auth_fuzz.world import World

# Longest time, in seconds, to shorten a story that breaks the model, and the share of what is left for it: behind
# one flaw there may be others.
_SHORTENING = 30.0
_SHARE = 0.5
# As above, to log everybody in once more when the search is over.
_SETTLING = (10.0, 40)


class LifecycleSearch:
    """Plays stories until one breaks the model, or until the time is used up."""

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        bridge: Bridge,
        *,
        seed: int,
        budget: Budget,
        restarting: bool = False,
    ) -> None:
        self.world, self.ledger, self.bridge = world, ledger, bridge
        self.moves: Moves = find_moves(world.target)
        self.troupe = Troupe(world, kinds_of_login(world.target))
        self.habits: Habits | None = world.habits
        # Whether the stories are those in which the service is restarted.
        self.restarting = restarting
        self.stories = self.steps = 0
        self.best: tuple[BrokenError, Stage] | None = None
        # The moves that were made, and what was found before `best`, with the lines that say so.
        self.played: Counter[str] = Counter()
        self._found: list[tuple[BrokenError, Stage]] = []
        self._known: set[str] = set()
        self._seed, self._budget = seed, budget
        self._rng = random.Random(f"{seed}:{'restarts' if restarting else 'lifecycle'}")

    def run(self, decided: tuple[Rule, ...]) -> None:
        """Search. Blocks: for a thread of its own. Raises Missing, Unclear, HaltedError."""
        if not self.troupe.kinds or self.world.target.register is None:
            raise Missing(
                "The lifecycle needs a login and accounts that may be ended; nobody can register here.",
                '[register]\noperation = "POST /register"',
            )
        if self.restarting and (not self.world.target.in_process or self.world.restarts is False):
            raise Missing("The service cannot be restarted from here.")
        try:
            self._learn()
        except OffStageError as error:
            raise Unclear(f"The lifecycle cannot be played: {error}.") from None
        except BrokenError as broken:
            # The plainest case breaks the model already.
            self._report(broken, None)
            return
        self.bridge.run(self.troupe.find_privileged())
        self._search()
        for end, stage in self._found:
            self._report(end, stage)
        self.bridge.resume(time.monotonic() + _SETTLING[0], _SETTLING[1])
        self.bridge.run(self.troupe.disband())
        self._conclude(decided)

    def broke(self, broken: BrokenError, stage: Stage) -> bool:
        """Take a story that breaks the model; False when what it ends with is known already."""
        if what_broke(broken) in self._known:
            return False
        if self.best is None:
            # The rest of the budget is for shortening, and need not be used up.
            left = max(self.bridge.deadline - time.monotonic(), 0.0)
            requests = max(int(self.bridge.left * _SHARE), 0)
            self.bridge.shorten(min(_SHORTENING, left * _SHARE), min(self._budget.shrinking, requests))
        self.best = broken, stage
        return True

    def _learn(self) -> None:
        """What the service does in the plainest case: once in a run."""
        if self.habits is None:
            self.habits = self.bridge.run(learn(self.world, self.moves, self.troupe))
        self.world.habits = self.habits
        if self.restarting:
            self.habits = self.bridge.run(learn_restart(self.world, self.moves, self.troupe, self.habits))

    def _conclude(self, decided: tuple[Rule, ...]) -> None:
        for one in decided:
            entry = self.ledger.of(one)
            if one is UNCONFIRMED and not entry.violations and "arrive" not in set(offered(self)):
                entry.absent = self._no_newcomers()
                continue
            if not entry.violations:
                entry.tried += self.stories
                entry.unit, entry.end = "story", "kept to the model"
            entry.notes.append(f"{self.stories} stories of {self.steps} steps")
            if self.moves.missing:
                entry.notes.append(f"left out of the stories: {', '.join(self.moves.missing)}")
            if idle := [name for name in offered(self) if not self.played[name]]:
                words = ", ".join(name.replace("_", " ") for name in idle)
                entry.notes.append(f"never played in these stories: {words}")

    def _no_newcomers(self) -> str:
        """Why nobody arrives in these stories whose address is not confirmed."""
        register = self.world.target.register
        if self.restarting:
            return "the stories with restarts have no newcomers"
        if register is not None and not register.confirmed:
            return "new accounts may log in before their address is confirmed"
        return "no confirmation of addresses is known whose mail can be read"

    def _search(self) -> None:
        machine = machine_of(self)
        moves = list(offered(self))
        after = ("restart",) if self.restarting else ()
        order = acts(self._rng, moves, besides=after, restarts=self.restarting)
        deadline, quota = self.bridge.deadline, self.bridge.quota
        for number, act in enumerate(order):
            if (
                len(self._found) >= self._budget.endings
                or self.bridge.spent
                or self.stories >= self._budget.examples
            ):
                return
            self._play(machine, act, number)
            if self.best is not None:
                if act.watched:
                    self._play_unwatched(machine, act, number, self.best)
                # What was found first must not hide what else there is: the search goes on without it.
                self._found.append(self.best)
                self._known.add(what_broke(self.best[0]))
                self.best = None
                self.bridge.resume(deadline, quota - self.bridge.sent())

    def _play_unwatched(
        self,
        machine: type[RuleBasedStateMachine],
        act: Act,
        number: int,
        found: tuple[BrokenError, Stage],
    ) -> None:
        """Tell the story without the one who only watched, where it ends alike: Hypothesis cannot leave them out."""
        self._play(machine, replace(act, watched=False), number)
        if self.best is not None and what_broke(self.best[0]) != what_broke(found[0]):
            self.best = found

    def _play(self, machine: type[RuleBasedStateMachine], act: Act, number: int) -> None:
        try:
            run_state_machine_as_test(
                seed(f"{self._seed}:{number}")(act_of(machine, act)),
                settings=settings(
                    max_examples=min(act.stories, self._budget.examples - self.stories),
                    stateful_step_count=act.steps,
                    database=None,
                    deadline=None,
                    derandomize=False,
                    verbosity=Verbosity.quiet,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=HEALTH,
                    report_multiple_bugs=False,
                    print_blob=False,
                ),
            )
        except (BrokenError, Flaky, HypothesisException, StopTest, OverError):
            # What broke is kept; a search that its budget cut short looks flaky to Hypothesis.
            return

    def _report(self, broken: BrokenError, stage: Stage | None) -> None:
        told = stage.story if stage is not None else ""
        evidence = tuple(stage.exchanges) if stage is not None else ()
        message = f"{broken.line}. The story: {told}" if told else f"{broken.line}."
        # What was ended wrongly must be alive: the last request of the story must be served.
        expected = Expectation("status", "", "200") if broken.rule is KILLED else broken.expected
        found = Violation(
            broken.operation, message, broken.severity, evidence, expected, subject=what_broke(broken)
        )
        self.ledger.broken(broken.rule, found, several=True)


def what_broke(broken: BrokenError) -> str:
    """What broke, whoever it happened to: `key is alive, although it was rotated`."""
    line = re.sub(r"\([^)]*\)|\d+", "", broken.line)
    for name in (*NAMES, NEWCOMER):
        line = line.replace(f"{name}'s", "")
    return f"{broken.rule.code} {' '.join(line.split())}"
