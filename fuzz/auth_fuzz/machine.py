"""The lifecycle as a rule-based state machine: Hypothesis writes the stories and shortens the ones that break."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
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
from auth_fuzz.bridge import HaltedError, OverError
from auth_fuzz.habits import learn
from auth_fuzz.health import HEALTH
from auth_fuzz.lifecycle import Habits
from auth_fuzz.moves import Moves, find_moves, kinds_of_login
from auth_fuzz.rules import KILLED
from auth_fuzz.stage import NAMES, Actor, BrokenError, Held, OffStageError, Stage, Troupe

if TYPE_CHECKING:
    from auth_conformance.model import Rule
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

# So many steps make a story of one act, and of the later ones that mix everything.
STEPS = 6
LONGER = 12
# So many stories are told in one act; the first of them is the plainest that there is. While there are moves that
# no act was about yet, that one is enough: a short budget must not end before the last move had its turn.
STORIES = 2
# So many other moves are allowed in an act besides the one that it is about.
_OTHERS = 3
# Each move is the subject of so many acts before acts mix more of them.
_ROUNDS = 2
# Longest time, in seconds, to shorten a story that breaks the model.
_SHORTENING = 30.0
# As above, to log everybody in once more when the search is over.
_SETTLING = (10.0, 40)
_WHO = st.sampled_from(NAMES)
_NUMBER = st.integers(0, 11)
_MINUTES = (20, 1, 10, 60, 600, 1500)
_SESSIONS = ("bearer", "cookie", "basic")
# Every move, with those that must have been made before it. Logging in is always allowed.
_AFTER: dict[str, tuple[str, ...]] = {
    "use": (),
    "log_out": (),
    "log_out_everywhere": (),
    "refresh": (),
    "reuse": ("refresh",),
    "change_password": (),
    "try_former_password": ("change_password",),
    "create_key": (),
    "revoke_key": ("create_key",),
    "rotate_key": ("create_key",),
    "delete_account": (),
    "register_again": ("delete_account",),
    "block": (),
    "unblock": ("block",),
    "demote": (),
    "wait": (),
    "race_refresh": (),
    "race_logout": (),
}


class LifecycleSearch:
    """Plays stories until one breaks the model, or until the time is used up."""

    def __init__(
        self, world: World, ledger: Ledger, bridge: Bridge, *, seed: int, examples: int, shrinking: int
    ) -> None:
        self.world, self.ledger, self.bridge, self.shrinking = world, ledger, bridge, shrinking
        self.moves: Moves = find_moves(world.target)
        self.troupe = Troupe(world, kinds_of_login(world.target))
        self.habits: Habits | None = None
        self.stories = self.steps = 0
        self.best: tuple[BrokenError, Stage] | None = None
        self._seed, self._examples = seed, examples
        self._rng = random.Random(f"{seed}:lifecycle")

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
        self.bridge.resume(time.monotonic() + _SETTLING[0], _SETTLING[1])
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
        machine = _machine(self)
        moves = list(offered(self))
        for number, (allowed, subject, steps) in enumerate(self._acts(moves)):
            if self.best is not None or self.bridge.spent or self.stories >= self._examples:
                return
            act = _act(machine, allowed, subject)
            self._play(seed(f"{self._seed}:{number}")(act), steps, 1 if number < len(moves) else STORIES)

    def _acts(self, moves: list[str]) -> Iterator[tuple[set[str], str, int]]:
        """Which moves are allowed, which one is likelier than the rest, and how long the stories are.

        Each move is the subject of an act in turn, among a few others; after that acts mix more of them. Few moves
        at a time meet more often than many do (swarm testing).
        """
        for subject in (one for _ in range(_ROUNDS) for one in self._rng.sample(moves, len(moves))):
            others = self._rng.sample(moves, min(_OTHERS, len(moves)))
            yield {subject, *_AFTER[subject], *others}, subject, STEPS
        while True:
            some = self._rng.sample(moves, min(2 * _OTHERS, len(moves)))
            yield {*some, *(before for one in some for before in _AFTER[one])}, some[0], LONGER

    def _play(self, machine: type[RuleBasedStateMachine], steps: int, stories: int) -> None:
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=min(stories, self._examples - self.stories),
                    stateful_step_count=steps,
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
        found = Violation(broken.operation, message, broken.severity, evidence, expected)
        self.ledger.broken(broken.rule, found)


def offered(search: LifecycleSearch) -> Iterator[str]:
    """The moves that this service has."""
    target, moves, habits = search.world.target, search.moves, search.habits or Habits()
    refreshes, keys, admin = target.refresh is not None, target.keys, search.world.admin is not None
    rotates = refreshes and habits.refresh_rotates
    has: dict[str, bool] = {
        "log_out": bool(target.logouts),
        "log_out_everywhere": moves.logout_all is not None,
        "refresh": refreshes,
        "reuse": refreshes,
        "change_password": moves.change is not None,
        "try_former_password": moves.change is not None,
        "create_key": keys is not None,
        "revoke_key": keys is not None and keys.revoke is not None,
        "rotate_key": keys is not None and moves.rotate is not None,
        "delete_account": target.delete_account is not None,
        "register_again": target.delete_account is not None,
        "block": moves.block is not None and admin,
        "unblock": moves.block is not None and admin,
        "demote": moves.role is not None and admin and search.troupe.privileged is not None,
        "wait": target.in_process,
        "race_refresh": rotates and not target.policy.refresh_window,
        "race_logout": refreshes and bool(target.logouts),
    }
    return (name for name in _AFTER if has.get(name, True))


def _act(story: type[RuleBasedStateMachine], allowed: set[str], subject: str) -> type[RuleBasedStateMachine]:
    """The machine with these moves only. The subject is there twice: Hypothesis takes it twice as often."""
    left_out = dict.fromkeys(_AFTER.keys() - allowed)
    twice = {f"{subject}_again": getattr(story, subject)}
    return type("Act", (story,), {**left_out, **twice, "subject": subject})


def _machine(search: LifecycleSearch) -> type[RuleBasedStateMachine]:  # noqa: C901 - one rule per move
    world, moves, bridge = search.world, search.moves, search.bridge
    kinds = search.troupe.kinds
    keys = world.target.keys

    class Story(RuleBasedStateMachine):
        """One story. Rules that a service lacks are never offered; `subject` is what the act is about."""

        subject = "use"

        def __init__(self) -> None:
            super().__init__()
            self.stage = Stage(world, moves, search.habits or Habits(), search.troupe)
            self.off = self.broken = False
            search.stories += 1

        def do(self, work: Callable[[], Coroutine[Any, Any, object]], *, sweep: bool = False) -> None:
            """One step, and if it can have ended something a look at everything that is known."""
            if self.off:
                return
            search.steps += 1
            try:
                bridge.run(_step(work, self.stage.sweep if sweep else None))
            except HaltedError as halted:
                self.off = True
                raise OverError from halted
            except (OffStageError, Missing, Unclear):
                self.off = True
            except BrokenError as broken:
                if search.best is None:
                    # The rest of the budget is for shortening, and need not be used up.
                    bridge.shorten(_SHORTENING, search.shrinking)
                search.best, self.broken = (broken, self.stage), True
                raise

        def session(self, number: int) -> Held | None:
            """One of the live sessions."""
            live = [] if self.off else self.stage.alive(*_SESSIONS)
            return live[number % len(live)] if live else None

        def key(self, number: int) -> Held | None:
            """One of the live keys."""
            live = [] if self.off else self.stage.alive("key")
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

        def who(self, number: int, fits: Callable[[Actor], bool]) -> str | None:
            """One of the users of whom that is true."""
            found = [] if self.off else [name for name, actor in self.stage.actors.items() if fits(actor)]
            return found[number % len(found)] if found else None

        def owners(self) -> list[str]:
            """Users with an account and something to lose."""
            return [
                name
                for name, actor in self.stage.actors.items()
                if actor.present and not actor.blocked and self.stage.alive(*_SESSIONS, "key", owner=name)
            ]

        @initialize(
            opening=st.lists(st.tuples(_WHO, st.integers(0, len(kinds))), min_size=1, max_size=3),
            # The plainest story is short for both: nobody but who must, and straight to the point.
            everybody=st.integers(0, 3).map(bool),
            at_once=st.integers(0, 3).map(lambda chance: chance < 3),
            number=_NUMBER,
        )
        def enter(
            self,
            opening: list[tuple[str, int]],
            everybody: bool,  # noqa: FBT001 - drawn
            at_once: bool,  # noqa: FBT001 - drawn
            number: int,
        ) -> None:
            self.do(self.stage.enter)
            full = [(name, number) for name in NAMES for number in range(len(kinds[:2]))]
            if keys is not None and getattr(self, "create_key", None) is not None:
                full += [(name, len(kinds)) for name in NAMES]
            for name, door in [*(full if everybody else ()), *opening]:
                if door < len(kinds):
                    self.do(_logging_in(self.stage, name, kinds[door]))
                else:
                    self.do(_making_a_key(self.stage, name))
            for move in (*_AFTER[self.subject], self.subject) if at_once else ():
                getattr(self, move)(number)

        @rule(name=_WHO, number=_NUMBER)
        def log_in(self, name: str, number: int) -> None:
            kind = kinds[number % len(kinds)]
            self.do(lambda: self.stage.log_in(name, kind))

        @rule(number=_NUMBER)
        def use(self, number: int) -> None:
            self.do(lambda: self.stage.audit(number))

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out(held), sweep=True)

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out_everywhere(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out_everywhere(held), sweep=True)

        @precondition(lambda self: self.token(0) is not None)
        @rule(number=_NUMBER)
        def refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.refresh(held), sweep=True)

        @precondition(lambda self: self.token(0, used=True) is not None)
        @rule(number=_NUMBER)
        def reuse(self, number: int) -> None:
            if (held := self.token(number, used=True)) is not None:
                self.do(lambda: self.stage.reuse(held), sweep=True)

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def change_password(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.change_password(held), sweep=True)

        @precondition(lambda self: any(actor.former for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def try_former_password(self, number: int) -> None:
            if name := self.who(number, lambda actor: bool(actor.former)):
                self.do(lambda: self.stage.try_former_password(name))

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def create_key(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.create_key(name))

        @precondition(lambda self: self.has("key") and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def revoke_key(self, number: int) -> None:
            if (held := self.key(number)) is not None:
                self.do(lambda: self.stage.revoke_key(held), sweep=True)

        @precondition(lambda self: self.has("key") and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def rotate_key(self, number: int) -> None:
            if (held := self.key(number)) is not None:
                self.do(lambda: self.stage.revoke_key(held, rotate=True), sweep=True)

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def delete_account(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.delete_account(held), sweep=True)

        @precondition(lambda self: any(not actor.present for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def register_again(self, number: int) -> None:
            if name := self.who(number, lambda actor: not actor.present):
                self.do(lambda: self.stage.register_again(name), sweep=True)

        @precondition(lambda self: bool(self.owners()))
        @rule(number=_NUMBER)
        def block(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.block(name), sweep=True)

        @precondition(lambda self: any(actor.blocked for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def unblock(self, number: int) -> None:
            if name := self.who(number, lambda actor: actor.blocked):
                self.do(lambda: self.stage.unblock(name), sweep=True)

        @precondition(lambda self: bool(self.owners()))
        @rule(number=_NUMBER)
        def demote(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.demote(name), sweep=True)

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def wait(self, number: int) -> None:
            minutes = _MINUTES[number % len(_MINUTES)]
            self.do(lambda: self.stage.wait(minutes * 60.0), sweep=True)

        @precondition(lambda self: self.token(0) is not None)
        @rule(number=_NUMBER)
        def race_refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.race_refresh(held), sweep=True)

        @precondition(lambda self: self.token(0) is not None)
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
            if not self.stage.actors or bridge.spent:
                return
            try:
                if not self.off and not self.broken:
                    self.do(self.stage.audit_all)
            finally:
                try:
                    bridge.run(self.stage.leave())
                except (HaltedError, Missing, Unclear):
                    self.off = True

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
