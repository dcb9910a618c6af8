"""What a reply means beside the controls: checklist §1.2, line by line."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.document import _exchange, _read_exchange
from auth_conformance.model import Exchange, Outcome, Reply, Request, Role
from auth_conformance.oracles.entry import Baseline, Fingerprint, classify, failure, sends_strangers_away
from auth_conformance.oracles.normalise import shape

JSON = (("content-type", "application/json"),)


def reply(
    status: int | None,
    body: object = None,
    *,
    principal: str | None = None,
    media: str = "application/json",
    **headers: str,
) -> Reply:
    return Reply(
        status,
        tuple((key.replace("_", "-"), value) for key, value in headers.items()),
        size=10,
        media_type=media,
        shape=shape(body) if body is not None else "",
        digest=repr(body),
        principal=principal,
    )


ERROR = {"error": "unauthorized", "message": "no"}
GOOD = reply(200, {"username": "alice"}, principal="alice")
BASELINE = Baseline(
    good=GOOD,
    anonymous=reply(401, ERROR),
    principal="alice",
    canonical=reply(401, ERROR),
    refusals=(Fingerprint.of(reply(401, ERROR)), Fingerprint.of(reply(404, ERROR))),
)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (GOOD, Outcome.ACCEPTED),
        (reply(200, {"username": "guest"}, principal="guest"), Outcome.ACCEPTED),
        (reply(200, {"detail": "login please"}), Outcome.AMBIGUOUS),
        (reply(204), Outcome.AMBIGUOUS),
        (reply(302), Outcome.AMBIGUOUS),
        (reply(401, ERROR), Outcome.REJECTED),
        (reply(401, None, media="text/html"), Outcome.INTERCEPTED),
        (
            reply(401, {"title": "Unauthorized", "status": 401}, media="application/problem+json"),
            Outcome.REJECTED,
        ),
        (reply(401, ERROR, server="waf"), Outcome.INTERCEPTED),
        (reply(403, ERROR), Outcome.REJECTED),
        (reply(422, {**ERROR, "fields": ["a"]}), Outcome.REJECTED),
        (reply(400, {"other": "shape"}), Outcome.INTERCEPTED),
        (reply(403, None, media="text/html"), Outcome.INTERCEPTED),
        (reply(400, None, media="text/plain"), Outcome.INTERCEPTED),
        (reply(418, ERROR), Outcome.INTERCEPTED),
        (reply(429), Outcome.THROTTLED),
        (reply(503, None, retry_after="3"), Outcome.THROTTLED),
        (reply(503), Outcome.CRASHED),
        (reply(500, ERROR), Outcome.CRASHED),
        (Reply(None, error="connection closed without an answer"), Outcome.CRASHED),
        (Reply(None, error="undelivered: our client refused"), Outcome.INTERCEPTED),
    ],
)
def test_each_row_of_the_vocabulary(seen: Reply, outcome: Outcome) -> None:
    assert classify(seen, BASELINE).outcome is outcome


def test_an_envelope_is_a_refusal_only_when_declared() -> None:
    no = reply(200, {"ok": False, "code": "login"})
    undeclared = Baseline(GOOD, no, "alice", canonical=no)
    declared = Baseline(GOOD, no, "alice", canonical=no, accepted_refusals=frozenset({"envelope"}))
    assert classify(no, undeclared).outcome is Outcome.AMBIGUOUS
    assert classify(no, declared).outcome is Outcome.REJECTED
    assert classify(GOOD, declared).outcome is Outcome.ACCEPTED


def test_a_redirect_is_a_refusal_only_when_declared_and_to_the_same_place() -> None:
    login = reply(303, location="/login?next=/me")
    declared = Baseline(GOOD, login, "alice", canonical=login, accepted_refusals=frozenset({"redirect"}))
    assert classify(login, Baseline(GOOD, login, "alice", canonical=login)).outcome is Outcome.AMBIGUOUS
    assert classify(reply(302, location="/login?next=/x"), declared).outcome is Outcome.REJECTED
    assert classify(reply(302, location="/dashboard"), declared).outcome is Outcome.AMBIGUOUS


def test_strangers_are_sent_away_to_one_page_of_this_origin() -> None:
    def away(anonymous: Reply, junk: Reply, good: Reply = GOOD) -> bool:
        return sends_strangers_away(good, anonymous, junk, path="/me", origin="http://service")

    login = reply(303, location="/login?next=/me")
    assert away(login, reply(302, location="/login"))
    assert away(*[reply(302, location="http://service/login")] * 2)
    assert not away(login, reply(401, ERROR))
    assert not away(login, reply(302, location="/maintenance"))
    assert not away(*[reply(302, location="https://sso.example/login")] * 2)
    assert not away(*[reply(307, location="/me/")] * 2)
    assert not away(*[reply(302, location="/login", via="gateway")] * 2)
    assert not away(login, login, good=reply(303, location="/welcome"))


def test_a_redirect_that_carries_a_page_is_no_refusal() -> None:
    login = reply(302, location="/login")
    sent = Baseline(GOOD, login, "alice", canonical=login, accepted_refusals=frozenset({"redirect"}))
    full = replace(login, size=login.size + 2000)
    assert classify(login, sent).outcome is Outcome.REJECTED
    assert classify(full, sent).outcome is Outcome.AMBIGUOUS


def test_a_page_without_an_identity_is_known_by_what_it_is_made_of() -> None:
    account = replace(reply(200, None, media="text/html"), shape="<body h1>", digest="1")
    form = replace(account, shape="<body form input user=>", digest="2")
    text = replace(account, media_type="text/plain", shape="")
    pages, texts = Baseline(account, reply(303, location="/login")), Baseline(text, reply(401, ERROR))
    assert classify(replace(account, digest="3"), pages).outcome is Outcome.ACCEPTED
    assert classify(form, pages).outcome is Outcome.AMBIGUOUS
    assert classify(text, texts).outcome is Outcome.ACCEPTED
    assert classify(replace(text, digest="3"), texts).outcome is Outcome.AMBIGUOUS


def test_without_an_identity_only_a_body_that_strangers_do_not_get_is_a_proof() -> None:
    item = reply(200, {"items": []})
    private = Baseline(item, reply(401, ERROR))
    public = Baseline(item, item)
    assert classify(item, private).outcome is Outcome.ACCEPTED
    assert classify(item, public).outcome is Outcome.AMBIGUOUS
    assert classify(reply(200, {"other": 1}), private).outcome is Outcome.AMBIGUOUS


def test_a_list_that_has_filled_meanwhile_is_still_the_same_kind_of_answer() -> None:
    empty, full = reply(200, []), reply(200, [{"id": 1, "title": "x"}])
    before = Baseline(empty, reply(401, ERROR))
    assert classify(full, before).outcome is Outcome.ACCEPTED
    assert classify(reply(200, {"items": []}), before).outcome is Outcome.AMBIGUOUS


@given(
    status=st.one_of(st.none(), st.integers(100, 599)),
    body=st.sampled_from([None, ERROR, {"username": "alice"}, {"x": [1]}]),
    principal=st.sampled_from([None, "alice", "bob"]),
    media=st.sampled_from(["application/json", "text/html", ""]),
)
def test_evidence_read_back_from_a_report_is_judged_the_same(
    status: int | None,
    body: object,
    principal: str | None,
    media: str,
) -> None:
    seen = reply(status, body, principal=principal, media=media)
    exchange = Exchange(1, "x", Role.ATTACK, "GET /me", Request("GET", "/me"), seen, 0.1)
    again = _read_exchange(_exchange(exchange)).reply
    assert classify(again, BASELINE) == classify(seen, BASELINE)


@given(status=st.integers(500, 599))
def test_a_server_error_is_never_an_acceptance_nor_a_refusal(status: int) -> None:
    early = failure(reply(status))
    assert early is not None
    assert early.outcome in {Outcome.CRASHED, Outcome.THROTTLED}
