"""The other TOK checks, on services unlike the reference app: sound ones pass, wrong ones fail."""

import hashlib
import json
import math
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from checks.token_app import HASHES, Opaque, Refused, Tokens, create_app, judged, known, mac
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from services.serving import App, Message, Receive, Send

from auth_conformance.credentials import Carrier, Jwt, Kind, SigningKey, attacker_keys, b64url, unb64url
from auth_conformance.model import Need, Result, Severity
from auth_conformance.probe import remotekeys
from auth_conformance.secret import Secret
from auth_conformance.target import Listening, Policy
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.message import HttpRequest, RawReply

OF_JWTS = (
    *("TOK112", "TOK117", "TOK118", "TOK119", "TOK121", "TOK123", "TOK124"),
    *("TOK125", "TOK127", "TOK203", "TOK204", "TOK209", "TOK211", "TOK213"),
)


@cache
def key_of(family: str) -> SigningKey:
    return attacker_keys()[family]


def said(result: Result) -> str:
    notes = getattr(result.verdict, "notes", ())
    return f"{result.name} {result.severity}: {result.verdict.reason} {notes}"


def strict(token: Jwt) -> None:
    """What a careful service looks at beside signature and end."""
    claims, now = token.claims, time.time()
    if "crit" in token.header or "b64" in token.header or claims.get("sub") not in ("alice", "bob"):
        raise Refused
    times = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    if any(type(value) not in (int, float) or not math.isfinite(value) for value in times):
        raise Refused
    if not all(claims.get(name, 0) <= now + 60 for name in ("nbf", "iat")) or not 0 < claims["exp"] < 1e11:
        raise Refused


@pytest.mark.parametrize("code", OF_JWTS)
def test_a_service_with_opaque_tokens_has_nothing_to_do_with_jwts(code: str) -> None:
    result = judged(
        code, create_app(Opaque()), known(signing_keys=(), absent={Need.JWT: "no JWT is issued."})
    )
    assert result.name == "skipped", said(result)
    assert getattr(result.verdict, "applicable", True) is False


@pytest.mark.parametrize("code", ["TOK117", "TOK118", "TOK119", "TOK124", "TOK125"])
@pytest.mark.parametrize("family", ["HS256", "ES256", "RS256", "EdDSA"])
def test_an_exact_verifier_passes_whatever_it_signs_with(code: str, family: str) -> None:
    key = key_of(family)
    about = known(signing_keys=() if code != "TOK125" else (key,))
    result = judged(code, create_app(Tokens(key=key)), about)
    expected = {"passed", "skipped"} if code == "TOK125" and family == "EdDSA" else {"passed"}
    assert result.name in expected, said(result)


def test_a_lax_decoder_is_told_from_a_strict_one() -> None:
    def canonical(token: Jwt) -> None:
        if token.text != ".".join(b64url(unb64url(part)) for part in token.text.split(".")):
            raise Refused

    strictly = judged("TOK127", create_app(Tokens(check=canonical)), known(signing_keys=()))
    assert strictly.name == "passed", said(strictly)
    lax = judged("TOK127", create_app(Tokens()), known(signing_keys=()))
    assert (lax.name, lax.severity) == ("failed", Severity.LOW), said(lax)


@pytest.mark.parametrize(
    "told", ["a second login gave no other token", "no second user is known ([accounts.b])"]
)
def test_a_signature_that_could_not_be_borrowed_is_named(told: str) -> None:
    alone = {"a": known().accounts["a"]} if "user" in told else known().accounts
    tokens = Tokens(clock=lambda: 0.0, leeway=1e12) if "login" in told else Tokens()
    result = judged("TOK102", create_app(tokens), known(accounts=alone))
    assert result.name == "passed", said(result)
    assert told in said(result)


@pytest.mark.parametrize("code", ["TOK112", "TOK121", "TOK203", "TOK204", "TOK211"])
def test_a_strict_reader_passes_the_grey_checks(code: str) -> None:
    result = judged(code, create_app(Tokens(extra={"nbf": 0}, check=strict)))
    assert result.name == "passed", said(result)


