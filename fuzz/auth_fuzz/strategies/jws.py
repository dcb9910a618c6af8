"""Compact JWS (RFC 7515 §7.1): grown from the grammar, damaged, and edited part by part from a live one."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from auth_conformance.credentials import Jwt, b64url, compact_json
from auth_conformance.model import Severity
from auth_fuzz.spelling import alike
from auth_fuzz.strategies.attack import Attack, Material
from auth_fuzz.strategies.drafts import Draft, Edit, composed, signed_with

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# What stands in `alg`: registered names, near misses, and values that are no names at all.
ALGORITHMS: tuple[Any, ...] = (
    "none",
    "None",
    "NONE",
    "nOnE",
    "none ",
    "",
    None,
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "ES256",
    "PS256",
    "EdDSA",
    "hs256",
    "HS256 ",
    "A128KW",
    "dir",
    False,
    True,
    0,
    [],
    ["none"],
    ["HS256"],
    {},
    {"name": "none"},
)
# Printable characters that Base64 for URLs does not have, nor a header's list of values.
STRANGE = tuple(sorted({*string.punctuation} - {*"-_.=,;"}))
NONES = ("none", "None", "NONE", "nOnE", "none ", "", None)
# What stands where a time should: for each, RFC 7519 §2 says that it is no NumericDate.
NO_DATES: tuple[Any, ...] = (
    "9999999999",
    "never",
    "",
    "2099-01-01T00:00:00Z",
    [9_999_999_999],
    [],
    {"value": 9_999_999_999},
    {},
    True,
    False,
    None,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)
CLAIMS = st.dictionaries(
    st.one_of(st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "jti"]), st.text(max_size=8)),
    VALUES,
    max_size=6,
)
_HEADER_MEMBERS = ("kid", "typ", "crit", "jku", "jwk", "x5u", "cty", "b64", "zip")
_DATES = ("exp", "nbf", "iat")


@st.composite
def compact_jws(draw: st.DrawFn) -> str:
    """A token of the right form: JSON objects for header and payload, any bytes for the signature."""
    header: dict[str, Any] = {
        "alg": draw(st.sampled_from(ALGORITHMS)),
        **draw(st.dictionaries(st.sampled_from(["typ", "kid", "crit"]), VALUES)),
    }
    token = Jwt.build({"alg": "none"}, draw(CLAIMS))
    text = b64url(compact_json(header).encode())
    return f"{text}.{token.payload_text}.{b64url(draw(st.binary(max_size=64)))}"


@st.composite
def damaged_jws(draw: st.DrawFn) -> str:
    """A token that lost, gained or changed something: a part, a character, a dot."""
    text = draw(compact_jws())
    place = draw(st.integers(0, max(len(text) - 1, 0)))
    piece = draw(st.one_of(st.sampled_from([".", "..", "=", "!", " "]), st.text(max_size=3)))
    cut = draw(st.integers(0, 4))
    return text[:place] + piece + text[place + cut :]


def token_attacks(material: Material) -> SearchStrategy[Attack]:
    """Edits of the live token's header, payload and signature, alone and together; byte-level damage as well."""
    token = Jwt.parse(material.text)
    if token is None:
        return _bytes(material)
    header, claims = _headers(token), _claims(material, token)
    free = st.lists(
        st.one_of(claims, header, _signatures(material)),
        min_size=1,
        max_size=3,
        unique_by=lambda edit: edit.says.split(" ")[0],
    )
    # What no search would put together often enough by chance: a token that says it has no signature.
    nothing = st.sampled_from(NONES).map(lambda name: _header("alg", name, unlawful=True))
    more = st.lists(claims, max_size=1)
    stripped = st.builds(
        lambda alg, others: [alg, _signature("empty signature", b""), *others], nothing, more
    )
    choices = [stripped, free]
    if material.key is not None and material.key.verifies(token):
        key = material.key
        signed = Edit("signed with the service's key", lambda draft: signed_with(key, draft))
        edits = st.lists(st.one_of(claims, claims, header), min_size=1, max_size=2)
        choices.append(edits.map(lambda chosen: [*chosen, signed]))
        # By itself what is wrong is told from what is right most often: nothing else can be what refuses it.
        choices.append(st.one_of(claims, header).map(lambda edit: [edit, signed]))
    return st.one_of(
        st.one_of(choices).map(lambda chosen: composed(material, token, chosen)), _bytes(material)
    )


