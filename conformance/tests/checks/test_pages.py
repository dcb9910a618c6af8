"""Sites of pages: what their forms show, and what a redirect to the login means there."""

import pytest
from checks.judging import judged_as_found, said
from checks.pages_app import pages_app


@pytest.mark.parametrize(("flaw", "name"), [("", "passed"), ("keeps", "failed")])
def test_a_login_that_blesses_the_session_of_the_visit_is_understood_and_accused(
    flaw: str, name: str
) -> None:
    result = judged_as_found("SES110", pages_app(flaw=flaw))
    assert result.name == name, said(result)
    if flaw:
        assert "an anonymous session cookie of the service and kept it" in result.verdict.reason


def test_pages_may_send_strangers_to_their_login() -> None:
    result = judged_as_found("ERR103", pages_app())
    assert result.name == "passed", said(result)


def test_a_page_without_a_challenge_is_a_small_matter() -> None:
    result = judged_as_found("ERR101", pages_app())
    assert (result.name, result.severity.name) == ("failed", "LOW"), said(result)
