"""Sites of pages: what their forms show, and what a redirect to the login means there."""

import pytest
from checks.judging import judged_as_found, said
from checks.pages_app import SPARE, pages_app

from auth_conformance.discovery.knowledge import Knowledge
from auth_conformance.discovery.lifecycle import is_logout
from auth_conformance.discovery.pages import forms_in
from auth_conformance.settings import load


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


def test_forms_tell_their_fields_their_token_and_what_their_button_says() -> None:
    known = Knowledge(load({}), "url", "https://shop.example", None)
    page = """<form method="post" action="https://elsewhere.example/x"><input name="a"></form>
    <form method="post"><input type="hidden" name="_proof" value="Zk3v9QpLw8Xt2Rb7Nd5J">
    <input type="hidden" name="v" value="2">
    <textarea name="note" required></textarea><input type=submit value="Sign out"></form>"""
    (form,) = forms_in(known, page, "/desk")
    assert (form.operation.name, form.proof) == ("POST /desk", "_proof")
    (schema,) = form.operation.bodies.values()
    assert schema["properties"] == {"v": {"type": "string", "const": "2"}, "note": {"type": "string"}}
    assert schema["required"] == ["v", "note"]
    assert is_logout(form.operation)


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("LIF101", "", ""),
        ("LIF101", "logout", "accepted all"),
        ("WEB104", "", ""),
        (
            "WEB104",
            "open",
            "changes the password for a page of another site, which has to know the present one",
        ),
        ("WEB104", "posts", "POST /loans is carried out for a form"),
        ("CRD108", "unasked", "changed the password"),
        ("LIF106", "", ""),
        ("LIF106", "outlives", "after the password was changed"),
        ("ERR107", "echoes", "POST /signin answers 200 to a login"),
    ],
)
def test_what_forms_do_is_judged(monkeypatch: pytest.MonkeyPatch, code: str, flaw: str, words: str) -> None:
    for name, password in SPARE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
    result = judged_as_found(code, pages_app(flaw=flaw), spares=tuple(SPARE), allow_disruptive=True)
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert words in result.verdict.reason, said(result)


def test_a_form_that_is_shown_again_is_a_refusal_that_was_read() -> None:
    result = judged_as_found("ERR107", pages_app(flaw="asks again"))
    assert result.name == "passed", said(result)
    assert "not judged" not in said(result).lower()


def test_an_old_password_that_met_a_limit_was_not_seen_to_be_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in SPARE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)
    app = pages_app(flaw="tires")
    result = judged_as_found("LIF106", app, spares=tuple(SPARE), allow_disruptive=True, patience=0.1)
    assert result.name == "inconclusive", said(result)
    assert "Whether the old password still logs in was not seen" in result.verdict.reason
