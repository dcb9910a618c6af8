"""SRC105."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC105",
    "secret-comparison-constant-time",
    title="A secret is compared character by character",
    severity=Severity.MEDIUM,
    level=3,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("11.2.4"), CWE(208), CWE(1254)),
)
async def leaky_comparison(probe: Probe) -> Verdict:
    """Secrets and MACs must be compared with `hmac.compare_digest`.

    Why: `==` stops at the first difference, and the time that it takes tells how far a guess was right.
    How: find `==`, `!=` and `in` between something that is named a token, key, password, digest or signature
        and something that is no constant; conditions for the database, second entries of a password and two
        values of one request are left out. The digest of a token or key, made without a key, is a low finding.
    Fix: `hmac.compare_digest(presented.encode(), expected.encode())`; or look the value up by its SHA-256.
    """
    return await probe.must_hold_in_source("No secret is compared character by character")
