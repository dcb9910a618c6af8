from __future__ import annotations

import base64
import hmac
import string
from dataclasses import replace

import pytest

from auth_conformance.credentials import Jwt, SigningKey, attacker_keys, compact_json
from auth_conformance.model import Derivation, Signing
from auth_conformance.oracles.respelling import ORDERS
from auth_conformance.secret import Secret
from auth_conformance.transports.derivation import derive, derive_signed, digest_of

HEAD, CLAIMS, SIGNED = "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhbGljZSJ9", "XBV5of_gIHISSpLmhqjB6TIPZ30f"
TOKEN = f"{HEAD}.{CLAIMS}.{SIGNED}"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (f"{HEAD}.{CLAIMS}.", ((0, 1), ".", (1, 2), ".", "")),
        (f"eyJub25lIn0.{CLAIMS}.{SIGNED}", ("eyJub25lIn0", ".", (1, 2), ".", (2, 3))),
        (f'"Bearer {TOKEN}"', ('"Bearer ', (0, 3), '"')),
        (f"Bearer {TOKEN}", ("Bearer ", (0, 3))),
    ],
)
def test_a_recipe_names_places_of_the_live_token(text: str, pieces: tuple[object, ...]) -> None:
    recipe = derive(text, [TOKEN])
    assert recipe is not None
    assert recipe.pieces == pieces
    assert recipe.base == digest_of(TOKEN)


@pytest.mark.parametrize(
    "text", [f"{HEAD}.{CLAIMS}.{SIGNED}{'x' * 40}", f"{'x' * 40}{TOKEN}", "other", TOKEN[:30]]
)
def test_what_would_spell_a_part_out_has_no_recipe(text: str) -> None:
    recipe = derive(text, [TOKEN])
    assert recipe is None or not any(SIGNED in piece for piece in recipe.pieces if isinstance(piece, str))


OPAQUE = "rk_Ab3dEf7h_Zz9yY8xX7wW6vV5uU4"


@pytest.mark.parametrize("case", ["lower", "upper", "swapcase"])
def test_a_key_in_another_case_has_a_recipe_without_its_letters(case: str) -> None:
    recipe = derive(getattr(OPAQUE, case)(), [OPAQUE])
    assert recipe is not None
    assert (recipe.case, recipe.pieces) == (case, ((0, len(OPAQUE)),))


@pytest.mark.parametrize("live", [OPAQUE, TOKEN])
def test_a_meaningless_credential_has_the_shape_of_a_live_one(live: str) -> None:
    letters = string.ascii_letters + string.digits
    others = string.ascii_lowercase[::-1] + string.ascii_uppercase[::-1] + string.digits[::-1]
    wrong = live.translate(str.maketrans(letters, others))
    recipe = derive(wrong, ["another", live])
    assert recipe is not None
    assert (recipe.base, recipe.case) == (digest_of(live), "meaningless")
    # One character that stayed, or became something of another kind, and it is no such thing.
    assert derive(live[0] + wrong[1:], [live]) is None
    assert derive("0" + wrong[1:], [live]) is None


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("x", True),
        ("A" * 5000, True),
        ("...", True),
        ("\u043a\u043b\u044e\u0447", True),
        ("W10.e30.AAAA", True),
        ("Zz9yY8xX7wW6vV5uU4", False),
        (f"{HEAD}.{CLAIMS}.AAAA", False),
        (f"{HEAD}.e30.{SIGNED}", False),
    ],
)
def test_what_no_service_issues_is_written_down(text: str, known: bool) -> None:
    recipe = derive(text, [OPAQUE])
    assert (recipe is not None and recipe.pieces == (text,) and not recipe.base) is known


def test_what_is_cut_from_two_keys_has_no_recipe() -> None:
    other = "rk_Qq1wWw2e_Mm8nN7bB6vV5cC4xX3zZ"
    assert derive(other[:11] + OPAQUE[11:], [other, OPAQUE]) is None


KEY = Secret("a secret that signs the tokens of this service")
NOW = 1_800_000_000
HONEST = {"sub": "alice", "tenant": "red", "aud": "shop", "iat": NOW - 5, "exp": NOW + 900, "jti": "one"}
LIVE = Jwt.build({"alg": "HS256", "typ": "JWT"}, HONEST, SigningKey("HS256", KEY)).text


def forged(header: dict[str, object] | None = None, **claims: object) -> Jwt:
    token = Jwt.parse(LIVE)
    assert token is not None
    token = token.with_claims(**claims)
    return (token.with_header(**header) if header else token).signed(SigningKey("HS256", KEY))


