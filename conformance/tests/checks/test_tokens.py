"""TOK113, 114, 116, 201, 202, 208, 210: sound services pass, wrong ones fail, unclear ones are neither."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import jwt as pyjwt
import pytest
from checks.token_app import Opaque, Refused, Tokens, create_app, judged, known, mac
from cryptography.hazmat.primitives import serialization

from auth_conformance.credentials import Jwt, SigningKey, attacker_keys
from auth_conformance.model import Result, Severity
from auth_conformance.probe import expiry
from auth_conformance.probe.keyforms import public_jwk
from auth_conformance.secret import Secret
from auth_conformance.target import Policy


@cache
def key_of(family: str) -> SigningKey:
    return attacker_keys()[family]


def said(result: Result) -> tuple[str, str]:
    return result.name, result.verdict.reason


def exp_required(token: Jwt) -> None:
    if token.claims.get("exp") is None:
        raise Refused


@dataclass
class References(Tokens):
    """JWTs that hold an id of a session, which the service looks up."""

    sessions: dict[str, str] = field(default_factory=dict)

    def issue(self, name: str, **_: object) -> str:
        number = secrets.token_urlsafe(16)
        self.sessions[number] = name
        return Jwt.build({"alg": self.key.algorithm, "typ": "JWT"}, {"jti": number}, self.key).text

    def read(self, text: str) -> dict[str, Any]:
        token = Jwt.parse(text)
        if token is None or not self.key.verifies(token) or token.claims.get("jti") not in self.sessions:
            raise Refused
        return {"sub": self.sessions[str(token.claims["jti"])]}


@pytest.mark.parametrize("code", ["TOK202", "TOK208"])
def test_a_token_that_names_nobody_ends_where_its_session_does(code: str) -> None:
    result = judged(code, create_app(References()))
    assert said(result)[0] == "skipped", said(result)
    assert "hold an id and no person" in result.verdict.reason


class TestForgeControl:
    def test_an_honest_forgery_opens_the_grey_checks(self) -> None:
        assert judged("TOK202", create_app(Tokens(check=exp_required))).name == "passed"
        assert judged("TOK202", create_app(Tokens())).name == "failed"

    def test_a_service_that_knows_its_own_ids_is_forged_with_the_old_one(self) -> None:
        issued = set()

        class Remembering(Tokens):
            def issue(self, name: str, **claims: object) -> str:
                number = secrets.token_hex(8)
                issued.add(number)
                return super().issue(name, jti=number, **claims)

        def remembered(token: Jwt) -> None:
            if token.claims.get("jti") not in issued:
                raise Refused

        result = judged("TOK202", create_app(Remembering(check=remembered)))
        assert result.name == "failed", result.verdict.reason

    def test_a_service_that_takes_only_its_own_text_is_not_judged(self) -> None:
        issued: set[str] = set()

        class Literal(Tokens):
            def issue(self, name: str, **claims: object) -> str:
                text = super().issue(name, **claims)
                issued.add(text)
                return text

        def literal(token: Jwt) -> None:
            if token.text not in issued:
                raise Refused

        result = judged("TOK202", create_app(Literal(check=literal)))
        assert result.name == "inconclusive"
        assert "not accepted" in result.verdict.reason

    def test_without_the_key_it_says_what_is_missing(self) -> None:
        result = judged("TOK202", create_app(Tokens()), known(signing_keys=()))
        assert said(result)[0] == "skipped"
        assert result.verdict.remedy == "[signing]"

    def test_a_wrong_key_is_unclear(self) -> None:
        wrong = known(signing_keys=(SigningKey("HS256", Secret("x" * 40)),))
        assert judged("TOK202", create_app(Tokens()), wrong).name == "inconclusive"

    def test_es256_is_forged_with_the_low_s(self) -> None:
        key = key_of("ES256")

        def low(token: Jwt) -> None:
            order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
            if int.from_bytes(token.signature[32:], "big") > order // 2:
                raise Refused
            exp_required(token)

        for _ in range(4):
            assert (
                judged("TOK202", create_app(Tokens(key=key, check=low)), known(signing_keys=(key,))).name
                == "passed"
            )


class TestExpiry:
    def test_kept_and_not_kept(self) -> None:
        assert judged("TOK201", create_app(Tokens())).name == "passed"
        assert judged("TOK201", create_app(Tokens(leeway=1e12))).severity is Severity.CRITICAL

    def test_some_tolerance_is_noted_and_more_is_a_fault(self) -> None:
        tolerant = judged("TOK201", create_app(Tokens(leeway=40)))
        assert tolerant.name == "passed"
        assert "up to 30 s" in str(tolerant.verdict)
        result = judged("TOK201", create_app(Tokens(leeway=130)))
        assert (result.name, result.severity) == ("failed", Severity.MEDIUM)
        declared = known(policy=Policy(leeway=130))
        assert judged("TOK201", create_app(Tokens(leeway=130)), declared).name == "passed"

    def test_opaque_tokens_by_a_moved_clock(self) -> None:
        stated = {"login_extra": lambda: {"expires_in": 900, "issued_at": datetime.now(UTC).isoformat()}}
        keyless = known(signing_keys=())
        assert judged("TOK201", create_app(Opaque(), **stated), keyless).name == "passed"
        deaf = Opaque(lifetime=1e12)
        assert judged("TOK201", create_app(deaf, **stated), keyless).name == "failed"

    def test_a_service_that_reads_the_time_elsewhere_is_not_accused(self) -> None:
        start, began = time.time(), time.monotonic()

        def elsewhere() -> float:
            return start + time.monotonic() - began

        app = create_app(Tokens(clock=elsewhere))
        result = judged("TOK201", app, known(signing_keys=()))
        assert result.name == "inconclusive"
        assert "visibly" in result.verdict.reason

    def test_opaque_tokens_without_a_stated_end_are_not_judged(self) -> None:
        result = judged("TOK201", create_app(Opaque()), known(signing_keys=()))
        assert result.name == "inconclusive"

    @pytest.mark.parametrize(("leeway", "verdict"), [(0, "passed"), (60, "failed")])
    def test_short_lives_are_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, leeway: float, verdict: str
    ) -> None:
        monkeypatch.setattr(expiry, "MARGIN", 0)
        about = known(movable=False, signing_keys=(), policy=Policy(leeway=0))
        assert judged("TOK201", create_app(Tokens(lifetime=2, leeway=leeway)), about).name == verdict

    def test_long_lives_are_not(self) -> None:
        result = judged("TOK201", create_app(Tokens()), known(movable=False, signing_keys=()))
        assert (result.name, result.verdict.remedy) == ("skipped", "[signing]")

    def test_tokens_that_never_end_are_told_without_a_key(self) -> None:
        assert (
            judged("TOK202", create_app(Tokens(extra={"exp": None})), known(signing_keys=())).name == "failed"
        )
        kept = create_app(Tokens(extra={"exp": None}), login_extra=lambda: {"expires_in": 900})
        assert judged("TOK202", kept, known(signing_keys=())).name == "inconclusive"


AUDIENCES: dict[str, Callable[[Any], bool]] = {
    "begins with": lambda value: str(value).startswith("api"),
    "contains": lambda value: "api" in str(value),
    "case": lambda value: str(value).lower() == "api",
    "anything but others": lambda value: value != "https://other-service.example",
    "if there is one": lambda value: not value or value == "api",
}


class TestAudience:
    def test_exact_in_both_forms(self) -> None:
        def exact(token: Jwt) -> None:
            value = token.claims.get("aud")
            if not (value == "api" or (isinstance(value, list) and "api" in value)):
                raise Refused

        assert judged("TOK208", create_app(Tokens(extra={"aud": "api"}, check=exact))).name == "passed"
        result = judged("TOK208", create_app(Tokens(extra={"aud": ["api"]}, check=exact)))
        assert result.name == "passed"
        assert not result.verdict.notes

    @pytest.mark.parametrize("name", AUDIENCES)
    def test_inexact(self, name: str) -> None:
        def inexact(token: Jwt) -> None:
            if not AUDIENCES[name](token.claims.get("aud")):
                raise Refused

        assert judged("TOK208", create_app(Tokens(extra={"aud": "api"}, check=inexact))).name == "failed"

    @pytest.mark.parametrize("declared", [(), ("api",)])
    def test_none_issued(self, declared: tuple[str, ...]) -> None:
        result = judged("TOK208", create_app(Tokens()), known(policy=Policy(audience=declared)))
        assert (result.name, result.severity) == ("failed", Severity.LOW)


@cache
def pem_of(key: SigningKey, form: serialization.Encoding) -> bytes:
    private = serialization.load_pem_private_key(key.secret.reveal().encode(), None)
    return private.public_key().public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)


PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
HELD: dict[str, Callable[[SigningKey], bytes]] = {
    "PEM": partial(pem_of, form=PEM),
    "PEM, stripped": lambda key: pem_of(key, PEM).strip(),
    "PEM, Windows": lambda key: pem_of(key, PEM).replace(b"\n", b"\r\n"),
    "DER": partial(pem_of, form=DER),
    "body": lambda key: b"".join(pem_of(key, PEM).splitlines()[1:-1]),
    "JWK": lambda key: str(public_jwk(key)).replace("'", '"').encode(),
}


class TestPublicKeyAsSecret:
    @pytest.mark.parametrize("family", ["ES256", "RS256", "EdDSA"])
    def test_refused_whatever_the_family(self, family: str) -> None:
        key = key_of(family)
        about = known(public_keys=(public_jwk(key),), signing_keys=())
        result = judged("TOK113", create_app(Tokens(key=key)), about)
        assert result.name == "passed", result.verdict.reason

    @pytest.mark.parametrize("held", HELD)
    def test_accepted_in_the_form_that_the_service_holds(self, held: str) -> None:
        key = key_of("ES256")
        confused = Tokens(key=key, verify=lambda token: mac(token, HELD[held](key)))
        about = known(public_keys=(public_jwk(key),), signing_keys=())
        assert judged("TOK113", create_app(confused), about).name == "failed"

    def test_the_public_half_of_a_known_key_will_do(self) -> None:
        key = key_of("RS256")
        confused = Tokens(key=key, verify=lambda token: mac(token, pem_of(key, PEM)))
        assert judged("TOK113", create_app(confused), known(signing_keys=(key,))).name == "failed"

    def test_not_applicable_and_not_known(self) -> None:
        result = judged("TOK113", create_app(Tokens()))
        assert (result.name, result.verdict.applicable) == ("skipped", False)
        key = key_of("ES256")
        assert judged("TOK113", create_app(Tokens(key=key)), known(signing_keys=())).name == "inconclusive"

    def test_a_verifier_of_nothing_is_another_finding(self) -> None:
        key = key_of("ES256")
        about = known(public_keys=(public_jwk(key),), signing_keys=())
        result = judged("TOK113", create_app(Tokens(key=key, verify=lambda _: True)), about)
        assert result.name == "masked"


class TestGuessableSecret:
    def test_a_random_secret_passes_with_the_number_of_guesses(self) -> None:
        result = judged("TOK114", create_app(Tokens()))
        assert result.name == "passed"
        assert int(result.verdict.reason.split(" candidates")[0].rpartition(" ")[2]) > 200_000

    @pytest.mark.parametrize("secret", ["changethis", "", "\0" * 16, "Dragon2024!", "sunshine\n"])
    def test_a_guessable_one_fails_with_one_forgery(self, secret: str) -> None:
        key = SigningKey("HS512", Secret(secret))
        result = judged("TOK114", create_app(Tokens(key=key)), known(signing_keys=()))
        assert (result.name, result.severity) == ("failed", Severity.CRITICAL)
        assert "gets in" in result.verdict.reason
        assert len(secret) < 6 or secret not in str(result.verdict)

    def test_a_known_secret_that_is_too_short(self) -> None:
        key = SigningKey("HS256", Secret("q8Zr2!vKx0"))
        result = judged("TOK114", create_app(Tokens(key=key)), known(signing_keys=(key,)))
        assert (result.name, result.severity) == ("failed", Severity.HIGH)

    def test_key_pairs_are_tried_with_what_is_unset(self) -> None:
        key = key_of("ES256")
        assert judged("TOK114", create_app(Tokens(key=key)), known(signing_keys=())).name == "passed"
        unset = Tokens(key=key, verify=lambda token: mac(token, b"None"))
        assert judged("TOK114", create_app(unset), known(signing_keys=())).name == "failed"


class TestEmbeddedKey:
    @pytest.mark.parametrize("family", ["HS256", "ES256"])
    def test_ignored(self, family: str) -> None:
        result = judged("TOK116", create_app(Tokens(key=key_of(family))), known(signing_keys=()))
        assert result.name == "passed", result.verdict.reason

    @pytest.mark.parametrize("family", ["HS384", "ES256", "PS256"])
    def test_believed(self, family: str) -> None:
        secret = key_of({"HS384": "HS256", "PS256": "RS256"}.get(family, family)).secret

        def brought(token: Jwt) -> bool:
            try:
                key = pyjwt.PyJWK(token.header["jwk"], algorithm=token.algorithm)
                return bool(pyjwt.decode(token.text, key, [family], options={"verify_aud": False}))
            except (KeyError, pyjwt.PyJWTError):
                return False

        app = create_app(Tokens(key=SigningKey(family, secret), verify=brought))
        assert judged("TOK116", app, known(signing_keys=())).name == "failed"


class TestKinds:
    def test_one_kind_only(self) -> None:
        assert judged("TOK210", create_app(Tokens())).name == "skipped"

    def test_a_kind_that_nothing_looks_at(self) -> None:
        result = judged("TOK210", create_app(Tokens(), refresh=True), known(refresh=True))
        assert (result.name, result.severity) == ("failed", Severity.HIGH)
        assert "refresh token" in result.verdict.reason

    def test_kinds_apart_but_a_token_without_a_mark_is_an_access_token(self) -> None:
        app = create_app(Tokens(), refresh=True, access=lambda claims: claims.get("use") != "refresh")
        result = judged("TOK210", app, known(refresh=True))
        assert result.name == "passed", result.verdict.reason
        marked = create_app(
            Tokens(extra={"use": "access"}),
            refresh=True,
            access=lambda claims: claims.get("use") != "refresh",
        )
        result = judged("TOK210", marked, known(refresh=True))
        assert (result.name, result.severity) == ("failed", Severity.MEDIUM)

    def test_kinds_that_are_marked_and_looked_at(self) -> None:
        app = create_app(
            Tokens(extra={"use": "access"}), refresh=True, access=lambda claims: claims.get("use") == "access"
        )
        result = judged("TOK210", app, known(refresh=True))
        assert result.name == "passed", result.verdict.reason
        assert "nothing but refresh tokens" in result.verdict.reason

    def test_access_tokens_that_refresh(self) -> None:
        app = create_app(
            Tokens(extra={"use": "access"}),
            refresh=True,
            access=lambda claims: claims.get("use") == "access",
            refreshes=lambda _: True,
        )
        result = judged("TOK210", app, known(refresh=True))
        assert (result.name, result.severity) == ("failed", Severity.HIGH)
        assert "took an access token" in result.verdict.reason
