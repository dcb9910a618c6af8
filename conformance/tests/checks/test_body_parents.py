"""AUZ101 and AUZ102 where a body, and no path, says what an object belongs to."""

from typing import Any

import pytest
from checks.boards_app import boards
from checks.judging import judged_as_found, said

from auth_conformance.model import Failed, Inconclusive, Passed


@pytest.mark.parametrize("code", ["AUZ101", "AUZ102"])
def test_sound_cards_pass(code: str) -> None:
    result = judged_as_found(code, boards())
    assert isinstance(result.verdict, Passed), said(result)


@pytest.mark.parametrize(
    ("code", "operation"), [("AUZ101", "GET /cards/{card}"), ("AUZ102", "PATCH /cards/{card}")]
)
def test_cards_that_everybody_reaches_are_found(code: str, operation: str) -> None:
    found: Any = judged_as_found(code, boards(guarded=False)).verdict
    assert isinstance(found, Failed)
    assert operation in [violation.operation for violation in found.violations]


def test_a_card_on_the_board_of_another_is_found_by_its_owner() -> None:
    found: Any = judged_as_found("AUZ102", boards(welcoming=True)).verdict
    assert isinstance(found, Failed)
    assert [violation.operation for violation in found.violations] == ["POST /cards"]


@pytest.mark.parametrize("code", ["AUZ101", "AUZ102"])
def test_boards_that_name_their_space_in_turn_are_climbed(code: str) -> None:
    result = judged_as_found(code, boards(spaces=True))
    assert isinstance(result.verdict, Passed), said(result)
    open_to_all = judged_as_found(code, boards(spaces=True, guarded=False, welcoming=True))
    assert isinstance(open_to_all.verdict, Failed), said(open_to_all)
    assert "/cards" in open_to_all.verdict.reason


@pytest.mark.parametrize(
    ("leaks", "operation"),
    [
        ("cards", "GET /boards/{board}/cards"),
        ("history", "GET /cards/{card}/history"),
        ("filter", "GET /cards"),
    ],
)
def test_what_hangs_on_an_object_or_on_its_board_is_asked_for(leaks: str, operation: str) -> None:
    found: Any = judged_as_found("AUZ101", boards(leaks=leaks)).verdict
    assert isinstance(found, Failed)
    assert [violation.operation for violation in found.violations] == [operation]


def test_what_cards_belong_to_may_be_declared() -> None:
    declared = {
        "create": "POST /cards",
        "read": "GET /cards/{card}",
        "update": "PATCH /cards/{card}",
        "body": {"board_id": 1, "title": "x"},
        "text_field": "title",
        "identifier": "/id",
        "parents": [
            {
                "parameter": "/board_id",
                "operation": "POST /boards",
                "value": "/id",
                "body": {"name": "x"},
                "fresh": ["name"],
            }
        ],
    }
    result = judged_as_found("AUZ102", boards(), objects=declared)
    assert isinstance(result.verdict, Passed), said(result)
    found: Any = judged_as_found("AUZ102", boards(welcoming=True), objects=declared).verdict
    assert isinstance(found, Failed)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_got_no_orderly_answer_was_not_refused(status: int) -> None:
    """B's card on A's board meets a limit or a crash: that shows nothing about boards."""
    result = judged_as_found("AUZ102", boards(stumbles=status))
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert "creating below what is A's got no orderly answer" in result.verdict.reason