@pytest.mark.parametrize(
    ("token", "signing"),
    [
        (
            forged(exp=NOW - 60, iat=NOW - 960, jti="two"),
            {"moments": (("iat", -960), ("exp", -60)), "fresh": ("jti",)},
        ),
        (forged(exp=0), {"claims": '{"exp":0}'}),
        (forged(exp=NOW + 60.5), {"moments": (("exp", 60.5),)}),
        (forged(aud="elsewhere"), {"claims": '{"aud":"elsewhere"}'}),
        (forged(sub=""), {"claims": '{"sub":""}'}),
        (forged(sub="ALICE"), {"respelled": (("sub", "", "upper", ""),)}),
        (forged(sub=" alice"), {"respelled": (("sub", " ", "", ""),)}),
        (forged({"alg": "HS512"}), {"algorithm": "sha512", "header": '{"alg":"HS512","typ":"JWT"}'}),
        (forged().without_claims("exp").signed(SigningKey("HS256", KEY)), {"without": ("exp",)}),
    ],
)
def test_a_token_signed_again_follows_from_the_live_one(token: Jwt, signing: dict[str, object]) -> None:
    recipe = derive_signed(token.text, ["other", LIVE], [Secret("another"), KEY], NOW)
    assert recipe is not None
    assert recipe.base == digest_of(LIVE)
    assert recipe.signed == Signing(**{"key": KEY.digest, "algorithm": "sha256", **signing})


OTHER = Jwt.build({"alg": "HS256"}, {**HONEST, "sub": "bob", "tenant": "blue"}, SigningKey("HS256", KEY)).text


def test_members_that_stand_twice_name_the_tokens_that_they_are_from() -> None:
    rest = '{"tenant":"red","aud":"shop","jti":"one"'
    key = SigningKey("HS256", KEY)
    for text, repeated in {
        '"sub":"alice","sub":"bob"': (('"sub"', digest_of(LIVE)), ('"sub"', digest_of(OTHER))),
        '"sub":"bob","s\\u0075b":"alice"': (
            ('"sub"', digest_of(OTHER)),
            ('"s\\u0075b"', digest_of(LIVE)),
        ),
        f'"exp":{NOW + 60},"exp":{NOW - 60}': (('"exp"', 60), ('"exp"', -60)),
    }.items():
        token = Jwt.raw('{"alg":"HS256","typ":"JWT"}', f"{rest},{text}}}", key)
        recipe = derive_signed(token.text, [LIVE, OTHER], [KEY], NOW)
        assert recipe is not None, text
        assert recipe.signed is not None
        assert (recipe.base, recipe.signed.repeated) == (digest_of(LIVE), repeated)
    # Members that stand once behind the others are another text than ours, and no recipe writes it.
    spaced = Jwt.raw('{"alg":"HS256","typ":"JWT"}', f'{rest}, "sub":"alice","sub":"bob"}}', key)
    assert derive_signed(spaced.text, [LIVE, OTHER], [KEY], NOW) is None


def test_a_header_with_a_member_twice_is_written_as_it_stood_there() -> None:
    header = '{"alg":"none","alg":"HS256","typ":"JWT"}'
    token = Jwt.raw(header, compact_json({**HONEST, "exp": NOW + 60}), SigningKey("HS256", KEY))
    recipe = derive_signed(token.text, [LIVE], [KEY], NOW)
    assert recipe is not None
    assert recipe.signed == Signing(KEY.digest, "sha256", header, moments=(("exp", 60.0),))


@pytest.mark.parametrize(
    "token",
    [
        forged(sub="bob"),  # another person of this run
        forged(sid="26140a96-9b81-4ebd-96cf-777a41d4ac39"),  # a session that only this run had
        forged(sub="alice2"),  # made from what only A has
        forged(exp=float("nan")),  # no JSON
        forged().with_flipped_signature(),
        Jwt.raw('{"alg":"HS256"}', '{"sub":"alice","sub":"eve"}', SigningKey("HS256", KEY)),
        Jwt.build({"alg": "HS256"}, {"a": 1}, SigningKey("HS256", KEY)),  # follows from nothing
    ],
)
def test_what_a_test_could_not_repeat_has_no_recipe(token: Jwt) -> None:
    assert derive_signed(token.text, [LIVE, OTHER], [KEY], NOW) is None