@pytest.mark.parametrize("code", ["TOK301", "TOK303", "TOK401"])
def test_opaque_tokens_are_judged_where_that_means_something(code: str) -> None:
    result = judged(code, create_app(Opaque()), known(signing_keys=()))
    # This service insists on the word Bearer in one spelling: that is what TOK301 says at level info.
    assert (result.name, result.severity) == (
        ("failed", Severity.INFO) if code == "TOK301" else ("passed", result.rule.severity)
    ), said(result)


class TestOpaqueTokens:
    def test_a_counter_is_no_token(self) -> None:
        class Counting(Opaque):
            def issue(self, name: str, **_: object) -> str:
                text = f"token-{len(self.sessions):012d}"
                self.sessions[text] = (name, self.clock() + 900)
                return text

        result = judged("TOK401", create_app(Counting()), known(signing_keys=()))
        assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)

    def test_a_limit_on_logins_leaves_it_open(self) -> None:
        class Limited(Opaque):
            def issue(self, name: str, **more: object) -> str:
                if len(self.sessions) > 6:
                    return ""
                return super().issue(name, **more)

        result = judged("TOK401", create_app(Limited()), known(signing_keys=()))
        assert result.name == "inconclusive", said(result)

    @pytest.mark.parametrize(
        ("made", "expected"),
        [
            (lambda name: hashlib.sha256(b"long and secret" + name.encode()).hexdigest(), "skipped"),
            (lambda name: hashlib.md5(name.encode()).hexdigest(), "failed"),  # noqa: S324 - the flaw
            (lambda _: hashlib.sha256(b"long and secret").hexdigest(), "failed"),
        ],
        ids=["of its own", "its name", "everybody's"],
    )
    def test_a_token_that_a_person_gets_again_is_not_guessed_by_that(
        self, made: Callable[[str], str], expected: str
    ) -> None:
        class Kept(Opaque):
            def issue(self, name: str, **_: object) -> str:
                text = made(name)
                self.sessions[text] = (name, self.clock() + 900)
                return text

        result = judged("TOK401", create_app(Kept()), known(signing_keys=()))
        assert result.name == expected, said(result)

    def test_jwts_are_not_judged_as_references(self) -> None:
        result = judged("TOK401", create_app(Tokens()))
        assert result.name == "skipped"
        assert getattr(result.verdict, "applicable", True) is False


class TestSubjects:
    def test_numbers_read_from_texts(self) -> None:
        people = {7: "alice", 8: "bob"}
        numbers = {name: number for number, name in people.items()}

        class Numbered(Tokens):
            def issue(self, name: str, **claims: object) -> str:
                return super().issue(name, **{**claims, "sub": str(numbers[name])})

            def read(self, text: str) -> dict[str, Any]:
                claims = dict(super().read(text))
                try:
                    claims["sub"] = people[int(claims["sub"])]
                except (ValueError, TypeError, KeyError) as error:
                    raise Refused from error
                return claims

        result = judged("TOK211", create_app(Numbered()))
        assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)
        assert "Arabic" in str(result.verdict)

    def test_the_first_account_for_whoever_has_no_name(self) -> None:
        class Generous(Tokens):
            def read(self, text: str) -> dict[str, Any]:
                claims = dict(super().read(text))
                return {**claims, "sub": claims.get("sub") or "alice"}

        result = judged("TOK211", create_app(Generous(check=lambda token: None)))
        assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)

    def test_a_claim_that_nobody_looks_at_is_not_the_subject(self) -> None:
        class ByMail(Tokens):
            def issue(self, name: str, **claims: object) -> str:
                return super().issue(name, mail=f"{name}@example.com", **claims)

            def read(self, text: str) -> dict[str, Any]:
                claims = dict(super().read(text))
                mail = claims.get("mail")
                if mail not in ("alice@example.com", "bob@example.com"):
                    raise Refused
                return {**claims, "sub": mail.partition("@")[0]}

        result = judged("TOK211", create_app(ByMail()))
        assert result.name == "passed", said(result)


