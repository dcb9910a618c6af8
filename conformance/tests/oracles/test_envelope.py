"""A no in the body of a 2xx: learned from what two callers and a stranger got, never from names."""

import pytest

from auth_conformance.oracles.envelope import learned
from auth_conformance.oracles.refusing import refuses


@pytest.mark.parametrize(
    ("good", "stranger", "refusals", "grants"),
    [
        (
            [{"id": 1, "email": "a"}, {"id": 2, "email": "b"}],
            {"ok": False, "error": "E401"},
            [{"ok": False, "error": "E404", "fields": {}}],
            [{"ok": True}, {"message": "logged out"}, [], None],
        ),
        (
            [{"code": 0, "msg": "ok", "data": {"id": 1}}, {"code": 0, "msg": "ok", "data": {"id": 2}}],
            {"code": 401, "msg": "unauthorised", "data": None},
            [{"code": 403, "msg": "no", "data": None}],
            [{"code": 0, "msg": "logged out", "data": None}, {"data": 1}],
        ),
        (
            [{"status": "success", "data": {"id": 1}}],
            {"status": "error", "message": "Please log in"},
            [{"status": "error", "message": "no such note"}],
            [{"status": "success", "data": None}],
        ),
        (
            [{"error": False, "user": "a"}],
            {"error": True, "message": "no session"},
            [{"error": True}],
            [{"error": False}, {"error": "a text"}],
        ),
    ],
)
def test_the_member_that_speaks_is_found(
    good: list[object], stranger: object, refusals: list[object], grants: list[object]
) -> None:
    envelope = learned(good, stranger)
    assert envelope is not None
    assert all(envelope.says_no(body) for body in [stranger, *refusals])
    assert not any(envelope.says_no(body) for body in [*good, *grants])


@pytest.mark.parametrize(
    ("good", "stranger"),
    [
        (
            [{"id": 7, "name": "a"}, {"id": 8, "name": "b"}],
            {"id": 0, "name": "guest"},
        ),  # a guest is no refusal
        ([{"message": "Hello a"}], {"message": "Please log in"}),  # sentences are no vocabulary
        ([{"id": 1}], {"error": "unauthorised"}),
        ([[1]], {"ok": False}),
        ([{"ok": True}], "no"),
        ([], {"ok": False}),
    ],
)
def test_nothing_is_learned_from_what_may_be_data(good: list[object], stranger: object) -> None:
    assert learned(good, stranger) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": None, "errors": [{"message": "who are you?"}]}, True),
        ({"errors": [{"message": "no query"}]}, True),
        (
            {"data": {"me": None}, "errors": [{"message": "who are you?", "path": ["me"]}], "extensions": {}},
            True,
        ),
        ({"data": {"me": {"id": 1}, "bank": None}, "errors": [{"message": "no", "path": ["bank"]}]}, False),
        ({"data": {"logout": None}}, False),
        ({"errors": []}, False),
        ({"errors": [{"message": "no"}], "items": [1]}, False),
        ({"errors": ["a text"]}, False),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "no"}}, True),
        ({"jsonrpc": "2.0", "id": 1, "result": {"error": {}}}, False),
        ([{"errors": 1}], False),
    ],
)
def test_protocols_that_say_no_in_the_body_of_a_200(body: object, expected: bool) -> None:
    assert refuses(200, body) is expected
    assert not refuses(401, body), "the errors of a service that has a status for them"