def _signatures(material: Material) -> SearchStrategy[Edit]:
    token = Jwt.parse(material.text)
    live = token.signature if token is not None else b""
    borrowed = Jwt.parse(material.other.value.reveal()) if material.other is not None else None
    plain = {
        "empty signature": b"",
        "signature of zeros": bytes(len(live)),
        "signature cut in half": live[: len(live) // 2],
        "signature of one byte": b"\0",
        "signature twice": live + live,
        "signature of ones": b"\xff" * len(live),
    }
    if borrowed is not None:
        plain["signature of another user's token"] = borrowed.signature
    named = st.sampled_from(sorted(plain)).map(lambda name: _signature(name, plain[name]))
    flipped = st.integers(0, max(len(live) * 8 - 1, 0)).map(
        lambda bit: _signature(f"signature with bit {bit} flipped", _flip(live, bit))
    )
    made_up = st.binary(max_size=64).map(
        lambda raw: _signature(f"signature {raw.hex() or 'of nothing'}", raw)
    )
    return st.one_of(named, flipped, made_up)


def _signature(says: str, value: bytes) -> Edit:
    return Edit(
        says, lambda draft: Draft(draft.header, draft.claims, value, draft.header_json, draft.claims_json)
    )


def _flip(raw: bytes, bit: int) -> bytes:
    if not raw:
        return b"\0"
    place, mask = bit // 8 % len(raw), 1 << bit % 8
    return raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]


def _headers(token: Jwt) -> SearchStrategy[Edit]:
    algorithms = st.sampled_from(ALGORITHMS).map(
        lambda name: _header("alg", name, unlawful=name != token.header.get("alg") and not _hmac(name))
    )
    members = st.tuples(
        st.sampled_from(_HEADER_MEMBERS),
        st.one_of(st.sampled_from(["", "../../dev/null", "' OR '1'='1", None, [], ["exp"], {}, 0]), VALUES),
    ).map(lambda pair: _header(*pair, unlawful=pair[0] == "crit"))
    critical: list[Any] = [["exp"], ["x"], []]
    extended = st.sampled_from(critical).map(lambda value: _header("crit", value, unlawful=True))
    gone = st.sampled_from(["alg", "kid", "typ"]).map(_header_without)
    twice = st.sampled_from(["none", token.algorithm]).map(lambda first: _twice(token, first))
    return st.one_of(algorithms, members, gone, twice, extended)


def _hmac(name: object) -> bool:
    return isinstance(name, str) and name.startswith("HS")


def _header(name: str, value: Any, *, unlawful: bool = False) -> Edit:
    return Edit(
        f"{name} header {_shown(value)}",
        lambda draft: Draft(
            {**draft.header, name: value}, draft.claims, draft.signature, None, draft.claims_json
        ),
        unlawful,
    )


def _header_without(name: str) -> Edit:
    return Edit(
        f"{name} header missing",
        lambda draft: Draft(
            {key: value for key, value in draft.header.items() if key != name},
            draft.claims,
            draft.signature,
            None,
            draft.claims_json,
        ),
        unlawful=name == "alg",  # RFC 7515 §4.1.1: it must be present
    )


def _twice(token: Jwt, first: str) -> Edit:
    rest = compact_json(dict(token.header))[1:]
    return Edit(
        f"alg header twice, first {_shown(first)}",
        lambda draft: Draft(
            draft.header,
            draft.claims,
            draft.signature,
            f'{{"alg":{json.dumps(first)},{rest}',
            draft.claims_json,
        ),
    )