ISSUERS: dict[str, Callable[[Any], bool]] = {
    "begins with": lambda value: str(value).startswith("https://login.example"),
    "is a part": lambda value: isinstance(value, str) and value in "https://login.example" and bool(value),
    "case": lambda value: str(value).lower() == "https://login.example",
    "in a list": lambda value: "https://login.example" in (value if isinstance(value, list) else [value]),
}


class TestIssuer:
    @pytest.mark.parametrize("how", ISSUERS)
    def test_loose_comparisons(self, how: str) -> None:
        def loose(token: Jwt) -> None:
            if not ISSUERS[how](token.claims.get("iss")):
                raise Refused

        tokens = Tokens(extra={"iss": "https://login.example"}, check=loose)
        result = judged("TOK209", create_app(tokens))
        assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)

    def test_only_the_name_is_missing(self) -> None:
        def optional(token: Jwt) -> None:
            if token.claims.get("iss", "https://login.example") != "https://login.example":
                raise Refused

        tokens = Tokens(extra={"iss": "https://login.example"}, check=optional)
        result = judged("TOK209", create_app(tokens))
        assert (result.name, result.severity) == ("failed", Severity.LOW), said(result)

    def test_no_issuer_is_not_applicable(self) -> None:
        result = judged("TOK209", create_app(Tokens()))
        assert getattr(result.verdict, "applicable", True) is False


class TestKeyIds:
    def test_a_file_of_the_kernel(self) -> None:
        def from_file(token: Jwt) -> bool:
            try:
                return mac(token, Path("/srv/keys", str(token.header.get("kid"))).read_bytes())
            except (OSError, ValueError):
                return False

        result = judged("TOK118", create_app(Tokens(verify=from_file)), known(signing_keys=()))
        assert result.name == "failed", said(result)

    def test_a_missing_key_is_an_empty_one(self) -> None:
        def empty(token: Jwt) -> bool:
            name = HASHES.get(token.algorithm)
            return "kid" not in token.header and name is not None and mac(token, b"")

        tokens = Tokens(header={"kid": "one"}, verify=empty)
        result = judged("TOK118", create_app(tokens), known(signing_keys=()))
        assert result.name == "failed", said(result)


class TestRemoteKeys:
    def test_a_fetch_without_trust_is_seen(self) -> None:
        def fetching(token: Jwt) -> None:
            if str(token.header.get("jku", "")).startswith("http://127"):
                urllib.request.urlopen(token.header["jku"], timeout=1).close()  # noqa: S310 - the flaw

        result = judged("TOK117", create_app(Tokens(verify=lambda token: fetching(token) is not None)))
        assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)

    def test_elsewhere_silence_is_no_proof(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remotekeys, "LATE", 0.0)
        about = known(movable=False, remedies={Need.LISTENER: "[listener]"})
        result = judged("TOK117", create_app(Tokens()), about)
        assert (result.name, result.verdict.remedy) == ("skipped", "[listener]")
        proven = known(movable=False, listener=Listening(("127.0.0.1", 0), "http://127.0.0.1:9", proven=True))
        assert judged("TOK117", create_app(Tokens()), proven).name == "passed"

    def test_a_port_that_is_taken_is_unclear(self) -> None:
        taken = known(listener=Listening(("203.0.113.1", 1), "http://203.0.113.1:1"))
        assert judged("TOK117", create_app(Tokens()), taken).name == "inconclusive"


