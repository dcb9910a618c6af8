"""TOK116."""

from collections.abc import Iterator
from typing import Any

from auth_conformance.probe.keyforms import certificate_text, private_jwk, public_jwk
from auth_conformance.sdk import (
    ASVS,
    CVE,
    CWE,
    RFC,
    Attempt,
    Jwt,
    Need,
    Probe,
    Severity,
    SigningKey,
    Verdict,
    attacker_keys,
    b64url,
    check,
)


@check(
    "TOK116",
    "embedded-key-headers-ignored",
    title="Token accepted under a key that it brought along",
    severity=Severity.CRITICAL,
    level=1,
    budget=60,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.3"),
        RFC(7515, "4.1.3"),
        RFC(7515, "4.1.6"),
        RFC(8725, "2.9"),
        RFC(8725, "3.10"),
        CVE("2018-0114"),
        CVE("2026-27962"),
        CWE(347),
    ),
)
async def embedded_key(probe: Probe) -> Verdict:
    """Keys that travel inside a token must never verify it.

    Why: `jwk` and `x5c` in the header are written by whoever wrote the token; a library that uses them
        proves only that the forger owns the forger's key.
    How: sign a live token's claims with fresh RSA, P-256, Ed25519 and symmetric keys, and embed the key as
        `jwk` (public, private, under the service's `kid`, beside `jku`) and as certificate chain. The same
        signatures without the key are the control.
    Fix: choose the key from your own settings: `jwt.decode(token, KEYS[kid], algorithms=["ES256"])`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    keys = _keys(token)
    for key in keys.values():
        probe.scene.recorder.redactor.learn_own(key.secret.reveal())
    bare = [
        Attempt(
            f"control: a token under a key of the attacker ({name})",
            live.with_value(_signed(token, key).text),
        )
        for name, key in keys.items()
    ]
    attempts = [
        Attempt(f"a token with {label}", live.with_value(forged.text))
        for name, key in keys.items()
        for label, forged in (*_jwks(token, name, key), *_chains(probe, token, name, key))
    ]
    return await probe.must_refuse(attempts, credential=live, must_hold=bare)


def _keys(token: Jwt) -> dict[str, SigningKey]:
    """Keys of every family; those of the family that the service uses sign under the service's algorithm."""
    keys = attacker_keys()
    name = token.algorithm
    family = {"HS": "HS256", "RS": "RS256", "PS": "RS256"}.get(name[:2])
    if family is not None and name != family:
        key = keys.pop(family)
        keys[name] = SigningKey(name, key.secret, source=key.source)
    return keys


def _signed(token: Jwt, key: SigningKey, **header: object) -> Jwt:
    return token.with_header(alg=key.algorithm, **header).signed(key)


def _jwks(token: Jwt, name: str, key: SigningKey) -> Iterator[tuple[str, Jwt]]:
    own_id = {"kid": token.header["kid"]} if "kid" in token.header else {}
    if key.symmetric:
        secret: dict[str, Any] = {"kty": "oct", "k": b64url(key.secret.reveal().encode()), "alg": name}
        yield f"its own symmetric key as jwk ({name})", _signed(token, key, jwk=secret)
        yield (
            f"its own symmetric key as jwk ({name}, no kid)",
            _signed(token.without_header("kid"), key, jwk=secret),
        )
        return
    public = public_jwk(key) or {}
    yield f"its own public key as jwk ({name})", _signed(token, key, jwk=public)
    full = {**public, **own_id, "alg": name, "use": "sig"}
    yield f"its own public key as jwk, with alg and the service's kid ({name})", _signed(token, key, jwk=full)
    if name == token.algorithm or name in {"RS256", "ES256"}:
        yield f"its own private key as jwk ({name})", _signed(token, key, jwk=private_jwk(key))
        yield (
            f"its own public key as jwk, and no kid ({name})",
            _signed(token.without_header("kid"), key, jwk=public),
        )
        # Reserved by RFC 2606: whoever looks it up finds nothing.
        address = "https://keys.invalid/jwks.json"
        yield f"its own public key as jwk, and a jku ({name})", _signed(token, key, jwk=public, jku=address)


def _chains(probe: Probe, token: Jwt, name: str, key: SigningKey) -> Iterator[tuple[str, Jwt]]:
    if name not in {"ES256", "RS256", token.algorithm} or key.symmetric:
        return
    own = certificate_text(key, str(token.claims.get("iss") or probe.target.title or "service"))
    if own is None:
        return
    yield f"its own certificate as x5c ({name})", _signed(token, key, x5c=[own])
    served = next((jwk["x5c"] for jwk in probe.target.public_keys if jwk.get("x5c")), None)
    if isinstance(served, list):
        yield (
            f"a certificate chain of its own and the service's ({name})",
            _signed(token, key, x5c=[own, *served]),
        )
