"""The strategies stay inside their grammar, and our own parser survives what leaves it."""

import random
import string
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from auth_conformance.credentials import Carrier, Credential, Jwt, Kind, SigningKey
from auth_conformance.secret import Secret
from auth_conformance.transports.derivation import derive
from auth_fuzz.operations.forging import forgeries
from auth_fuzz.strategies import (
    Attack,
    Material,
    authorization_attacks,
    basic_attacks,
    compact_jws,
    cookie_attacks,
    damaged_jws,
    key_attacks,
    likely_attacks,
    token_attacks,
)
from auth_fuzz.strategies.drafts import Edit, composed

KEY = SigningKey("HS256", Secret("k" * 40))
BEARER = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
NOW = 1_800_000_000


def token(subject: str) -> Credential:
    made = Jwt.build({"alg": "HS256", "typ": "JWT"}, {"sub": subject, "exp": NOW + 900, "aud": "api"}, KEY)
    return Credential(BEARER, Secret(made.text), subject)


def opaque(kind: Kind, text: str) -> Credential:
    carriers = {
        Kind.KEY: Carrier(Kind.KEY, "header", "X-API-Key"),
        Kind.COOKIE: Carrier(Kind.COOKIE, "cookie", "__Host-session"),
        Kind.BASIC: Carrier(Kind.BASIC, "header", "Authorization", "Basic"),
    }
    return Credential(carriers[kind], Secret(text), "a")


TOKENS = Material(token("a"), token("b"), KEY, NOW)
KEYS = Material(opaque(Kind.KEY, "rk_abcd1234_Zz9yY8"), opaque(Kind.KEY, "rk_wxyz9876_Qq1wW2"))
COOKIES = Material(opaque(Kind.COOKIE, "abcDEF123456"), opaque(Kind.COOKIE, "uvwXYZ987654"))
BASIC = Material(opaque(Kind.BASIC, "YWxpY2U6c2VjcmV0LXdvcmQ="))


def value_of(attack: Attack) -> str:
    header = str(attack.headers[0][1])
    return header.removeprefix("Bearer ")


@given(compact_jws())
def test_a_token_of_the_right_form_is_read_and_written_back_unchanged(text: str) -> None:
    parsed = Jwt.parse(text)
    assert parsed is not None
    assert parsed.text == text


@given(damaged_jws())
def test_a_damaged_token_is_read_or_refused_and_never_breaks_the_parser(text: str) -> None:
    parsed = Jwt.parse(text)
    assert parsed is None or parsed.text == text


@given(token_attacks(TOKENS))
@settings(max_examples=300)
def test_an_unlawful_token_is_unlike_the_live_one_and_a_lawful_one_verifies(attack: Attack) -> None:
    text = value_of(attack)
    if not attack.lawful:
        assert text != TOKENS.text
    elif text != TOKENS.text and (parsed := Jwt.parse(text)) is not None and "signed" in attack.says:
        assert KEY.verifies(parsed) or parsed.algorithm not in {"HS256", ""}


@given(token_attacks(TOKENS))
@settings(max_examples=100)
def test_under_the_right_key_only_a_token_that_shows_what_is_wrong_is_unlawful(attack: Attack) -> None:
    parsed = Jwt.parse(value_of(attack))
    if attack.lawful or parsed is None or not KEY.verifies(parsed) or "crit" in parsed.header:
        return
    # RFC 7519 §4.1: what must be refused is in the claims, whatever the edits were called.
    claims = parsed.claims
    wrong = [
        not isinstance(claims.get("sub"), str) or not claims["sub"],
        claims.get("aud") != "api",
        isinstance(claims.get("exp"), bool) or not isinstance(claims.get("exp"), int) or claims["exp"] < NOW,
        "nbf" in claims,
        parsed.header.get("alg") != "HS256",
    ]
    assert any(wrong), attack.says


