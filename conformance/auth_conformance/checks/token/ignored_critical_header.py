"""TOK121."""

from collections.abc import Iterator

from auth_conformance.credentials import compact_json
from auth_conformance.probe.minting import Forge
from auth_conformance.sdk import (
    ASVS,
    CVE,
    CWE,
    RFC,
    Attempt,
    Credential,
    Depth,
    Need,
    Passed,
    Probe,
    Severity,
    Verdict,
    b64url,
    check,
)


@check(
    "TOK121",
    "critical-header-extensions-honoured",
    title="Token with a critical extension that nobody understands accepted",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    budget=40,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.1"),
        RFC(7515, "4.1.11"),
        RFC(7515, "5.2"),
        RFC(7797, "6"),
        CVE("2026-32597"),
        CWE(358),
    ),
)
async def ignored_critical_header(probe: Probe) -> Verdict:
    """A token whose `crit` names something that the service does not implement must be refused.

    Why: `crit` says: whoever does not understand this must not trust this token. A verifier that ignores it
        trusts tokens that were bound to something else, and with `b64` reads another text than was signed.
    How: with the true key sign the caller's claims under headers whose `crit` names an unknown extension, a
        claim, a registered member, or is no list; and with `b64: false`, over the encoded and the raw text.
    Fix: use a library that refuses it (PyJWT 2.12 and later), or do: `if "crit" in header: raise invalid_token()`.
    """
    forge = await probe.forge()
    claims = probe.fresh_claims(forge)
    attempts = [Attempt(f"a signed token with {label}", forged) for label, forged in _critical(forge, claims)]
    verdict = await probe.must_refuse(attempts, credential=forge.live, controls=(await probe.honest(),))
    if not isinstance(verdict, Passed):
        return verdict
    baseline = await probe.baseline(probe.witness, forge.live)
    notes = list(verdict.notes)
    for label, empty in (("an empty list", []), ("an empty object", {})):
        forged = forge.credential(claims, {**forge.token.header, "crit": empty})
        attempt = Attempt(f"a signed token whose crit is {label}", forged, core=False)
        if (await probe.attempt(probe.witness, attempt, baseline)).accepted:
            notes.append(f"crit as {label} is accepted, which RFC 7515 §4.1.11 forbids to write")
    return Passed(verdict.reason, tuple(probe.evidence), tuple(notes))


def _critical(forge: Forge, claims: dict[str, object]) -> Iterator[tuple[str, Credential]]:
    def headed(**members: object) -> Credential:
        return forge.credential(claims, {**forge.token.header, **members})

    yield "an unknown critical member", headed(**{"crit": ["x-unknown"], "x-unknown": True})
    yield "an unknown critical member that is missing", headed(crit=["x-unknown"])
    yield "a claim as critical member", headed(crit=["exp"])
    yield "alg as critical member", headed(crit=["alg"])
    yield "a text as crit", headed(crit="x-unknown")
    yield "a number in crit", headed(crit=[1])
    yield "b64 false and critical, its payload encoded all the same", headed(crit=["b64"], b64=False)
    yield "b64 false, not critical, its payload encoded all the same", headed(b64=False)
    yield "b64 false and critical, its payload as it is", _raw_payload(forge, claims, crit=["b64"], b64=False)


def _raw_payload(forge: Forge, claims: dict[str, object], **members: object) -> Credential:
    """An unencoded payload (RFC 7797 §5.2): it must not hold a dot, so that JSON escapes stand for dots."""
    header = b64url(compact_json({**forge.token.header, **members}).encode())
    payload = compact_json(claims).replace(".", "\\u002e")
    signature = forge.key.sign(f"{header}.{payload}".encode(), forge.token.algorithm)
    return forge.live.with_value(f"{header}.{payload}.{b64url(signature)}")
