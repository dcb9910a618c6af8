"""How an altered credential follows from a live one: the recipe that a regression test repeats.

A recipe never holds enough to rebuild a secret: of the live credential it names places only, and a payload
is never written out (it would expire, too).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import string
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization

from auth_conformance.credentials import Jwt, SigningKey, b64url, compact_json, unb64url
from auth_conformance.model import Derivation, Signing
from auth_conformance.oracles.respelling import ORDERS
from auth_conformance.secret import Secret

# A literal longer than this could be a credential of its own (tokens in three parts have their own rule).
_LITERAL = 12
# A signature of no more different characters is the same over any payload: zeros, an empty one.
_CONSTANT = 4
# Below so many characters in common, a likeness is chance.
_COMMON = 8

# What clients send that have no credential: it is nobody's, and a recipe may name it.
_NOTHING = frozenset(
    {"null", "undefined", "None", "nil", "NaN", "true", "false", "[]", "{}", "[object Object]"}
)
# A header that says that nobody signed: whatever stands in the place of the signature is no part of the attack.
_UNSIGNED = re.compile(rb'"alg"\s*:\s*"none"', re.IGNORECASE)
# How letters may be written otherwise: methods of texts.
_CASES = ("lower", "upper", "swapcase")
# A meaningless credential of the live one's shape: what replaces a character is of its kind.
_KINDS = {
    ord(one): kind[0]
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    for one in kind
}
# A token of ours that says nothing about anybody: its payload is no longer.
_EMPTY = 16
# Behind the end of every token.
_END = 1 << 20
_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
# Signatures by a private key that a test can make again (RFC 7518 §3.1, RFC 8037 §3.1).
_BY_PAIR = frozenset(
    {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
)
# Claims that are new in each token (RFC 7519 §4.1.7), and claims that say whose it is.
_FRESH = frozenset({"jti"})
_PERSONAL = frozenset({"sub", "email", "username", "preferred_username", "name", "sid", "uid", "user_id"})
# Claims that say what a token is for (RFC 7519 §4.1, RFC 8693 §4.2): they differ, and are nobody's own.
_SHARED = frozenset({"iss", "aud", "azp", "client_id", "scope", "scp", "scopes", "typ", "type"})
# What was drawn by chance is the id of something that the next run does not have.
_DRAWN = re.compile(
    r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])\w{16,}", re.IGNORECASE
)
# So many characters in common with a person's own claim are no chance.
_OF_SOMEBODY = 4


def digest_of(text: str) -> str:
    """The digest under which evidence shows `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def derive(text: str, live: Sequence[str]) -> Derivation | None:
    """The recipe for `text` from one of the `live` credentials, youngest first; None when there is none."""
    if text in _NOTHING:
        return Derivation(digest_of(text), "", (text,))
    # A run learns thousands of credentials, and some attacks send a megabyte: what cannot be is said at a glance.
    size, payload = len(text), _payload(text)
    for base in reversed(live):
        if base.count(".") == 2:
            found = (
                _by_parts(text, base) if payload is not None and payload in base else _assembled(text, base)
            )
        else:
            near = len(base) // 2 <= size <= len(base) + _LITERAL
            found = (_by_case(text, base) or _by_range(text, base)) if near else None
            if found is not None and _borrows(found, base, live):
                found = None
        if found is not None:
            return found
    like = next((item for item in reversed(live) if _is_like(text, item)), None)
    if like is not None:
        return Derivation(digest_of(text), digest_of(like), ((0, len(like)),), case="meaningless")
    return Derivation(digest_of(text), "", (text,)) if _of_nobody(text) else None


def _of_nobody(text: str) -> bool:
    """Whether no service issues such a text: one character over and over, no letter of ASCII, or an empty token."""
    parts = text.split(".")
    if len(parts) == 3 and parts[1] and parts[2]:
        return len(parts[1]) <= _EMPTY and len(set(parts[2])) == 1
    return len(set(text)) == 1 or (bool(text) and not any(one.isascii() and one.isalnum() for one in text))


def _is_like(text: str, base: str) -> bool:
    """Whether each letter and digit of `base` was replaced by another of its kind, and nothing else was."""
    # A run has thousands of live credentials: what the shapes say is said first.
    if len(text) != len(base) or _shape(text) != _shape(base) or sum(map(str.isalnum, base)) < _COMMON:
        return False
    return not any(
        one == other and other.isascii() and other.isalnum() for one, other in zip(text, base, strict=True)
    )


@lru_cache(maxsize=4096)
def _shape(text: str) -> str:
    """The text with each letter and digit of ASCII exchanged for the first of its kind."""
    return text.translate(_KINDS)


def derive_signed(
    text: str, live: Sequence[str], keys: Sequence[Secret], now: float, *, own: Sequence[str] = ()
) -> Derivation | None:
    """The recipe for a token that one of the `keys` signed again; `now` is the moment of the request.

    One of the `own`, which are nobody's secrets, is written down: public keys, and those of the attacker.

    None where it is no such token, or follows from no live token without naming somebody: a test that
    wrote another person's id down would soon attack nobody, and pass.
    """
    token = Jwt.parse(text)
    if token is None:
        return None
    twice: Sequence[tuple[str, object]] = ()
    if compact_json(token.claims).encode() != _decoded(token.payload_text):
        found = _taken_apart(_decoded(token.payload_text))
        if found is None:
            return None
        token, twice = replace(token, claims=found[0]), found[1]
    key = next((key for key in (*keys, *map(Secret, own)) if _made_by(key, token)), None)
    header = _decoded(token.header_text).decode("utf-8", "replace")
    # A test writes the header as it stood there, with a member twice or in an odd order: only its bytes must be text.
    if key is None or b64url(header.encode()) != token.header_text:
        return None
    known = [parsed for item in live if item != text and (parsed := _parsed(item)) is not None]
    # An access token and a refresh token often have the same claims, and different headers.
    base = max(
        reversed(known),
        key=lambda item: (_alike(item, token), item.header_text == token.header_text),
        default=None,
    )
    if (
        base is None
        or _alike(base, token) * 2 < len(base.claims)
        or base.signing_input == token.signing_input
    ):
        return None  # with nothing changed the signature itself is the attack
    changes = _changes(base, token, known, now)
    repeated = [(name, _source(json.loads(name), value, base, known, now)) for name, value in twice]
    if changes is None or any(source is None for _, source in repeated):
        return None
    changes["repeated"] = tuple((name, source) for name, source in repeated if source is not None)
    algorithm = _HASHES.get(token.algorithm, token.algorithm)
    signing = Signing(
        key.digest, algorithm, "" if token.header_text == base.header_text else header, **changes
    )
    if key not in keys:
        signing = replace(signing, own=_written(key, algorithm))
    return Derivation(digest_of(text), digest_of(base.text), (), parts=True, signed=signing)


def _taken_apart(payload: bytes) -> tuple[dict[str, Any], list[tuple[str, object]]] | None:
    """Claims that stand once, and behind them members of which one name stands twice or more; None for other text.

    Of such a member the name as it is spelled: it may be the same one only to who reads JSON (RFC 8259 §7).
    """
    outer: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outer[:] = pairs  # the outermost object is the last one that ends
        return dict(pairs)

    read = json.JSONDecoder().raw_decode
    try:
        text = payload.decode()
        json.loads(text, object_pairs_hook=keep)
        names = [name for name, _ in outer]
        once = {name: value for name, value in outer if names.count(name) == 1}
        head = compact_json(once)[:-1]
        at, found = len(head), list[tuple[str, object]]()
        while text.startswith(head) and text[at : at + 1] == ",":
            _, end = read(text, at + 1)
            value, after = read(text, end + 1)
            found.append((text[at + 1 : end], value))
            at = after
    except (ValueError, RecursionError):
        return None
    return (once, found) if text[at:] == "}" and found else None


def _source(name: str, value: object, base: Jwt, known: Sequence[Jwt], now: float) -> str | float | None:
    """Where a member that is repeated comes from: the digest of a live token, seconds from now, or None."""
    if _moment(value) and isinstance(value, int | float):
        return round(value - now)
    tokens = (base, *reversed(known))
    return next((digest_of(token.text) for token in tokens if token.claims.get(name) == value), None)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Jwt | None:
    return Jwt.parse(text) if text.startswith("ey") else None


def _decoded(text: str) -> bytes:
    try:
        return unb64url(text)
    except ValueError:
        return b""


def _written(key: Secret, algorithm: str) -> str:
    """A key that is no secret, in Base64: what an HMAC takes, or a private key in PKCS #8."""
    if algorithm in _HASHES.values():
        return base64.b64encode(_as_bytes(key)).decode()
    loaded = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return base64.b64encode(loaded.private_bytes(serialization.Encoding.DER, form, plain)).decode()


def _as_bytes(key: Secret) -> bytes:
    """What an HMAC takes; a key that is no text was read as one with `surrogateescape`."""
    try:
        return key.reveal().encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return key.reveal().encode("utf-8", "surrogatepass")


def _made_by(key: Secret, token: Jwt) -> bool:
    """Whether the signature is the one that this key makes, in its usual spelling: another one may be the attack."""
    algorithm, spelled = token.algorithm, b64url(_decoded(token.signature_text))
    if algorithm in _HASHES:
        spelled = b64url(hmac.digest(_as_bytes(key), token.signing_input, _HASHES[algorithm]))
        return spelled == token.signature_text
    if algorithm not in _BY_PAIR or spelled != token.signature_text:
        return False
    return _is_lower(token) and SigningKey(algorithm, key).verifies(token)


def _is_lower(token: Jwt) -> bool:
    """Whether it is the lower of the two signatures that ECDSA knows, as we sign; true where there is but one."""
    order, half = ORDERS.get(token.algorithm), len(token.signature) // 2
    return order is None or int.from_bytes(token.signature[half:], "big") * 2 <= order


def _alike(base: Jwt, token: Jwt) -> int:
    """How many claims the two share; moments and what is fresh in every token count as shared."""
    return sum(
        value == token.claims.get(name) or (name in token.claims and (name in _FRESH or _moment(value)))
        for name, value in base.claims.items()
    )


def _moment(value: object) -> bool:
    """Whether a number is a time of our days, in seconds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 10**9 < value < 10**10


def _changes(base: Jwt, token: Jwt, known: Sequence[Jwt], now: float) -> dict[str, Any] | None:
    """What was changed in `base`; None where a change speaks of somebody of the run."""
    claims: dict[str, Any] = {}
    moments: list[tuple[str, float]] = []
    fresh: list[str] = []
    respelled: list[tuple[str, str, str, str]] = []
    for name, value in token.claims.items():
        old = base.claims.get(name)
        if old == value and type(old) is type(value):
            continue
        if _moment(value):
            whole = math.floor(value)
            moments.append((name, round(whole - now) + (value - whole)))
        elif name in _FRESH and isinstance(value, str) and isinstance(old, str):
            fresh.append(name)
        elif (spelling := _respelling(old, value)) is not None:
            respelled.append((name, *spelling))
        elif _of_somebody(name, value, old, known) or (isinstance(value, str) and _DRAWN.fullmatch(value)):
            return None
        else:
            claims[name] = value
    without = tuple(name for name in base.claims if name not in token.claims)
    try:
        json.dumps(claims, allow_nan=False)
    except ValueError:
        return None  # no number of JSON
    return {
        "claims": compact_json(claims),
        "moments": tuple(moments),
        "fresh": tuple(fresh),
        "without": without,
        "respelled": tuple(respelled),
    }


def _respelling(old: object, value: object) -> tuple[str, str, str] | None:
    """How a text was respelled: what stands before, the case of its letters, what stands behind; None if it was not."""
    if not isinstance(old, str) or not isinstance(value, str) or not old:
        return None
    for case in ("", *_CASES):
        before, found, after = value.partition(getattr(old, case)() if case else old)
        around = before + after
        if found and len(around) <= _COMMON and around.isprintable() and not any(map(str.isalnum, around)):
            return before, case, after
    return None


def _of_somebody(name: str, value: object, old: object, known: Sequence[Jwt]) -> bool:
    """Whether a new value is another token's, or made from one that only this person has."""
    others = [item.claims[name] for item in known if name in item.claims]
    if value in others and name not in _SHARED:
        return True
    personal = name in _PERSONAL or (name not in _SHARED and any(other != old for other in others))
    if not personal or not isinstance(old, str) or not isinstance(value, str):
        return personal and isinstance(old, int) and isinstance(value, str) and str(old) in value
    one, other = old.casefold(), value.casefold()
    match = SequenceMatcher(None, one, other, autojunk=False).find_longest_match()
    return match.size >= min(_OF_SOMEBODY, max(len(one), 1))


def _payload(text: str) -> str | None:
    """The second part of a token with its dots, which every recipe by parts keeps; None for what is no token."""
    parts = text.split(".", 3)
    return f".{parts[1]}." if 2 <= len(parts) <= 3 else None


def _by_parts(text: str, base: str) -> Derivation | None:
    old, new = base.split("."), text.split(".")
    if len(old) != 3 or not 2 <= len(new) <= 3 or not base.startswith("ey") or text == base:
        return None
    before, whole, after = text.partition(base)
    if whole:
        # The token as it stands, with something around it: a scheme, quotation marks.
        if max(len(before), len(after)) > _LITERAL:
            return None
        pieces = tuple(piece for piece in (before, (0, 3), after) if piece)
        return Derivation(digest_of(text), digest_of(base), pieces, parts=True)
    kept = [part == old[index] and bool(part) for index, part in enumerate(new)]
    spelled_out = any(
        part != old[index] and old[index] in part for index, part in enumerate(new) if old[index]
    )
    if spelled_out or not kept[1]:
        return None
    if len(new) == 3 and new[2] and not kept[2]:
        if not kept[0] and len(set(new[2])) > _CONSTANT and not _UNSIGNED.search(_decoded(new[0])):
            return None  # made for this very payload: over another one it is merely wrong
        if kept[0] and old[2].startswith(new[2]):
            # Cut off the end: how much is left depends on the payload, how much is gone does not.
            return Derivation(digest_of(text), digest_of(base), ((0, len(text) - len(base)),))
        if kept[0] and _bytes_of(new[2]) == _bytes_of(old[2]):
            return _inserted(text, base)
        if kept[0] and _agreement(new[2], old[2]) >= _COMMON:
            return None  # a part of the true signature is the attack
    return Derivation(digest_of(text), digest_of(base), _pieces(new, kept), parts=True)


def _assembled(text: str, base: str) -> Derivation | None:
    """A token whose parts stand in another frame (RFC 7515 §7.2), or with something behind them."""
    parts = base.split(".")
    if len(text) > 3 * len(base) or any(len(part) < _COMMON or part not in text for part in parts):
        return None
    pieces: list[str | tuple[int, int]] = []
    for piece in re.split("(" + "|".join(map(re.escape, sorted(parts, key=len, reverse=True))) + ")", text):
        if piece in parts:
            pieces.append((parts.index(piece), parts.index(piece) + 1))
        elif max(map(len, re.findall(r"[\w-]+", piece)), default=0) > _LITERAL:
            return None
        elif piece:
            pieces.append(piece)
    return Derivation(digest_of(text), digest_of(base), tuple(pieces), parts=True)


def _pieces(new: Sequence[str], kept: Sequence[bool]) -> tuple[str | tuple[int, int], ...]:
    written: list[str | tuple[int, int]] = []
    for index, part in enumerate(new):
        if index:
            written.append(".")
        written.append((index, index + 1) if kept[index] else part)
    return tuple(written)


def _bytes_of(signature: str) -> bytes:
    """What a forgiving reader decodes: either alphabet of Base64, without what belongs to neither."""
    return _decoded(re.sub(r"[^\w-]", "", signature.replace("+", "-").replace("/", "_"), flags=re.ASCII))


def _inserted(text: str, base: str) -> Derivation | None:
    """The same signature with something put into it; None where characters were exchanged for their likes.

    Which characters have likes differs from signature to signature.
    """
    head, tail = _agreement(text, base), _agreement(text[::-1], base[::-1])
    if head + tail < len(base) or len(text) - len(base) > _LITERAL or head == len(base):
        return None
    end = head - len(base)
    return Derivation(digest_of(text), digest_of(base), ((0, end), text[head : len(text) + end], (end, _END)))


def _by_range(text: str, base: str) -> Derivation | None:
    head = _agreement(text, base)
    tail = _agreement(text[::-1], base[::-1])
    tail = min(tail, len(text) - head, len(base) - head)
    middle = text[head : len(text) - tail]
    if head + tail < max(_COMMON, len(base) // 2) or len(middle) > _LITERAL:
        return None
    pieces = (((0, head),) if head else ()) + ((middle,) if middle else ())
    pieces += ((len(base) - tail, len(base)),) if tail else ()
    return Derivation(digest_of(text), digest_of(base), pieces)


def _borrows(recipe: Derivation, base: str, live: Sequence[str]) -> bool:
    """Whether a literal is cut from another live credential: in the next run that one is another."""
    cut = [piece for piece in recipe.pieces if isinstance(piece, str) and len(piece) >= _OF_SOMEBODY]
    return any(piece in other for piece in cut for other in live if other != base)


def _by_case(text: str, base: str) -> Derivation | None:
    """The whole of a credential with its letters in another case."""
    if len(text) != len(base) or text == base or text.lower() != base.lower():
        return None
    case = next((name for name in _CASES if getattr(base, name)() == text), None)
    return Derivation(digest_of(text), digest_of(base), ((0, len(base)),), case=case) if case else None


def _agreement(one: str, other: str) -> int:
    """How many characters the two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