@pytest.mark.parametrize("family", ["ES256", "RS256", "EdDSA"])
def test_a_token_signed_again_by_the_private_key_follows_from_the_live_one(family: str) -> None:
    key, stranger = (replace(attacker_keys()[family], source="") for _ in "ab")
    live = Jwt.build({"alg": family, "kid": "one"}, HONEST, key)
    late = live.with_claims(exp=NOW - 60, jti="two").signed(key)
    recipe = derive_signed(late.text, [live.text], [KEY, stranger.secret, key.secret], NOW)
    assert recipe is not None
    assert recipe.signed == Signing(key.secret.digest, family, moments=(("exp", -60),), fresh=("jti",))
    for other in (
        live.with_claims(exp=NOW - 60).signed(stranger),
        live.signed(key),  # nothing changed: where the signature is another, it is the attack
        late.with_signature(late.signature + b"\0"),
    ):
        assert derive_signed(other.text, [live.text], [KEY, key.secret], NOW) is None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (f"{TOKEN}.x", ((0, 1), ".", (1, 2), ".", (2, 3), ".x")),
        (
            f'{{"payload":"{CLAIMS}","protected":"{HEAD}","signature":"{SIGNED}"}}',
            ('{"payload":"', (1, 2), '","protected":"', (0, 1), '","signature":"', (2, 3), '"}'),
        ),
    ],
)
def test_a_token_in_another_frame_follows_from_the_live_one(text: str, pieces: tuple[object, ...]) -> None:
    recipe = derive(text, [TOKEN])
    assert recipe is not None
    assert recipe.pieces == pieces
    assert recipe.parts
    # What stands beside it may be somebody's own credential.
    assert derive(f"{text}{'q7' * 10}", [TOKEN]) is None


def test_a_key_that_is_nobodys_secret_is_written_down() -> None:
    live = Jwt.parse(LIVE)
    assert live is not None
    der = b"0\x82\x01\xff public"
    text = der.decode("utf-8", "surrogateescape")
    changed = live.with_header(typ="at+jwt")
    mac = changed.with_signature(hmac.digest(der, changed.signing_input, "sha256")).text
    recipe = derive_signed(mac, [LIVE], [KEY], NOW, own=[text])
    assert recipe is not None
    assert recipe.signed is not None
    assert base64.b64decode(recipe.signed.own) == der
    pair = attacker_keys()["EdDSA"]
    signed = live.with_header(alg="EdDSA", jwk={"kty": "OKP"}).signed(pair)
    recipe = derive_signed(signed.text, [LIVE], [KEY], NOW, own=[pair.secret.reveal()])
    assert recipe is not None
    assert recipe.signed is not None
    assert recipe.signed.own
    # The service's own key is a secret.
    honest = derive_signed(forged(aud="elsewhere").text, [LIVE], [KEY], NOW)
    assert honest is not None
    assert honest.signed is not None
    assert honest.signed.own == ""


def test_the_other_signature_of_ecdsa_has_no_recipe() -> None:
    key = attacker_keys()["ES256"]
    live = Jwt.build({"alg": "ES256"}, HONEST, key)
    late = live.with_claims(exp=NOW - 60).signed(key)
    half = len(late.signature) // 2
    high = ORDERS["ES256"] - int.from_bytes(late.signature[half:], "big")
    other = late.with_signature(late.signature[:half] + high.to_bytes(half, "big"))
    assert key.verifies(other)
    assert derive_signed(late.text, [live.text], [key.secret], NOW) is not None
    assert derive_signed(other.text, [live.text], [key.secret], NOW) is None


def test_a_signature_is_written_down_only_where_any_would_do() -> None:
    head, claims, signature = LIVE.split(".")
    made = Jwt.parse(LIVE)
    assert made is not None
    bound = made.with_header(jwk={}).with_signature(bytes(range(32))).text
    assert derive(made.with_header(alg="nOne").with_signature(bytes(range(32))).text, [LIVE]) is not None
    assert derive(bound, [LIVE]) is None  # over another payload it would merely be wrong
    assert derive(made.with_header(alg="ES256").with_signature(bytes(64)).text, [LIVE]) is not None
    assert derive(f"{head}.{claims}.{signature[:20]}", [LIVE]) == Derivation(
        digest_of(f"{head}.{claims}.{signature[:20]}"), digest_of(LIVE), ((0, 20 - len(signature)),)
    )
    assert derive(made.with_signature(made.signature[:10]).text, [LIVE]) is None
    spaced = f"{head}.{claims}.{signature[:9]}\n{signature[9:]}"
    recipe = derive(spaced, [LIVE])
    assert recipe is not None
    longer = LIVE.replace(".", ".x", 1)
    pieces = (piece if isinstance(piece, str) else longer[piece[0] : piece[1]] for piece in recipe.pieces)
    assert "".join(pieces) == spaced.replace(".", ".x", 1)
    assert derive(made.with_flipped_signature().text, [LIVE]) is not None


def test_what_is_no_credential_is_written_down() -> None:
    assert derive("undefined", []) == Derivation(digest_of("undefined"), "", ("undefined",))
