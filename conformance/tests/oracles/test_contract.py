from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.model import Severity
from auth_conformance.oracles.contract import (
    Breach,
    Contract,
    ErrorCase,
    Nesting,
    breach_of,
    contract_among,
    disagreements,
    read_error,
)

GOOD = {"error": "not_found", "message": "There is no such page."}


def case(status: int = 404, document: Any = GOOD, **other: Any) -> ErrorCase:
    values: dict[str, Any] = {
        "cause": "an unknown path",
        "group": "unknown",
        "media_type": "application/json",
        "headers": {},
        **other,
    }
    return ErrorCase(status=status, document=document, **values)


def words(found: Breach | None) -> str | None:
    return found.words if found is not None else None


def test_both_nestings_are_read() -> None:
    assert read_error(GOOD).nesting is Nesting.TOP
    assert read_error({"detail": GOOD}).nesting is Nesting.DETAIL
    # A reason phrase is one of a fixed list (RFC 9110 §15): frameworks write it beside the number.
    assert read_error({"statusCode": 404, "error": "Not Found", "message": "no"}).code == "Not Found"
    assert read_error({**GOOD, "detail": [{"loc": ["body"]}], "trace_id": "1"}).nesting is Nesting.TOP


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"detail": "Not Found"}, "`detail` is a text"),
        ({"detail": [{"type": "missing"}]}, "`detail` is a list"),
        (None, "missing, not a JSON object"),
        ([], "a list, not"),
        ({}, "no member `error`"),
        ({"error": "Not found, sorry", "message": "x"}, "not a code"),
        ({"error": {"code": "x"}, "message": "x"}, "an object"),
        ({"error": "x1", "message": " "}, "empty"),
        ({"error": "x1"}, "`message` is missing"),
        ({"error": "x1", "message": ["no"]}, "`message` is a list"),
    ],
)
def test_what_breaks_the_contract_is_said(document: Any, said: str) -> None:
    assert said in (words(breach_of(case(document=document))) or "")


def test_headers_belong_to_the_contract() -> None:
    assert breach_of(case(405)) == Breach("it names no method in Allow", Severity.LOW, body=False)
    assert breach_of(case(405, headers={"Allow": "GET"})) is None
    assert words(breach_of(case(429))) == "it has no Retry-After"
    assert "text/html" in (words(breach_of(case(media_type="text/html"))) or "")
    assert breach_of(case(media_type="application/vnd.api+json")) is None
    assert breach_of(case(media_type="application/problem+json")) is None


PROBLEM = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such page."}
PLAIN = {"detail": "Not Found"}


@pytest.mark.parametrize(
    "document",
    [PROBLEM, PLAIN, {"errors": [{"title": "Not Found"}]}, {"message": "no", "statusCode": 404}, GOOD],
)
def test_whatever_all_errors_hold_is_the_contract(document: dict[str, Any]) -> None:
    cases = [case(401, document), case(404, {**document, "trace": "x"}), case(422, document, group="input")]
    contract = contract_among(cases)
    assert not [found for found in cases if breach_of(found, contract) is not None]


@pytest.mark.parametrize(
    ("odd", "said", "severity"),
    [
        ({"message": "no"}, "no member `detail`", None),
        ({"detail": {"code": "x"}}, "`detail` is an object, elsewhere a text", None),
        # FastAPI's own answer to bad input.
        ({"detail": [{"type": "missing"}]}, "`detail` is a list, elsewhere a text", Severity.LOW),
        ([], "not a JSON object", None),
    ],
)
def test_what_is_unlike_the_other_errors_is_found(odd: Any, said: str, severity: Severity | None) -> None:
    cases = [case(401, PLAIN), case(404, PLAIN), case(405, PLAIN), case(422, odd, group="input")]
    contract = contract_among(cases)
    found = breach_of(cases[-1], contract)
    assert found is not None
    assert said in found.words
    assert found.severity is severity
    assert breach_of(cases[0], contract) is None


def test_declared_members_stand_together_and_are_texts() -> None:
    contract = contract_among([case(document=PLAIN)], ("code", "text"))
    right = {"code": "gone", "text": "Nothing here."}
    for document in (right, {"detail": right}):
        assert breach_of(case(document=document), contract) is None
    assert words(breach_of(case(document=PLAIN), contract)) == "there is no text `code`"
    torn = {"code": "gone", "detail": {"text": "Nothing here."}}
    assert "different places" in (words(breach_of(case(document=torn), contract)) or "")


def test_mixed_nesting_is_found_where_it_differs() -> None:
    usual = [case(401, {"detail": GOOD}, group=str(number)) for number in range(3)]
    odd = case(404, {**GOOD, "error": "other"})
    (found,) = disagreements([odd, *usual])
    assert found[0] is odd


def test_one_code_for_everything_says_nothing() -> None:
    same = [case(401, group="credential"), case(404), case(422, group="input")]
    assert len(disagreements(same)) == 2


def test_hiding_existence_and_lumping_bad_input_together_are_free() -> None:
    assert not disagreements([case(404), case(404, group="right")])
    assert not disagreements([case(400, group="input"), case(422, group="input")])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "detail", "x"]), inner)
    ),
)


@given(JSON)
def test_any_document_is_judged(document: Any) -> None:
    for contract in (Contract(), contract_among([case(document=document)]), Contract(("title",))):
        said = breach_of(case(document=document), contract)
        assert said is None or said.words
    assert isinstance(disagreements([case(document=document)]), list)