class TestAlgorithms:
    def test_a_sibling_is_a_remark_unless_the_list_is_declared(self) -> None:
        def any_hmac(token: Jwt) -> bool:
            return token.algorithm in HASHES and mac(token, known().signing_keys[0].secret.reveal().encode())

        app = create_app(Tokens(verify=any_hmac))
        assert judged("TOK112", app).severity is Severity.LOW
        declared = known(policy=Policy(algorithms=("HS256",)))
        assert judged("TOK112", app, declared).severity is Severity.MEDIUM
        wide = known(policy=Policy(algorithms=("HS256", "HS384", "HS512")))
        assert judged("TOK112", app, wide).name == "passed"

    def test_a_secret_beside_key_pairs(self) -> None:
        secret = SigningKey("HS256", Secret("b5d0a3f46c1e4e1f9c3d7a82"))
        pair = key_of("ES256")
        app = create_app(Tokens(key=pair, verify=lambda token: mac(token, secret.secret.reveal().encode())))
        result = judged("TOK112", app, known(signing_keys=(pair, secret)))
        assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)


class TestTokenProfile:
    @pytest.mark.parametrize(
        ("extra", "severity"),
        [
            ({"hashed_password": "$2b$12$abcdefghijklmnopqrstuv"}, Severity.HIGH),
            ({"user": {"password": "x"}}, Severity.HIGH),
            ({"row": {f"column_{number}": number for number in range(16)}}, Severity.MEDIUM),
        ],
    )
    def test_what_no_token_tells(self, extra: dict[str, Any], severity: Severity) -> None:
        result = judged("TOK213", create_app(Tokens(extra=extra), refresh=True), known(refresh=True))
        assert (result.name, result.severity) == ("failed", severity), said(result)

    def test_lives_and_likeness(self) -> None:
        result = judged("TOK213", create_app(Tokens(lifetime=86_400), refresh=True), known(refresh=True))
        assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)
        alike = judged("TOK213", create_app(Tokens()))
        assert (alike.name, alike.severity) == ("failed", Severity.LOW), said(alike)
        claims = {"realm_access": {"roles": ["a"]}, "email": "alice@example.com", "at_hash": "x" * 22}
        sound = judged("TOK213", create_app(Tokens(extra=claims), refresh=True), known(refresh=True))
        assert sound.name == "passed", said(sound)


class TestKeptToken:
    def test_the_token_of_an_earlier_run_is_presented_after_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache_file = tmp_path / "tokens.json"
        about = known(movable=False, signing_keys=(), token_cache=str(cache_file))
        late = Tokens(lifetime=600, leeway=1e12)
        assert judged("TOK201", create_app(late), about).name == "skipped"
        assert cache_file.stat().st_mode & 0o777 == 0o600
        kept = json.loads(cache_file.read_text())
        (entry,) = kept.values()
        old = Jwt.parse(entry["token"])
        assert old is not None
        over = Jwt.build(old.header, {**old.claims, "exp": int(time.time()) - 4_000}, late.key)
        cache_file.write_text(
            json.dumps({name: {"token": over.text, "end": time.time() - 4_000} for name in kept})
        )
        result = judged("TOK201", create_app(late), about)
        assert (result.name, result.severity) == ("failed", Severity.CRITICAL), said(result)
        cache_file.write_text(
            json.dumps({name: {"token": over.text, "end": time.time() - 4_000} for name in kept})
        )
        result = judged("TOK201", create_app(Tokens(lifetime=600)), about)
        assert result.name == "passed", said(result)
        assert "earlier run" in result.verdict.reason


class TestForeignAudience:
    def test_a_token_for_another_service_without_our_key(self) -> None:
        tokens = Tokens(extra={"aud": "api"})
        foreign = Secret(Tokens(extra={"aud": "other"}).issue("alice"))
        about = known(signing_keys=(), foreign_token=foreign)
        assert judged("TOK208", create_app(tokens), about).name == "failed"

        def exact(token: Jwt) -> None:
            if token.claims.get("aud") != "api":
                raise Refused

        result = judged("TOK208", create_app(Tokens(extra={"aud": "api"}, check=exact)), about)
        assert result.name == "passed", said(result)


def test_costs_of_a_plain_service_are_small() -> None:
    result = judged("TOK126", create_app(Tokens()))
    # Our little service parses JSON without a bound: nesting is what it dies of, and only that.
    assert result.name in {"passed", "inconclusive"}, said(result)


