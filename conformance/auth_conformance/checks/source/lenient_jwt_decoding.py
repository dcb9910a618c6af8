"""SRC103."""

from auth_conformance.sdk import ASVS, CWE, RFC, Depth, Missing, Need, Probe, Severity, Verdict, check
from auth_conformance.source.rules.tokens import LIBRARIES


@check(
    "SRC103",
    "jwt-verification-calls-strict",
    title="A JWT is decoded without strict verification",
    severity=Severity.CRITICAL,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("9.1.1"), ASVS("9.1.2"), ASVS("9.2.1"), ASVS("9.2.3"), RFC(8725, "3.1"), CWE(347)),
)
async def lenient_jwt_decoding(probe: Probe) -> Verdict:
    """Every call that decodes a JWT must fix the algorithms, verify the signature and require an expiry.

    Why: a token may name its own algorithm and bring its own key; the library does what the call allows.
    How: resolve every decoding call of PyJWT, python-jose, Authlib and joserfc with its options, follow names
        and constants, and see whether the algorithms, the signature, the key and the claims are left to the
        token. A first look that only chooses a key is fine where a verified decode follows.
    Fix: `jwt.decode(token, key, algorithms=["HS256"], options={"require": ["exp"]})`; choose the key by `kid`
        from your own table, never by what else stands in the header.
    """
    found = await probe.scanned()
    if not found.tree.imported() & LIBRARIES:
        raise Missing("Not applicable: the source imports no JWT library.", applicable=False)
    return await probe.must_hold_in_source(
        "Every decoding call fixes the algorithms, verifies, and requires an expiry"
    )
