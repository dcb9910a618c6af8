"""The lifecycle as a rule-based state machine: Hypothesis writes the stories and shortens the ones that break."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException, StopTest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from auth_conformance.credentials import Kind
from auth_conformance.model import Expectation, Violation
from auth_conformance.probe import Missing, Unclear
from auth_fuzz.bridge import HaltedError
from auth_fuzz.habits import learn
from auth_fuzz.health import HEALTH
from auth_fuzz.lifecycle import Habits
from auth_fuzz.moves import Moves, find_moves, kinds_of_login
from auth_fuzz.rules import KILLED
from auth_fuzz.stage import NAMES, BrokenError, Held, OffStageError, Stage, Troupe

if TYPE_CHECKING:
    from auth_conformance.model import Rule
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

# So many steps make a story.
STEPS = 12
# Longest time, in seconds, to shorten a story that breaks the model.
_SHORTENING = 4.0
# Longest time, in seconds, to play a story that was found twice more.
_SETTLING = 10.0
_WHO = st.sampled_from(NAMES)
_NUMBER = st.integers(0, 11)
_SESSIONS = ("bearer", "cookie", "basic")


class LifecycleSearch:
    """Plays stories until one breaks the model, or until the time is used up."""

    def __init__(self, world: World, ledger: Ledger, bridge: Bridge, *, seed: int, examples: int) -> None:
        self.world, self.ledger, self.bridge = world, ledger, bridge
        self.moves: Moves = find_moves(world.target)
        self.troupe = Troupe(world, kinds_of_login(world.target))
        self.habits: Habits | None = None
        self.stories = self.steps = 0
        self.best: tuple[BrokenError, Stage] | None = None
        self._seed, self._examples = seed, examples

    def run(self, decided: tuple[Rule, ...]) -> None:
        """Search. Blocks: for a thread of its own. Raises Missing, Unclear, HaltedError."""
        if not self.troupe.kinds or self.world.target.register is None:
            raise Missing(
                "The lifecycle needs a login and accounts that may be ended; nobody can register here.",
                '[register]\noperation = "POST /register"',
            )
        try:
            self.habits = self.bridge.run(learn(self.world, self.moves, self.troupe))
        except OffStageError as error:
            raise Unclear(f"The lifecycle cannot be played: {error}.") from None
        except BrokenError as broken:
            # The plainest case breaks the model already.
            self._report(broken, None)
            return
        self.bridge.run(self.troupe.find_privileged())
        self._search()
        if self.best is not None:
            self._report(*self.best)
        self.bridge.resume(time.monotonic() + _SETTLING)
        self.bridge.run(self.troupe.disband())
        for one in decided:
            entry = self.ledger.of(one)
            if not entry.violations:
                entry.tried += self.stories
                entry.unit, entry.end = "story", "kept to the model"
            entry.notes.append(f"{self.stories} stories of {self.steps} steps")
            if self.moves.missing:
                entry.notes.append(f"left out of the stories: {', '.join(self.moves.missing)}")

    def _search(self) -> None:
        machine = seed(self._seed)(_machine(self))
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=self._examples,
                    stateful_step_count=STEPS,
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
        except (BrokenError, Flaky, HypothesisException, StopTest):
            # What broke is kept; a search that its time cut short looks flaky to Hypothesis.
            return

    def _report(self, broken: BrokenError, stage: Stage | None) -> None:
        told = stage.story if stage is not None else ""
        evidence = tuple(stage.exchanges) if stage is not None else ()
        message = f"{broken.line}. The story: {told}" if told else f"{broken.line}."
        # What was ended wrongly must be alive: the last request of the story must be served.
        expected = Expectation("status", "", "200") if broken.rule is KILLED else None
        found = Violation(broken.operation, message, broken.severity, evidence, expected)
        self.ledger.broken(broken.rule, found)


def _machine(search: LifecycleSearch) -> type[RuleBasedStateMachine]:  # noqa: C901 - one rule per move
    world, moves, bridge = search.world, search.moves, search.bridge
    kinds = search.troupe.kinds
    keys = world.target.keys
    movable = world.target.in_process
    refreshes = world.target.refresh is not None

    class Story(RuleBasedStateMachine):
        """One story. Rules that a service lacks are never offered."""

        def __init__(self) -> None:
            super().__init__()
            self.stage = Stage(world, moves, search.habits or Habits(), search.troupe)
            self.off = bridge.spent
            search.stories += not self.off

        def do(self, work: Callable[[], Coroutine[Any, Any, object]], *, sweep: bool = False) -> None:
            """One step, and if it can have ended something a look at everything that is known."""
            if self.off or bridge.spent:
                return
            search.steps += 1
            try:
                bridge.run(_step(work, self.stage.sweep if sweep else None))
            except (OffStageError, HaltedError, Missing, Unclear):
                self.off = True
            except BrokenError as broken:
                if search.best is None:
                    # The rest of the time is for shortening, and need not be used up.
                    bridge.deadline = min(bridge.deadline, time.monotonic() + _SHORTENING)
                search.best = broken, self.stage
                raise

        def session(self, number: int) -> Held | None:
            """One of the live sessions."""
            live = [] if self.off else self.stage.alive(*_SESSIONS)
            return live[number % len(live)] if live else None

        def token(self, number: int, *, used: bool = False) -> Held | None:
            """One of the refresh tokens."""
            found = [
                item for item in self.stage.held if item.refresh is not None and item.holding.used is used
            ]
            found = [
                item for item in found if used or self.stage.book.demand(item.holding)[0].value == "alive"
            ]
            return found[number % len(found)] if found and not self.off else None

        def has(self, *kinds: str) -> bool:
            """Whether somebody holds a live credential of these kinds."""
            return not self.off and bool(self.stage.alive(*kinds))

        def owners(self) -> list[str]:
            """Users with an account and something to lose."""
            return [
                name
                for name, actor in self.stage.actors.items()
                if actor.present and not actor.blocked and self.stage.alive(*_SESSIONS, "key", owner=name)
            ]

        @initialize(opening=st.lists(st.tuples(_WHO, st.integers(0, len(kinds))), min_size=1, max_size=6))
        def enter(self, opening: list[tuple[str, int]]) -> None:
            self.do(self.stage.enter)
            for name, number in opening:
                if number < len(kinds):
                    self.do(_logging_in(self.stage, name, kinds[number]))
                else:
                    self.do(_making_a_key(self.stage, name))

        @rule(name=_WHO, number=_NUMBER)
        def log_in(self, name: str, number: int) -> None:
            kind = kinds[number % len(kinds)]
            if kind is not Kind.BASIC or number % 2 == 0:
                self.do(lambda: self.stage.log_in(name, kind))

        @rule(number=_NUMBER)
        def use(self, number: int) -> None:
            self.do(lambda: self.stage.audit(number))

        @precondition(lambda self: bool(world.target.logouts) and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out(held), sweep=True)

        @precondition(lambda self: moves.logout_all is not None and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out_everywhere(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out_everywhere(held), sweep=True)

        @precondition(lambda self: refreshes and self.token(0) is not None)
        @rule(number=_NUMBER)
        def refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.refresh(held), sweep=True)

        @precondition(lambda self: refreshes and self.token(0, used=True) is not None)
        @rule(number=_NUMBER)
        def reuse(self, number: int) -> None:
            if (held := self.token(number, used=True)) is not None:
                self.do(lambda: self.stage.reuse(held), sweep=True)

        @precondition(lambda self: moves.change is not None and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def change_password(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.change_password(held), sweep=True)

        @precondition(lambda self: any(actor.former for actor in self.stage.actors.values()))
        @rule(name=_WHO)
        def try_former_password(self, name: str) -> None:
            self.do(lambda: self.stage.try_former_password(name))

        @precondition(lambda self: keys is not None and self.has(*_SESSIONS))
        @rule(name=_WHO)
        def create_key(self, name: str) -> None:
            self.do(lambda: self.stage.create_key(name))

        @precondition(lambda self: keys is not None and self.has("key") and self.has(*_SESSIONS))
        @rule(number=_NUMBER, rotate=st.booleans())
        def revoke_key(self, number: int, rotate: bool) -> None:  # noqa: FBT001 - drawn
            found = [] if self.off else self.stage.alive("key")
            if found:
                held = found[number % len(found)]
                self.do(lambda: self.stage.revoke_key(held, rotate=rotate), sweep=True)

        @precondition(lambda self: world.target.delete_account is not None and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def delete_account(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.delete_account(held), sweep=True)

        @precondition(lambda self: any(not actor.present for actor in self.stage.actors.values()))
        @rule(name=_WHO)
        def register_again(self, name: str) -> None:
            if not self.off and not self.stage.actors[name].present:
                self.do(lambda: self.stage.register_again(name), sweep=True)

        @precondition(
            lambda self: moves.block is not None and world.admin is not None and bool(self.owners())
        )
        @rule(number=_NUMBER)
        def block(self, number: int) -> None:
            owners = self.owners()
            name = owners[number % len(owners)]
            self.do(lambda: self.stage.block(name), sweep=True)

        @precondition(lambda self: any(actor.blocked for actor in self.stage.actors.values()))
        @rule(name=_WHO)
        def unblock(self, name: str) -> None:
            self.do(lambda: self.stage.unblock(name), sweep=True)

        @precondition(lambda self: moves.role is not None and world.admin is not None and bool(self.owners()))
        @rule(number=_NUMBER)
        def demote(self, number: int) -> None:
            owners = self.owners()
            name = owners[number % len(owners)]
            self.do(lambda: self.stage.demote(name), sweep=True)

        @precondition(lambda self: movable and self.has(*_SESSIONS))
        @rule(minutes=st.sampled_from([1, 10, 20, 60, 600, 1500]))
        def wait(self, minutes: int) -> None:
            self.do(lambda: self.stage.wait(minutes * 60.0), sweep=True)

        @precondition(lambda self: refreshes and self.token(0) is not None)
        @rule(number=_NUMBER)
        def race_refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.race_refresh(held), sweep=True)

        @precondition(lambda self: bool(world.target.logouts) and self.token(0) is not None)
        @rule(number=_NUMBER)
        def race_logout(self, number: int) -> None:
            held = self.session(number)
            token = next(
                (
                    item
                    for item in self.stage.alive("refresh token")
                    if held is not None
                    and item.holding.family == held.holding.family
                    and not item.holding.used
                ),
                None,
            )
            if held is not None and token is not None:
                self.do(lambda: self.stage.race_logout(held, token), sweep=True)

        def teardown(self) -> None:
            if self.stage.actors and not bridge.spent:
                try:
                    bridge.run(self.stage.leave())
                except (HaltedError, Missing, Unclear):
                    return

    return Story


def _logging_in(stage: Stage, name: str, kind: Kind) -> Callable[[], Coroutine[Any, Any, object]]:
    return lambda: stage.log_in(name, kind)


def _making_a_key(stage: Stage, name: str) -> Callable[[], Coroutine[Any, Any, object]]:
    return lambda: stage.create_key(name)


async def _step(
    work: Callable[[], Coroutine[Any, Any, object]], after: Callable[[], Awaitable[None]] | None
) -> None:
    await work()
    if after is not None:
        await after()
