"""TOK113."""

import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from auth_conformance.probe.keyforms import public_jwk, serialisations
from auth_conformance.sdk import (
    ASVS,
    CVE,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Jwt,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    check,
)

HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
# Of keys that did not sign the token only the forms that applications hold most often are tried.
USUAL = ("PEM with its final newline", "PEM without final newline", "DER", "JWK as it is served")


@check(
    "TOK113",
    "public-key-not-usable-as-hmac-secret",
    title="Token accepted whose HMAC secret is the public key",
    severity=Severity.CRITICAL,
    level=1,
    budget=170,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.2"),
        RFC(8725, "2.1"),
        RFC(8725, "3.1"),
        CVE("2016-10555"),
        CVE("2022-29217"),
        CVE("2024-33663"),
        CWE(347),
        WSTG("SESS-10"),
    ),
)
async def public_key_as_secret(probe: Probe) -> Verdict:
    """A token whose HMAC was made with the service's public key as secret must be refused.

    Why: the public key is public. A verifier that lets the token's `alg` choose between RSA and HMAC, with
        one `key` for both, lets anybody sign as anybody.
    How: take the published key, that of the issuer (`key_set`), or an RSA key computed from two tokens, in
        every serialisation that an application may hold (PEM, DER, certificate, OpenSSH, JWK, raw), and MAC a
        live token's payload with each under HS256, HS384 and HS512.
    Fix: name the one algorithm that you sign with: `jwt.decode(token, key, algorithms=["ES256"])`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    keys = await _keys(probe, token)
    forms = serialisations(keys[0], probe.target.public_keys)
    attempts = [
        Attempt(f"a token MAC'd ({name}) with the public key as {form}", live.with_value(text))
        for form, secret in forms.items()
        for name, text in _macs(token, secret)
    ]
    for secret in forms.values():
        probe.scene.recorder.redactor.learn_own(secret.decode("utf-8", "surrogateescape"))
    for number, other in enumerate(keys[1:5], 2):
        usual = {form: secret for form, secret in serialisations(other).items() if form in USUAL}
        attempts += [
            Attempt(f"a token MAC'd (HS256) with public key {number} as {form}", live.with_value(text))
            for form, secret in usual.items()
            for name, text in _macs(token, secret)
            if name == "HS256"
        ]
    random = next(text for _, text in _macs(token, probe.rng.randbytes(32)))
    control = Attempt("control: a token MAC'd with a random secret", live.with_value(random))
    return await probe.must_refuse(attempts, credential=live, must_hold=(control,))


def _macs(token: Jwt, secret: bytes) -> Iterator[tuple[str, str]]:
    for name, digest in HASHES.items():
        forged = token.with_header(alg=name)
        yield name, forged.with_signature(hmac.digest(secret, forged.signing_input, digest)).text


async def _keys(probe: Probe, token: Jwt) -> list[Mapping[str, Any]]:
    """The public keys, the one that verifies this token first. Raises Missing or Unclear."""
    known = [key for key in probe.target.public_keys if key.get("kty") in {"RSA", "EC", "OKP"}]
    if not known:
        known = [jwk for key in probe.target.signing_keys if key.verifies(token) and (jwk := public_jwk(key))]
    if not known and token.algorithm.startswith("HS"):
        raise Missing(
            f"Not applicable: tokens are signed with {token.algorithm}, and no key set is published.",
            applicable=False,
        )
    if not known and (recovered := await probe.recovered_key()) is not None:
        known = [recovered]
        probe.notes.append("the public key is not published: it was computed from two tokens")
    if not known:
        raise Unclear(
            f"Tokens are signed with {token.algorithm}, but no public key is published where it was looked for.",
            probe.target.remedies.get(Need.PUBLIC_KEY, ""),
        )
    return sorted(known, key=lambda key: key.get("kid") != token.header.get("kid"))
