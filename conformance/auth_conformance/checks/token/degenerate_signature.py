"""TOK119."""

from cryptography.hazmat.primitives.asymmetric import rsa

from auth_conformance.probe.keyforms import public_jwk, public_key
from auth_conformance.probe.signatures import degenerate
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
    Unclear,
    Verdict,
    check,
)


@check(
    "TOK119",
    "degenerate-signatures-rejected",
    title="Trivial or wrongly encoded signature accepted",
    severity=Severity.CRITICAL,
    level=1,
    budget=40,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.1"),
        ASVS("11.6.1"),
        RFC(7518, "3.2"),
        RFC(7518, "3.3"),
        RFC(7518, "3.4"),
        RFC(8032, "5.1.7"),
        RFC(8725, "3.3"),
        RFC(8725, "3.4"),
        CVE("2022-21449"),
        CVE("2020-28042"),
        CWE(347),
    ),
)
async def degenerate_signature(probe: Probe) -> Verdict:
    """Signatures that are trivial, out of range, cut or wrongly encoded must not verify.

    Why: a verifier that compares only as many bytes as it was given, or skips the range check of ECDSA, takes
        a signature that anybody can write without any key: zeros fit every message.
    How: leave a live token's content alone and replace its signature by the degenerate ones of its algorithm:
        cut and zero MACs; zero, one and the curve's order for ECDSA, and its valid signature in DER; 0, 1,
        n-1, n and s+n for RSA; points of small order for EdDSA.
    Fix: do not verify by hand: `jwt.decode(token, key, algorithms=["ES256"])`; compare MACs in full with
        `hmac.compare_digest`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    modulus = await _modulus(probe, token)
    forged = degenerate(token, modulus)
    if not forged:
        raise Unclear(
            f"No degenerate signatures are known for tokens signed with {token.algorithm or 'nothing'}."
        )
    if token.algorithm[:2] in ("RS", "PS") and modulus is None:
        probe.notes.append("n-1, n and s+n were not sent: no public key is published")
    return await probe.must_refuse(
        [
            Attempt(
                f"a token with a degenerate signature ({label})",
                live.with_value(token.with_signature(value).text),
            )
            for label, value in forged.items()
        ],
        credential=live,
    )


async def _modulus(probe: Probe, token: Jwt) -> int | None:
    """The modulus of the RSA key that signed the token, where it is published, ours to know, or computed."""
    if token.algorithm[:2] not in ("RS", "PS"):
        return None
    known = [dict(jwk) for jwk in probe.target.public_keys if jwk.get("kid") == token.header.get("kid")]
    known += [jwk for key in probe.target.signing_keys if key.verifies(token) and (jwk := public_jwk(key))]
    if not known and (recovered := await probe.recovered_key()) is not None:
        known = [recovered]
    for jwk in known:
        key = public_key(jwk)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size // 8 == len(token.signature):
            return key.public_numbers().n
    return None