def _claims(material: Material, token: Jwt) -> SearchStrategy[Edit]:
    now = material.now
    choices: list[SearchStrategy[Edit]] = [
        st.tuples(st.sampled_from(_DATES[:2]), st.sampled_from(NO_DATES)).map(
            lambda pair: _claim(*pair, unlawful=pair[0] in token.claims or pair[0] == "exp")
        ),
        st.integers(1, 10**6).map(
            lambda ago: _claim("exp", int(now - material.leeway - 60 - ago), unlawful=True)
        ),
        st.integers(1, 10**6).map(
            lambda ahead: _claim("nbf", int(now + material.leeway + 60 + ahead), unlawful=True)
        ),
        st.tuples(st.sampled_from(["role", "roles", "scope", "admin", "is_admin"]), VALUES).map(
            lambda pair: _claim(*pair)
        ),
        st.just(_claim_without("exp", unlawful=True)),
        st.just(_claim_without("sub", unlawful=True)),
        st.sampled_from([None, 0, [], {}, True, ""]).map(lambda value: _claim("sub", value, unlawful=True)),
    ]
    for name in ("aud", "iss"):
        if name in token.claims:
            choices.append(_foreign(name))
            choices.append(st.just(_claim_without(name, unlawful=True)))
    other = Jwt.parse(material.other.value.reveal()) if material.other is not None else None
    if other is not None and "sub" in other.claims:
        choices.append(
            st.just(
                Edit(
                    "sub claim of another user",
                    lambda draft: Draft(
                        draft.header,
                        {**draft.claims, "sub": other.claims["sub"]},
                        draft.signature,
                        draft.header_json,
                    ),
                )
            )
        )
    return st.one_of(choices)


def _foreign(name: str) -> SearchStrategy[Edit]:
    values: list[Any] = ["https://elsewhere.example", "", None, [], 0, {}, ["elsewhere"]]
    return st.sampled_from(values).map(lambda value: _claim(name, value, unlawful=True))


def _claim(name: str, value: Any, *, unlawful: bool = False) -> Edit:
    return Edit(
        f"{name} claim {_shown(value)}",
        lambda draft: Draft(draft.header, {**draft.claims, name: value}, draft.signature, draft.header_json),
        unlawful,
        _severity(name, value),
    )


def _severity(name: str, value: Any) -> Severity:
    """Times of the wrong type are still times to a careless reader; a time that is over is not."""
    if name in _DATES:
        return Severity.HIGH if isinstance(value, int) and not isinstance(value, bool) else Severity.LOW
    return Severity.MEDIUM


def _claim_without(name: str, *, unlawful: bool = False) -> Edit:
    return Edit(
        f"{name} claim missing",
        lambda draft: Draft(
            draft.header,
            {key: value for key, value in draft.claims.items() if key != name},
            draft.signature,
            draft.header_json,
        ),
        unlawful,
    )


def _bytes(material: Material) -> SearchStrategy[Attack]:
    """The token's text with a hole, an insertion, or another part: no grammar at all."""
    text = material.text
    token = Jwt.parse(text)

    def damaged(place: int, cut: int, piece: str) -> Attack:
        at = place % (len(text) + 1)
        made = text[:at] + piece + text[at + cut :]
        headers, query = material.bearing(made)
        where = f"{cut} characters at {at} replaced by {piece!r}"
        slight = Severity.MEDIUM if token is None and alike(made, text) else None
        return Attack(f"the token with {where}", headers, query, same_bytes(made, text), slight)

    pieces = st.sampled_from(["", ".", "..", "=", "A", "%2E", "-", "_"])
    # What a reader of its own may drop, or may take for the end: no part of a token has it (RFC 7515 §2).
    odd = st.tuples(st.sampled_from(STRANGE), st.sampled_from(["", "more"])).map("".join)
    return st.one_of(
        st.builds(damaged, st.integers(0, 400), st.integers(0, 3), pieces),
        st.builds(damaged, st.sampled_from([0, len(text) // 2, len(text)]), st.just(0), odd),
    )


def same_bytes(made: str, text: str) -> bool:
    """Whether two spellings decode to the same token: what comes after the encoding is the same."""
    if made == text or Jwt.parse(text) is None:
        return made == text
    one, other = made.split("."), text.split(".")
    if len(one) != len(other):
        return False
    one = [part.rstrip("=") for part in one]
    # A forgiving reader of Base64 leaves out what does not belong there; nobody signed the signature.
    one[-1] = re.sub(r"[^\w+/-]", "", one[-1], flags=re.ASCII)
    # The last character of a part may hold bits that no byte takes (RFC 4648 §3.5).
    return all(
        mine == theirs or (mine[:-1] == theirs[:-1] and len(mine) == len(theirs) and len(mine) % 4)
        for mine, theirs in zip(one, other, strict=True)
    )


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)[:60]