@given(
    st.one_of(key_attacks(KEYS), cookie_attacks(COOKIES), basic_attacks(BASIC), authorization_attacks(TOKENS))
)
@settings(max_examples=300)
def test_attacks_can_be_put_on_the_wire_and_say_what_they_are(attack: Attack) -> None:
    assert attack.says
    for name, value in attack.headers:
        name.encode("ascii")
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        assert b"\n" not in raw
        assert b"\r" not in raw


@given(key_attacks(KEYS))
def test_no_key_attack_is_the_live_key_itself(attack: Attack) -> None:
    assert [value for _, value in attack.headers] != [KEYS.text]


@pytest.mark.parametrize(("grammar", "kind"), [(key_attacks, Kind.KEY), (cookie_attacks, Kind.COOKIE)])
def test_one_seed_draws_the_same_edits_of_whatever_letters_a_credential_has(
    grammar: Callable[[Material], SearchStrategy[Attack]], kind: Kind
) -> None:
    chance = random.Random(1)

    def drawn() -> list[str]:
        """The attacks on two new credentials, which share a beginning as keys do."""
        one, other = ("rk_" + "".join(chance.choices(string.ascii_letters, k=40)) for _ in range(2))
        seen: list[str] = []

        @seed(3)
        @settings(
            max_examples=200,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(grammar(Material(opaque(kind, one), opaque(kind, other))))
        def attack_is_drawn(attack: Attack) -> None:
            seen.append(attack.says)

        attack_is_drawn()
        return seen

    first, *others = (drawn() for _ in range(4))
    # A letter that an edit puts in the place of the same letter is no edit: another one stands there.
    assert all(sum(a != b for a, b in zip(first, made, strict=True)) < 5 for made in others)


def test_an_edit_that_a_later_one_undid_makes_no_token_unlawful() -> None:
    live = Jwt.parse(TOKENS.text)
    assert live is not None
    rest = {name: value for name, value in live.claims.items() if name != "sub"}
    gone = Edit("sub claim missing", lambda draft: replace(draft, claims=rest), unlawful=True)
    other = Edit("sub claim of another", lambda draft: replace(draft, claims={**draft.claims, "sub": "b"}))
    signed = Edit("signed with the key", lambda draft: replace(draft, resigned=True))
    undone = composed(TOKENS, live, [gone, other, signed])
    assert (undone.says, undone.lawful) == ("sub claim of another and signed with the key", True)
    kept = composed(TOKENS, live, [other, gone, signed])
    assert (kept.says, kept.lawful) == ("sub claim missing and signed with the key", False)


def test_an_unsigned_token_is_found_and_told_in_few_words() -> None:
    attack = find(
        token_attacks(TOKENS),
        lambda item: (
            (parsed := Jwt.parse(value_of(item))) is not None
            and parsed.algorithm.lower() == "none"
            and not parsed.signature
        ),
    )
    assert attack.says in {'alg header "none" and empty signature', 'empty signature and alg header "none"'}


def test_a_token_that_never_ends_is_found_where_the_key_is_known() -> None:
    attack = find(
        token_attacks(TOKENS),
        lambda item: (
            not item.lawful
            and (parsed := Jwt.parse(value_of(item))) is not None
            and KEY.verifies(parsed)
            and "exp" not in parsed.claims
        ),
    )
    assert attack.says == "exp claim missing and signed with the service's key"


def test_half_a_key_with_the_rest_of_another_is_found() -> None:
    attack = find(
        key_attacks(KEYS),
        lambda item: item.headers[0][1] == "rk_abcd1234_Qq1wW2",
    )
    assert "the rest of another user's" in attack.says


@given(authorization_attacks(TOKENS))
def test_a_damaged_token_follows_from_the_live_one_so_that_it_can_be_exported(attack: Attack) -> None:
    if attack.says.startswith("a damaged token"):
        values = [str(value).split()[1] for _, value in attack.headers]
        assert TOKENS.text not in values
        assert all(derive(value, [TOKENS.text]) for value in values)


# Each kind of edit by a piece of the words that tell it: so many draws of a grammar must have sent all of them.
KINDS = {
    "tokens": (
        token_attacks(TOKENS),
        (
            "alg header|crit header|kid header|header missing|alg header twice|empty signature|signature of zeros|"
            "signature cut in half|signature twice|signature of another user's token|flipped|exp claim|nbf claim|"
            "aud claim|sub claim of another user|claim missing|signed with the service's key|replaced by"
        ),
    ),
    "headers": (
        authorization_attacks(TOKENS),
        (
            "the header '|two headers, a's first|two headers, b's first|in one header|a damaged token in the header|"
            "after the same in another one|before none in another one"
        ),
    ),
    "keys": (
        key_attacks(KEYS),
        (
            "its first|changed to|left out|after it|before it|capitals|small letters|swapped|twice|backwards|quotes|"
            "instead of it|another user's|two users at once"
        ),
    ),
    "cookies": (
        cookie_attacks(COOKIES),
        (
            "cookie named|two users in one header, a's first|two users in one header, b's first|its first|left out|"
            "in quotes|another user's"
        ),
    ),
    "basic": (
        basic_attacks(BASIC),
        (
            "no password|no colon|no user|in capitals|two passwords|in front|but a colon|with nothing|NUL|the first|"
            "the password '"
        ),
    ),
}


@pytest.mark.parametrize("grammar", KINDS)
def test_every_kind_of_edit_is_drawn_and_told_in_a_line(grammar: str) -> None:
    strategy, kinds = KINDS[grammar]
    drawn: list[Attack] = []

    @seed(1)
    @settings(
        max_examples=900, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def draw(attack: Attack) -> None:
        drawn.append(attack)

    draw()
    # What is sent first, before chance decides.
    drawn += likely_attacks(TOKENS) if grammar == "tokens" else []
    told = [attack.says for attack in drawn]
    assert [kind for kind in kinds.split("|") if not any(kind in says for says in told)] == []
    # What one reads fits a line.
    assert max(map(len, told)) < 400


@pytest.mark.parametrize(
    ("mine", "theirs", "among"),
    [
        (
            "7.abcd.ffff",
            "8.efgh.0000",
            {"8.abcd.ffff", "7.efgh.ffff", "7..ffff", "7.abcd.", "7.abcd", "abcd.ffff"},
        ),
        ("rk_abcd_a_b_c", "rk_efgh_d_e_f", {"rk_efgh_a_b_c", "rk_abcd_d_e_f", "rk_abcd_", "rk_abcd"}),
        ("aB_3d_x9", "cD_4e_y8", set()),
    ],
)
def test_what_has_parts_is_sent_with_one_of_them_missing_or_of_another_user(
    mine: str, theirs: str, among: set[str]
) -> None:
    live, other = opaque(Kind.KEY, mine), opaque(Kind.KEY, theirs)
    sent = {
        attack.headers[0][1] for attack in likely_attacks(Material(live, other, None, NOW)) if attack.headers
    }
    assert among <= sent
    assert mine not in sent
    assert theirs not in sent


def test_a_key_in_the_query_is_sent_with_a_nul() -> None:
    live = opaque(Kind.KEY, "k" * 20).moved_to(Carrier(Kind.KEY, "query", "api_key"))
    assert (("api_key", "k" * 20 + "\0x"),) in {attack.query for attack in likely_attacks(Material(live))}


def test_only_what_has_other_letters_says_that_a_key_may_be_guessed() -> None:
    """Who folds the case of keys lets in what is spelled otherwise: true, and not as if half a key were enough."""
    live = opaque(Kind.KEY, "lk_AaBbAaCcAaDdAaEe")
    slight = {
        item.label
        for number in range(20)
        for item in forgeries(live, random.Random(number))
        if item.severity is not None or item.credential.value.reveal().lower() == live.value.reveal().lower()
    }
    assert slight == {
        "a key credential in capitals",
        "a key credential with small and capital letters of its second half exchanged",
    }