def test_a_kid_that_selects_a_public_key_of_ours(request: pytest.FixtureRequest) -> None:
    # A service that verifies with public keys can only be given one of those.
    own = attacker_keys()["ES256"]
    rows = sqlite3.connect(":memory:", check_same_thread=False)
    request.addfinalizer(rows.close)
    rows.execute("CREATE TABLE keys (kid TEXT, pem TEXT)")

    def selected(token: Jwt) -> bool:
        try:
            query = "SELECT pem FROM keys WHERE kid = '%s'" % token.header.get("kid")  # noqa: S608, UP031 - the flaw
            row = rows.execute(query).fetchone()
            key = load_pem_public_key(row[0].encode()) if row else None
        except (sqlite3.Error, ValueError):
            return False
        return key is not None and jwt.get_algorithm_by_name("ES256").verify(
            token.signing_input, key, token.signature
        )

    about = known(signing_keys=(own,))
    result = judged("TOK118", create_app(Tokens(key=own, verify=selected)), about)
    assert result.name == "failed", said(result)
    assert "SQL for a public key" in str(result.verdict)
    assert judged("TOK118", create_app(Tokens(key=own)), about).name == "passed"


def test_a_server_that_hangs_up_on_an_endless_header_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # What it answered is lost when it closes before everything is read; whether that happens is chance.
    send = AsgiTransport.send

    async def impatient(self: AsgiTransport, request: HttpRequest) -> RawReply:
        sent = str(dict(request.headers).get("Authorization", ""))
        if len(sent) > 65_536 and "." in sent:
            return RawReply(None, error="connection closed without an answer (ReadError)")
        return await send(self, request)

    monkeypatch.setattr(AsgiTransport, "send", impatient)
    result = judged("TOK126", create_app(Tokens()))
    assert result.name == "passed", said(result)


class Queried(Opaque):
    """Opaque tokens that are looked up by a query that they are written into."""

    def read(self, text: str) -> dict[str, Any]:
        with closing(sqlite3.connect(":memory:")) as table:
            table.execute("CREATE TABLE tokens (value TEXT, name TEXT)")
            table.executemany(
                "INSERT INTO tokens VALUES (?, ?)",
                [(value, name) for value, (name, _) in self.sessions.items()],
            )
            try:
                row = table.execute(f"SELECT name FROM tokens WHERE value = '{text}'").fetchone()  # noqa: S608 - the flaw
            except sqlite3.Error:
                row = None
        if row is None:
            raise Refused
        return {"sub": row[0]}


def test_an_opaque_token_that_is_a_condition_of_a_query() -> None:
    assert judged("TOK101", create_app(Opaque())).name == "passed"
    result = judged("TOK101", create_app(Queried()))
    assert result.name == "failed", said(result)
    assert "SQL" in result.verdict.reason


def in_a_header_of_its_own(tokens: Opaque, *, stringified: bool) -> App:
    """Tokens travel in `X-Auth-Token`; where asked, the word that browsers send for a missing one is a guest's."""
    inner = create_app(tokens)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            value = headers.pop(b"x-auth-token", None)
            headers.pop(b"authorization", None)
            if stringified and value == b"undefined":
                value = next(iter(tokens.sessions)).encode()
            if value is not None:
                headers[b"authorization"] = b"Bearer " + value
            scope = {**scope, "headers": list(headers.items())}
        await inner(scope, receive, send)

    return app


@pytest.mark.parametrize(("stringified", "verdict"), [(False, "passed"), (True, "failed")])
def test_a_token_is_asked_for_where_the_service_reads_it(stringified: bool, verdict: str) -> None:
    place = Carrier(Kind.BEARER, "header", "X-Auth-Token")
    target = known()
    login = replace(target.logins[0], carrier=place)
    target = replace(target, carriers=(place,), logins=(login,))
    app = in_a_header_of_its_own(Opaque(), stringified=stringified)
    result = judged("TOK101", app, target)
    assert result.name == verdict, said(result)
    assert ("undefined in header X-Auth-Token" in result.verdict.reason) is stringified
