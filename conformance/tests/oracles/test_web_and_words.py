"""Small oracles of the chapters ERR, WEB and DOC: headers, challenges, inner words and documented secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.model import Severity
from auth_conformance.oracles.advice import challenges_in, unaccepted, without_realm, wrong_error
from auth_conformance.oracles.browser import cache_fault, header_faults
from auth_conformance.oracles.documented import (
    Member,
    careless_input,
    client_secret_of_grant,
    is_stored_secret,
    leaks,
    members,
    pairs,
    tokens,
)
from auth_conformance.oracles.internals import revealed, versions
from auth_conformance.transports.message import RawReply

INERT = (
    ("content-type", "application/json"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
)


def test_an_inert_answer_lacks_nothing_and_each_missing_header_is_named() -> None:
    assert header_faults(RawReply(200, INERT), https=False) == []
    for name, _ in INERT[1:]:
        rest = tuple(pair for pair in INERT if pair[0] != name)
        faults = header_faults(RawReply(200, rest), https=False)
        assert [fault[0].lower() for fault in faults] == [name]
    secure = header_faults(RawReply(200, INERT), https=True)
    assert [fault[:2] for fault in secure] == [("Strict-Transport-Security", "is missing")]


def test_a_page_of_html_for_an_error_is_worse() -> None:
    page = (("content-type", "text/html; charset=utf-8"), *INERT[1:])
    assert header_faults(RawReply(500, page), https=False)[0][2] is Severity.MEDIUM
    assert header_faults(RawReply(500, page), https=False, page=True) == []


@pytest.mark.parametrize(
    ("header", "issues", "carrier", "expected"),
    [
        ("no-store", True, "", None),
        ("private, No-Store", False, "cookie", None),
        ("public, max-age=60", False, "header", Severity.HIGH),
        ("s-maxage=5", True, "", Severity.HIGH),
        ("private", True, "", Severity.MEDIUM),
        ("max-age=5", False, "cookie", Severity.MEDIUM),
        ("private", False, "cookie", Severity.LOW),
        ("", False, "header", Severity.LOW),
    ],
)
def test_what_caches_may_keep(header: str, issues: bool, carrier: str, expected: Severity | None) -> None:
    reply = RawReply(200, (("Cache-Control", header),))
    fault = cache_fault(reply, issues=issues, carrier=carrier)
    assert (fault[1] if fault else None) is expected
    kept = issues or "max-age" in header
    assert cache_fault(reply, issues=issues, carrier=carrier, posted=True) == (fault if kept else None)


def test_challenges_ask_for_what_is_taken() -> None:
    several = challenges_in(['Bearer realm="a", Basic realm="b"', "X-Key"])
    assert unaccepted(several, {"bearer"}) == ["basic", "x-key"]
    assert unaccepted(several, {"bearer", "basic", "custom"}) == []
    assert wrong_error(challenges_in(['Bearer error="invalid_token"']), None)
    assert wrong_error(challenges_in(['Bearer error="invalid_token"']), "invalid_token") is None
    assert wrong_error(challenges_in(["Bearer"]), "invalid_token") is None
    assert without_realm(challenges_in(["Basic"]))
    assert challenges_in(["Bearer realm=a b=c"]) == []


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ('Traceback (most recent call last):\n  File "/app/main.py", line 3', Severity.HIGH),
        ("Error: no\n    at caller (/srv/shop/app.js:62:11)", Severity.HIGH),
        ("    at async file:///srv/shop/server.mjs:9:3", Severity.HIGH),
        ("    at process.processTicksAndRejections (node:internal/task_queues.js:95:5)", Severity.HIGH),
        ("at com.example.Tokens.read(Tokens.kt:31)", Severity.HIGH),
        ("#0 /srv/shop/public/index.php(12): handle()", Severity.HIGH),
        ("Warning: Undefined key in /srv/shop/index.php on line 12", Severity.HIGH),
        ("app/models/user.rb:12:in 'find'", Severity.HIGH),
        ("   at Shop.Tokens.Read(String text) in C:\\shop\\Tokens.cs:line 31", Severity.HIGH),
        ("goroutine 7 [running]:\nmain.read()", Severity.HIGH),
        ("jwt malformed", Severity.LOW),
        ("token contains an invalid number of segments", Severity.LOW),
        ('<script src="/static/js/main.3f9a.js"></script> look at our app.ts guide', None),
        ("Meet us at the cafe (ask for app.js), 10:30:00", None),
        ("See /docs/index.php or https://shop.example/index.php:8080", None),
        ("(sqlite3.OperationalError) no such table: users", Severity.MEDIUM),
        ("cannot open /srv/shop/config.ini", Severity.MEDIUM),
        ("Signature verification failed", Severity.LOW),
        ("Please select a file from the list where you keep them.", None),
        ('{"error": "invalid_token", "message": "The token is invalid."}', None),
    ],
)
def test_inner_words(body: str, severity: Severity | None) -> None:
    found = revealed(body)
    assert (found[0].severity if found else None) is severity


@given(st.text(max_size=40))
def test_what_the_caller_said_is_no_revelation(said: str) -> None:
    text = f"KeyError {said}"
    assert revealed(text, [text]) == []


def test_versions_are_told_only_with_numbers() -> None:
    assert versions([("Server", "uvicorn"), ("Server", "nginx/1.25.3")]) == ["Server: nginx/1.25.3"]


def test_secrets_in_documents() -> None:
    raw = {
        "servers": [{"url": "https://root:hunter2@db.example.com"}],
        "a": {"example": {"username": "demo", "password": "demo-pass-1"}},
        "b": {
            "properties": {"email": {"example": "a@b.c"}, "password": {"examples": ["string", "open-sesame"]}}
        },
        "c": {"description": "Try eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x"},
    }
    assert leaks(raw) == [("a URL with a user and a password", "/servers/0/url")]
    assert set(pairs(raw)) == {("demo", "demo-pass-1"), ("a@b.c", "open-sesame")}
    assert tokens(raw) == ["eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x"]


def test_a_place_for_a_clients_secret_that_nobody_has_to_fill_takes_no_password() -> None:
    text = {"type": "string"}
    grant = {
        "properties": dict.fromkeys(
            ("grant_type", "username", "password", "client_id", "client_secret"), text
        )
    }
    own = {**grant, "required": ["username", "password"]}
    assert client_secret_of_grant(own) == "client_secret"
    assert client_secret_of_grant({"allOf": [own]}) == "client_secret"
    # Who asks for it compares it; and a form of something else is no form of the grant.
    assert client_secret_of_grant({**grant, "required": ["username", "password", "client_secret"]}) is None
    assert client_secret_of_grant({"properties": {"client_secret": text, "name": text}}) is None
    assert client_secret_of_grant(None) is None


def test_members_that_carry_secrets() -> None:
    def member(name: str, **schema: object) -> Member:
        return Member("POST /x", name, {"type": "string", **schema})

    assert careless_input(member("password")) == "`format: password` and `maxLength`"
    assert careless_input(member("password", format="password", maxLength=9)) is None
    assert careless_input(member("refresh_token", maxLength=9)) is None
    assert careless_input(member("title")) is None
    pair = {"properties": {"key": {"type": "string"}, "value": {}}}
    assert [item.name for item in members(pair, "a body")] == ["value"], "the key of a pair is a name"
    assert is_stored_secret(member("hashed_password"), reads=False)
    assert is_stored_secret(member("client_secret"), reads=True)
    assert not is_stored_secret(member("client_secret"), reads=False)
    assert not is_stored_secret(member("password", writeOnly=True), reads=True)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://app:Tr0ub4dor@db.internal/app", True),
        ("postgresql://{user}:{password}@{host}/app", False),
        ("https://user:password@api.example.com", False),
        ("redis://:$REDIS_PASSWORD@cache", False),
        ("amqp://app:****@queue", False),
    ],
)
def test_a_url_to_be_filled_in_holds_no_password(url: str, found: bool) -> None:
    assert bool(leaks({"info": {"description": f"Connect to {url}."}})) is found
