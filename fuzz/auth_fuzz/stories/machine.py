"""The lifecycle as a rule-based state machine: Hypothesis writes the stories and shortens the ones that break."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from auth_conformance.probe import Missing, Unclear
from auth_fuzz.bridge import HaltedError, OverError
from auth_fuzz.stories.acts import AFTER, REVIVING, SHUTTING
from auth_fuzz.stories.cast import NAMES, NEWCOMER, Actor, Held
from auth_fuzz.stories.ground import BrokenError, OffStageError
from auth_fuzz.stories.model import CONFIRMATION, RESET, Habits, Life
from auth_fuzz.stories.stage import Stage

if TYPE_CHECKING:
    from auth_conformance.credentials import Kind
    from auth_fuzz.stories.search import LifecycleSearch

_WHO = st.sampled_from(NAMES)
_NUMBER = st.integers(0, 11)
_MINUTES = (20, 1, 10, 60, 600, 1500)
_SESSIONS = ("bearer", "cookie", "basic")


def machine_of(search: LifecycleSearch) -> type[RuleBasedStateMachine]:  # noqa: C901 - one rule per move
    """The machine of a search: what it plays and where is the same for all its stories."""
    world, moves, bridge = search.world, search.moves, search.bridge
    kinds = search.troupe.kinds
    keys = world.target.keys

    class Story(RuleBasedStateMachine):
        """One story. Rules that a service lacks are never offered; `subject` is what the act is about."""

        subject = "use"
        full = watched = False

        def __init__(self) -> None:
            super().__init__()
            self.stage = Stage(world, moves, search.habits or Habits(), search.troupe)
            self.off = self.broken = False
            # Whether something was done since the last restart: another one would only repeat it.
            self.stirred = True
            search.stories += 1

        def do(
            self, work: Callable[[], Coroutine[Any, Any, object]], *, sweep: bool = False, move: str = ""
        ) -> None:
            """One step, and if it can have ended something a look at everything that is known."""
            if self.off:
                return
            search.steps += 1
            told = len(self.stage.lines)
            try:
                bridge.run(_step(work, self.stage.sweep if sweep else None))
            except HaltedError as halted:
                self.off = True
                raise OverError from halted
            except (OffStageError, Missing, Unclear):
                self.off = True
            except BrokenError as broken:
                if search.broke(broken, self.stage):
                    self.broken = True
                    raise
                self.off = True  # told already: what comes after it would only be its consequence
            finally:
                # A step that was made is told; a look is told only when it shows something wrong.
                if move and (len(self.stage.lines) > told or move == "use"):
                    search.played[move] += 1
                    self.stirred = self.stirred if move == "use" else move != "restart"

        def session(self, number: int) -> Held | None:
            """One of the live sessions."""
            live = [] if self.off else self.stage.alive(*_SESSIONS)
            return live[number % len(live)] if live else None

        def key(self, number: int) -> Held | None:
            """One of the live keys."""
            live = [] if self.off else self.stage.alive("key")
            return live[number % len(live)] if live else None

        def keys(self) -> list[Held]:
            """The keys that were revoked or rotated, if any, else all."""
            found = [] if self.off else [item for item in self.stage.held if item.holding.kind == "key"]
            return [item for item in found if item.holding.life is Life.DEAD] or found

        def token(self, number: int, *, used: bool = False) -> Held | None:
            """One of the refresh tokens."""
            found = [
                item for item in self.stage.held if item.refresh is not None and item.holding.used is used
            ]
            found = [
                item for item in found if used or self.stage.book.demand(item.holding)[0].value == "alive"
            ]
            return found[number % len(found)] if found and not self.off else None

        def letter(self, number: int, kind: str) -> Held | None:
            """One of the mailed tokens that were not used."""
            found = [] if self.off else [item for item in self.stage.held if item.holding.kind == kind]
            found = [item for item in found if self.stage.book.demand(item.holding)[0].value != "dead"]
            return found[number % len(found)] if found else None

        def has(self, *kinds: str) -> bool:
            """Whether somebody holds a live credential of these kinds."""
            return not self.off and bool(self.stage.alive(*kinds))

        def who(self, number: int, fits: Callable[[Actor], bool]) -> str | None:
            """One of the users of whom that is true."""
            found = [] if self.off else [name for name, actor in self.stage.actors.items() if fits(actor)]
            return found[number % len(found)] if found else None

        def whom(self, name: str | int, fits: Callable[[Actor], bool]) -> str | None:
            """The user of that name, if that is true of them; by a number one of the two."""
            chosen = NAMES[name % len(NAMES)] if isinstance(name, int) else name
            actor = None if self.off else self.stage.actors.get(chosen)
            return chosen if actor is not None and fits(actor) else None

        def try_former(self, number: int, move: str) -> None:
            """Present a password that was changed or reset: two moves, since each follows another one."""
            if name := self.who(number, lambda actor: bool(actor.former)):
                self.do(lambda: self.stage.try_former_password(name), move=move)

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
            everybody = everybody or self.full
            full = [(name, number) for name in NAMES for number in range(len(kinds[:2]))]
            if keys is not None and getattr(self, "create_key", None) is not None:
                full += [(name, len(kinds)) for name in NAMES]
            watching = [(NAMES[-1], 0)] if self.watched and not everybody else []
            for name, door in [*(full if everybody else watching), *opening]:
                if door < len(kinds):
                    self.do(_logging_in(self.stage, name, kinds[door]))
                else:
                    self.do(_making_a_key(self.stage, name))
            if everybody and self.subject in REVIVING:
                self.do(_ending_some(self.stage, kinds[:2]), sweep=True)
            # A mail that waits must be as dead as everything else when its account is shut.
            shuts = not SHUTTING.isdisjoint({self.subject, *AFTER[self.subject]})
            for name in NAMES if everybody and shuts else ():
                self.do(_writing_to(self.stage, name))
            last = ("restart",) if search.restarting and self.subject != "reuse_after_restart" else ()
            for move in (*AFTER[self.subject], self.subject, *last) if at_once else ():
                getattr(self, move)(number)

        @rule(name=_WHO, number=_NUMBER)
        def log_in(self, name: str, number: int) -> None:
            kind = kinds[number % len(kinds)]
            self.do(lambda: self.stage.log_in(name, kind), move="log_in")

        @rule(number=_NUMBER)
        def use(self, number: int) -> None:
            self.do(lambda: self.stage.audit(number), move="use")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out(held), sweep=True, move="log_out")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def log_out_everywhere(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.log_out_everywhere(held), sweep=True, move="log_out_everywhere")

        @precondition(lambda self: self.token(0) is not None)
        @rule(number=_NUMBER)
        def refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.refresh(held), sweep=True, move="refresh")

        @precondition(lambda self: self.token(0, used=True) is not None)
        @rule(number=_NUMBER)
        def reuse(self, number: int) -> None:
            if (held := self.token(number, used=True)) is not None:
                self.do(lambda: self.stage.reuse(held), sweep=True, move="reuse")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def change_password(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.change_password(held), sweep=True, move="change_password")

        @precondition(lambda self: any(actor.former for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def try_former_password(self, number: int) -> None:
            self.try_former(number, "try_former_password")

        @precondition(lambda self: any(actor.former for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def put_password_back(self, number: int) -> None:
            if name := self.who(number, lambda actor: bool(actor.former) and actor.present):
                self.do(lambda: self.stage.put_password_back(name), sweep=True, move="put_password_back")

        @rule(name=_WHO)
        def ask_reset(self, name: str | int) -> None:
            if who := self.whom(name, lambda actor: actor.present and not actor.blocked):
                self.do(lambda: self.stage.ask_reset(who), move="ask_reset")

        @precondition(lambda self: self.letter(0, RESET) is not None)
        @rule(number=_NUMBER)
        def reset_password(self, number: int) -> None:
            if (held := self.letter(number, RESET)) is not None:
                self.do(lambda: self.stage.redeem(held), sweep=True, move="reset_password")

        @precondition(lambda self: any(actor.former for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def try_password_before_reset(self, number: int) -> None:
            self.try_former(number, "try_password_before_reset")

        @rule(name=_WHO)
        def ask_confirmation(self, name: str | int) -> None:
            newcomer = self.who(0, lambda actor: actor.present and actor.confirmed is False)
            if who := newcomer or self.whom(name, lambda actor: actor.present and not actor.blocked):
                self.do(lambda: self.stage.ask_confirmation(who), move="ask_confirmation")

        @precondition(lambda self: self.letter(0, CONFIRMATION) is not None)
        @rule(number=_NUMBER)
        def confirm(self, number: int) -> None:
            if (held := self.letter(number, CONFIRMATION)) is not None:
                self.do(lambda: self.stage.redeem(held), sweep=True, move="confirm")

        @precondition(lambda self: NEWCOMER not in self.stage.actors)
        @rule(number=_NUMBER)
        def arrive(self, number: int) -> None:
            del number
            self.do(self.stage.arrive, move="arrive")

        @precondition(lambda self: any(actor.confirmed is False for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def try_unconfirmed(self, number: int) -> None:
            if name := self.who(number, lambda actor: actor.confirmed is False and actor.present):
                self.do(lambda: self.stage.try_unconfirmed(name), move="try_unconfirmed")

        @precondition(lambda self: self.stirred)
        @rule(number=_NUMBER)
        def restart(self, number: int) -> None:
            del number
            self.do(self.stage.restart, sweep=True, move="restart")

        @precondition(lambda self: self.token(0, used=True) is not None)
        @rule(number=_NUMBER)
        def reuse_after_restart(self, number: int) -> None:
            if (held := self.token(number, used=True)) is not None:
                self.do(lambda: self.stage.reuse(held), sweep=True, move="reuse_after_restart")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def create_key(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.create_key(name), move="create_key")

        @precondition(lambda self: self.has("key") and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def revoke_key(self, number: int) -> None:
            if (held := self.key(number)) is not None:
                self.do(lambda: self.stage.revoke_key(held), sweep=True, move="revoke_key")

        @precondition(lambda self: self.has("key") and self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def rotate_key(self, number: int) -> None:
            if (held := self.key(number)) is not None:
                self.do(lambda: self.stage.revoke_key(held, rotate=True), sweep=True, move="rotate_key")

        @precondition(lambda self: self.has(*_SESSIONS) and bool(self.keys()))
        @rule(number=_NUMBER)
        def edit_key(self, number: int) -> None:
            if found := self.keys():
                held = found[number % len(found)]
                self.do(lambda: self.stage.edit_key(held), sweep=True, move="edit_key")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def delete_account(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.delete_account(held), sweep=True, move="delete_account")

        @precondition(lambda self: any(not actor.present for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def register_again(self, number: int) -> None:
            if name := self.who(number, lambda actor: not actor.present):
                self.do(lambda: self.stage.register_again(name), sweep=True, move="register_again")

        @precondition(lambda self: bool(self.owners()))
        @rule(number=_NUMBER)
        def block(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.block(name), sweep=True, move="block")

        @precondition(lambda self: any(actor.blocked for actor in self.stage.actors.values()))
        @rule(number=_NUMBER)
        def unblock(self, number: int) -> None:
            if name := self.who(number, lambda actor: actor.blocked):
                self.do(lambda: self.stage.unblock(name), sweep=True, move="unblock")

        @precondition(lambda self: bool(self.owners()))
        @rule(number=_NUMBER)
        def demote(self, number: int) -> None:
            if owners := self.owners():
                name = owners[number % len(owners)]
                self.do(lambda: self.stage.demote(name), sweep=True, move="demote")

        @precondition(lambda self: self.has(*_SESSIONS))
        @rule(number=_NUMBER)
        def wait(self, number: int) -> None:
            minutes = _MINUTES[number % len(_MINUTES)]
            self.do(lambda: self.stage.wait(minutes * 60.0), sweep=True, move="wait")

        @precondition(lambda self: self.token(0) is not None)
        @rule(number=_NUMBER)
        def race_refresh(self, number: int) -> None:
            if (held := self.token(number)) is not None:
                self.do(lambda: self.stage.race_refresh(held), sweep=True, move="race_refresh")

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
                self.do(lambda: self.stage.race_logout(held, token), sweep=True, move="race_logout")

        @precondition(lambda self: self.has("bearer", "cookie"))
        @rule(number=_NUMBER)
        def race_logouts(self, number: int) -> None:
            if (held := self.session(number)) is not None:
                self.do(lambda: self.stage.race_logouts(held), sweep=True, move="race_logouts")

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


def _ending_some(stage: Stage, kinds: list[Kind]) -> Callable[[], Coroutine[Any, Any, object]]:
    async def end() -> None:
        for name in NAMES:
            await stage.end_some(name, kinds)

    return end


def _writing_to(stage: Stage, name: str) -> Callable[[], Coroutine[Any, Any, object]]:
    async def write() -> None:
        await stage.ask_reset(name)
        await stage.ask_confirmation(name)

    return write


async def _step(
    work: Callable[[], Coroutine[Any, Any, object]], after: Callable[[], Awaitable[None]] | None
) -> None:
    await work()
    if after is not None:
        await after()
