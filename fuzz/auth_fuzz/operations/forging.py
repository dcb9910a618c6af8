"""Wrong credentials to send at every operation: made from live ones, each with the words that report it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from auth_conformance.credentials import Credential, Jwt, Kind, b64url
from auth_conformance.model import Severity
from auth_fuzz.spelling import alike


@dataclass(frozen=True, slots=True)
class Forgery:
    """A credential that must be refused. `odd` ones are malformed: for them a crash counts, too.

    `severity` is that of its acceptance, where that is slighter than the rule says.
    """

    label: str
    credential: Credential
    odd: bool = False
    severity: Severity | None = None


def forgeries(credential: Credential, rng: random.Random, other: Credential | None = None) -> list[Forgery]:
    """Wrong credentials that follow from a live one; `other` is a live one of somebody else."""
    kind, text = credential.carrier.kind.value, credential.value.reveal()
    token = credential.jwt
    found = _tokens(credential, token, other) if token is not None else _opaque(credential, rng)
    odd = {
        f"an empty {kind} credential": "",
        f"a {kind} credential of one letter": "x",
        f"a {kind} credential of 5000 letters": "A" * 5000,
        f"a {kind} credential with a percent-encoded NUL": f"%00{text[:8]}",
        f"a {kind} credential in letters beyond ASCII": "ключ-é-鍵",
        f"a {kind} credential of dots": "...",
        f"a {kind} credential of blanks and quotes": '" \'"',
        f"half of a {kind} credential": text[: len(text) // 2],
    }
    if credential.carrier.kind is Kind.BEARER:
        odd |= {
            "a token whose header is a JSON list": _written(b"[]", b"{}"),
            "a token whose header is no JSON": _written(b"{", b"{}"),
            "a token whose payload is no UTF-8": _written(b'{"alg":"HS256"}', bytes([255, 254])),
            "a token whose alg is a list": _written(b'{"alg":["none"]}', b'{"sub":{}}'),
            "a token with a deep header": _written(b"[" * 1200, b"{}"),
        }
    return found + [
        Forgery(label, credential.with_value(value), odd=True)
        for label, value in odd.items()
        if value != text
    ]


def _written(header: bytes, payload: bytes) -> str:
    return f"{b64url(header)}.{b64url(payload)}.AAAA"


def _tokens(credential: Credential, token: Jwt, other: Credential | None) -> list[Forgery]:
    found = {
        "a token with one bit of its signature flipped": token.with_flipped_signature(),
        "a token without its signature": token.unsigned(),
        'an unsigned token (alg "none")': token.with_header(alg="none").unsigned(),
        'an unsigned token (alg "nOnE")': token.with_header(alg="nOnE").unsigned(),
        "a token with a changed claim": token.with_claims(scope="admin", role="admin", admin=True),
        "a token with a later end": token.with_claims(exp=4_102_444_800),
    }
    others = other.jwt if other is not None else None
    if others is not None:
        found["a token with another user's subject"] = token.with_claims(
            **{key: others.claims[key] for key in ("sub", "user_id", "uid", "sid") if key in others.claims}
        )
        found["a token with another user's signature"] = replace(token, signature_text=others.signature_text)
    return [
        Forgery(label, credential.with_value(made.text))
        for label, made in found.items()
        if made.text != token.text
    ]


def _opaque(credential: Credential, rng: random.Random) -> list[Forgery]:
    text, kind = credential.value.reveal(), credential.carrier.kind.value
    place = rng.randrange(len(text)) if text else 0
    letter = "b" if text[place : place + 1] in ("a", "A") else "a"
    found = {
        f"a {kind} credential with one character changed": text[:place] + letter + text[place + 1 :],
        f"a {kind} credential without its last character": text[:-1],
        f"a {kind} credential with a character more": text + "a",
        f"a {kind} credential in capitals": text.upper(),
        f"a {kind} credential with small and capital letters of its second half exchanged": (
            text[: len(text) // 2] + text[len(text) // 2 :].swapcase()
        ),
    }
    # Who reads letters of either case alike has keys that are no easier to guess.
    return [
        Forgery(label, credential.with_value(value), severity=Severity.MEDIUM if alike(value, text) else None)
        for label, value in found.items()
        if value != text
    ]
