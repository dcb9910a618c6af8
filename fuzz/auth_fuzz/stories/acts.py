"""Which moves a service has, and in which company each has its turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_fuzz.stories.model import Habits

if TYPE_CHECKING:
    import random

    from hypothesis.stateful import RuleBasedStateMachine

    from auth_fuzz.stories.search import LifecycleSearch

# So many steps make a story of one act, and of the later ones that mix everything.
STEPS = 6
LONGER = 12
# A full story is long before its subject has its turn.
FULL = 2
# So many stories are told in one act; the first of them is the plainest that there is. While there are moves that
# no act was about yet, that one is enough: a short budget must not end before the last move had its turn.
STORIES = 2
# So many other moves are allowed in an act besides the one that it is about.
_OTHERS = 3
# Every move, with those that must have been made before it. Logging in is always allowed.
AFTER: dict[str, tuple[str, ...]] = {
    "use": (),
    "log_out": (),
    "log_out_everywhere": (),
    "refresh": (),
    "reuse": ("refresh",),
    "change_password": (),
    "try_former_password": ("change_password",),
    "put_password_back": ("change_password",),
    "ask_reset": (),
    "reset_password": ("ask_reset",),
    "try_password_before_reset": ("ask_reset", "reset_password"),
    "ask_confirmation": (),
    "confirm": ("arrive", "ask_confirmation"),
    "arrive": (),
    "try_unconfirmed": ("arrive",),
    "create_key": (),
    "revoke_key": ("create_key",),
    # Twice: what a rotation ends must stay so when its successor is rotated.
    "rotate_key": ("create_key", "rotate_key"),
    "edit_key": ("create_key", "revoke_key"),
    "delete_account": (),
    "register_again": ("delete_account",),
    # With a key in hand: a key is the credential whose owner is looked up last.
    "block": ("create_key",),
    "unblock": ("block",),
    "demote": (),
    "wait": (),
    "race_refresh": (),
    "race_logout": (),
    "race_logouts": (),
    "restart": (),
    "reuse_after_restart": ("refresh", "restart"),
}
# What only leads to something: no act is about it.
_LEADING = frozenset({"ask_reset", "ask_confirmation", "arrive"})
# After these nothing of an account opens anything, a mail that waits included.
SHUTTING = frozenset({"delete_account", "register_again", "block"})
# What ends many things at once: seen only where there are many, which the plainest story has not.
WIDE = frozenset({*SHUTTING, "log_out_everywhere", "change_password", "reset_password"})
# What brings an account back or changes what its credentials are held against: what had ended must stay so.
REVIVING = frozenset(
    {
        *("change_password", "put_password_back", "reset_password", "register_again", "unblock", "demote"),
        *("rotate_key", "edit_key"),
    }
)
# What ends something: after each of these the service is restarted, where it can be.
_ENDING = (
    *("log_out", "log_out_everywhere", "change_password", "try_former_password", "reset_password"),
    *("try_password_before_reset", "revoke_key", "rotate_key", "delete_account", "register_again", "block"),
    *("reuse", "reuse_after_restart"),
)


def offered(search: LifecycleSearch) -> Iterator[str]:
    """The moves that this service has."""
    target, moves, habits = search.world.target, search.moves, search.habits or Habits()
    refreshes, keys, admin = target.refresh is not None, target.keys, search.world.admin is not None
    confirmed = moves.confirmation is not None and target.register is not None and target.register.confirmed
    rotates = refreshes and habits.refresh_rotates
    has: dict[str, bool] = {
        "log_out": bool(target.logouts),
        "log_out_everywhere": moves.logout_all is not None,
        "refresh": refreshes,
        "reuse": refreshes,
        "change_password": moves.change is not None,
        "try_former_password": moves.change is not None,
        "put_password_back": moves.change is not None,
        "ask_reset": moves.reset is not None,
        "reset_password": moves.reset is not None,
        "try_password_before_reset": moves.reset is not None,
        "ask_confirmation": moves.confirmation is not None and moves.confirmation.ask is not None,
        "confirm": moves.confirmation is not None,
        "arrive": confirmed,
        "try_unconfirmed": confirmed,
        "create_key": keys is not None,
        "revoke_key": keys is not None and keys.revoke is not None,
        "rotate_key": keys is not None and moves.rotate is not None,
        "edit_key": keys is not None and keys.revoke is not None and moves.edit is not None,
        "delete_account": target.delete_account is not None,
        "register_again": target.delete_account is not None,
        "block": moves.block is not None and admin,
        "unblock": moves.block is not None and admin,
        "demote": moves.role is not None and admin and search.troupe.privileged is not None,
        "wait": target.in_process,
        "restart": search.restarting,
        "reuse_after_restart": search.restarting and refreshes,
        "race_refresh": rotates and not target.policy.refresh_window,
        "race_logout": refreshes and bool(target.logouts),
        "race_logouts": bool(target.logouts),
    }
    subjects = _ENDING if search.restarting else AFTER
    return (name for name in subjects if has.get(name, True))


def subjects_of(moves: list[str]) -> list[str]:
    """The moves that acts are about."""
    return [name for name in moves if name not in _LEADING]


@dataclass(frozen=True, slots=True)
class Act:
    """Which moves are allowed, which one is likelier than the rest, how long the stories are, and how many.

    In a `full` one everybody is there, and holds and held what there is to hold: also in its first story.
    In one that is `watched` somebody else is logged in: what ends must not end that.
    """

    allowed: frozenset[str]
    subject: str
    steps: int
    stories: int
    full: bool = False
    watched: bool = False


def acts(
    rng: random.Random, moves: list[str], *, besides: tuple[str, ...] = (), restarts: bool = False
) -> Iterator[Act]:
    """The acts of a search, one after the other.

    `besides` are moves that are always allowed. With `restarts` those that end many things have more stories next, and
    no story is full.

    Each move is the subject of a plain act first, so that a run which is cut short has made every move; then those
    that may revive something of a full one, then each of one among a few others; after that acts mix more of them.
    Few moves at a time meet more often than many do (swarm testing).
    """
    subjects = subjects_of(moves)
    company = [name for name in subjects if name in (WIDE if restarts else REVIVING)]
    for turn, chosen in enumerate((subjects, company, subjects)):
        for subject in rng.sample(chosen, len(chosen)):
            others = rng.sample(moves, min(_OTHERS, len(moves)))
            allowed = frozenset({subject, *AFTER[subject], *others, *besides})
            full = turn == 1 and not restarts
            many = 1 if full or not turn else STORIES + 1 if subject in WIDE else STORIES
            watched = not turn and subject in _ENDING
            yield Act(allowed, subject, FULL if full else STEPS, many, full, watched)
    while True:
        some = rng.sample(moves, min(2 * _OTHERS, len(moves)))
        allowed = frozenset({*some, *besides, *(before for one in some for before in AFTER[one])})
        yield Act(allowed, some[0], LONGER, STORIES + 1 if some[0] in WIDE else STORIES)


def act_of(story: type[RuleBasedStateMachine], act: Act) -> type[RuleBasedStateMachine]:
    """The machine with these moves only. The subject is there twice: Hypothesis takes it twice as often."""
    left_out = dict.fromkeys(AFTER.keys() - act.allowed)
    twice = {f"{act.subject}_again": getattr(story, act.subject)}
    cast = {"subject": act.subject, "full": act.full, "watched": act.watched}
    return type("Act", (story,), {**left_out, **twice, **cast})
