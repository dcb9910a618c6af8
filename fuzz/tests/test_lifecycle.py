"""The reference model by itself: what must be alive, dead, or may be either; and which moves are really played."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality import CASES, SECONDS, found, searched

from auth_conformance.target import Form, Operation, PasswordChange, Target
from auth_fuzz import Budget
from auth_fuzz.stories.acts import AFTER, Act, acts, offered, subjects_of
from auth_fuzz.stories.model import MAILED, RESET, Book, Habits, Holding, Life
from auth_fuzz.stories.moves import find_moves
from auth_fuzz.stories.search import LifecycleSearch

STRICT = Habits(
    logout_spares_others=True,
    login_spares_others=True,
    refresh_spares_access=True,
    refresh_rotates=True,
    reuse_ends_family=True,
    keys_outlive_logout=True,
    keys_outlive_password=True,
    change_spares_own=True,
    change_ends_others=True,
)


def book_of(habits: Habits = STRICT) -> tuple[Book, Holding, Holding, Holding, Holding]:
    """Two sessions and a key of ann's, and a session of bob's."""
    book = Book(habits)
    first = book.issue("ann", "bearer", book.family())
    second = book.issue("ann", "cookie", book.family())
    key = book.issue("ann", "key", book.family())
    other = book.issue("bob", "bearer", book.family())
    return book, first, second, key, other


def lives(book: Book, *holdings: Holding) -> list[Life]:
    return [book.demand(item)[0] for item in holdings]


def test_a_logout_ends_its_session_and_spares_the_rest() -> None:
    book, first, *rest = book_of()
    book.logged_out(first)
    assert lives(book, first) == [Life.DEAD]
    assert lives(book, *rest) == [Life.ALIVE] * 3


def test_where_a_logout_was_seen_to_end_more_nothing_is_demanded_of_the_users_other_sessions() -> None:
    book, first, second, key, other = book_of(Habits())
    book.logged_out(first)
    assert lives(book, first, second, key, other) == [Life.DEAD, Life.EITHER, Life.EITHER, Life.ALIVE]


def test_a_password_change_ends_the_other_sessions_and_never_another_users() -> None:
    book, first, second, key, other = book_of()
    book.changed_password("ann", first.family)
    assert lives(book, first, second, key, other) == [Life.ALIVE, Life.DEAD, Life.ALIVE, Life.ALIVE]


def test_a_used_refresh_token_that_comes_back_ends_its_family() -> None:
    book, first, _, _, other = book_of()
    token = book.issue("ann", "refresh token", first.family)
    book.refreshed(token)
    assert token.used
    book.reused(token)
    assert lives(book, first, token, other) == [Life.DEAD, Life.DEAD, Life.ALIVE]


def test_what_was_dead_stays_dead_when_the_name_is_taken_again() -> None:
    book, first, second, key, _ = book_of()
    book.left("ann")
    book.returned("ann")
    assert lives(book, first, second, key) == [Life.DEAD] * 3


def test_a_reset_ends_the_sessions_and_the_mails_of_its_owner_only() -> None:
    book, first, second, key, other = book_of(
        replace(STRICT, reset_ends_others=True, keys_outlive_reset=True)
    )
    older, token, theirs = (book.mailed(name, RESET) for name in ("ann", "ann", "bob"))
    assert lives(book, older, token, theirs) == [Life.EITHER, Life.ALIVE, Life.ALIVE]
    book.revoked(token, "it was used")
    book.reset("ann")
    assert lives(book, first, second, key, other) == [Life.DEAD, Life.DEAD, Life.ALIVE, Life.ALIVE]
    assert lives(book, older, token, theirs) == [Life.EITHER, Life.DEAD, Life.ALIVE]


def test_a_mail_that_waits_dies_with_its_account_and_not_with_a_logout_everywhere() -> None:
    book, *_ = book_of()
    letters = [book.mailed("ann", kind) for kind in MAILED]
    book.logged_out_everywhere("ann", 1)
    assert lives(book, *letters) == [Life.ALIVE] * 2
    book.left("ann")
    book.returned("ann")
    assert lives(book, *letters) == [Life.DEAD] * 2


@pytest.mark.parametrize("outlives", [True, False])
def test_a_restart_revives_nothing_and_may_end_what_is_kept_in_memory(outlives: bool) -> None:
    book, first, second, _, _ = book_of(replace(STRICT, outlives_restart=outlives))
    book.logged_out(first)
    book.restarted()
    assert lives(book, first, second) == [Life.DEAD, Life.ALIVE if outlives else Life.EITHER]


def test_around_its_end_a_credential_may_be_either() -> None:
    book = Book(STRICT, leeway=60)
    token = book.issue("ann", "bearer", book.family(), expires=1000)
    seen = []
    for now in (900, 990, 1030, 1061):
        book.now = now
        seen.append(book.demand(token)[0])
    assert seen == [Life.ALIVE, Life.EITHER, Life.EITHER, Life.DEAD]


MOVES = ("logged_out", "logged_out_everywhere", "reused", "changed_password", "revoked", "left", "refreshed")


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 3)), max_size=12), st.booleans())
def test_nothing_that_ann_does_touches_bob_and_nothing_dead_revives(
    moves: list[tuple[str, int]], strict: bool
) -> None:
    book, *mine, other = book_of(STRICT if strict else Habits())
    dead: set[int] = set()
    for name, number in moves:
        holding = mine[number % len(mine)]
        match name:
            case "left":
                book.left("ann")
            case "logged_out_everywhere":
                book.logged_out_everywhere("ann", holding.family)
            case "changed_password":
                book.changed_password("ann", holding.family)
            case _:
                getattr(book, name)(holding)
        now_dead = {item.number for item in mine if book.demand(item)[0] is Life.DEAD}
        assert dead <= now_dead
        dead = now_dead
    assert book.demand(other)[0] is Life.ALIVE


MAIL = (
    *("ask_reset", "reset_password", "try_password_before_reset", "ask_confirmation", "confirm", "arrive"),
    *("try_unconfirmed", "delete_account", "register_again"),
)
RESTART = ("restart", "reuse_after_restart", "log_out")
# What only a service with a flaw of ours has: the seeded flaw `renamed_key_revives` plays it.
UNKNOWN = ("edit_key",)


def test_the_password_change_of_the_stories_is_the_one_that_the_run_knows() -> None:
    # A line of configuration names it: its words say nothing.
    change = PasswordChange(Form(Operation("POST", "/rpc/17"), "form"), "query:a", "b")
    moves = find_moves(Target("app", "shop:app", password_change=change))
    assert moves.change is change
    assert "change the password" not in moves.missing


@pytest.mark.parametrize("restarts", [False, True])
def test_each_move_has_a_plain_story_before_any_has_more(restarts: bool) -> None:
    subjects = subjects_of(list(AFTER))
    first = list(islice(acts(random.Random(0), list(AFTER), restarts=restarts), len(subjects)))
    assert sorted(act.subject for act in first) == sorted(subjects)
    assert {act.stories for act in first} == {1}


@pytest.mark.parametrize(
    ("moves", "search", "requests", "environment"),
    [
        (set(AFTER) - {*MAIL, *RESTART, *UNKNOWN}, "lifecycle", 900, {}),
        (set(MAIL), "lifecycle", 500, {"REQUIRE_VERIFIED_EMAIL": "true"}),
        (set(RESTART), "restarts", 200, {}),
    ],
    ids=["credentials", "mail", "restarts"],
)
def test_every_move_is_played_on_the_reference_app(
    monkeypatch: pytest.MonkeyPatch,
    moves: set[str],
    search: str,
    requests: int,
    environment: dict[str, str],
) -> None:
    seen: set[str] = set()

    def some(found: LifecycleSearch) -> Iterator[str]:
        chosen = [name for name in offered(found) if name in moves]
        seen.update(chosen)
        return iter(chosen)

    monkeypatch.setattr("auth_fuzz.stories.search.offered", some)
    outcome = searched(0, Budget(SECONDS, requests), only=[search], environment=environment)
    told = {note for result in outcome.results for note in getattr(result.verdict, "notes", ())}
    assert seen | {"restart"} >= moves
    assert [note for note in told if note.startswith("never played")] == []


def test_a_move_that_was_never_made_is_named() -> None:
    # Only in so short a search: the first story of each move takes more requests.
    outcome = searched(0, Budget(SECONDS, 250), only=["lifecycle"])
    notes = next(result for result in outcome.results if result.rule.code == "FUZ301").verdict.notes
    assert any(note.startswith("never played in these stories: ") and "log out" in note for note in notes)


@pytest.mark.parametrize(
    ("flaw", "act"),
    [
        # A mail that waits is looked at wherever an account is shut, also where that is not what the act is about.
        ("credential_of_ended_account.3", Act(frozenset({"block", "unblock"}), "unblock", 2, 1, full=True)),
        # Somebody else is logged in where something ends, and is told of only where it ended that.
        ("reuse_ends_strangers", Act(frozenset({"refresh", "reuse"}), "reuse", 2, 1, watched=True)),
        ("logout_that_ends_nothing", Act(frozenset({"log_out"}), "log_out", 2, 1, watched=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_act_finds_what_it_is_set_for(monkeypatch: pytest.MonkeyPatch, flaw: str, act: Act) -> None:
    monkeypatch.setattr("auth_fuzz.stories.search.acts", lambda *_, **__: iter([act]))
    outcome = found(next(case for case in CASES if case.name == f"lifecycle/{flaw}"), 0)
    assert outcome.hit
    failed = next(result.verdict for result in outcome.results if result.name == "failed")
    assert ("bob" in failed.violations[0].message) is (flaw != "logout_that_ends_nothing")
