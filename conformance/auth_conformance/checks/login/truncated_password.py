"""CRD104."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD104",
    "long-passwords-not-truncated",
    title="Long password cut short",
    severity=Severity.HIGH,
    level=1,
    budget=160,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.REGISTER),
    references=(
        ASVS("6.2.8"),
        ASVS("6.2.9"),
        NIST("3.1.1.2"),
        CWE(916),
        CWE(222),
        WSTG("ATHN-07"),
    ),
)
async def truncated_password(probe: Probe) -> Verdict:
    """Every character of a password must count; no beginning of it may be enough.

    Why: bcrypt looks at 72 bytes only and home-made columns at fewer: a long passphrase is then weaker than
        its owner believes, and with accents it ends at 36 letters.
    How: register the longest random password that is taken, and log in with its first 8 to 256 characters,
        alone and with another tail; the same in bytes, with accents; and with a pair whose digests agree up
        to a NUL.
    Fix: use argon2 (`pwdlib`, `argon2-cffi`), or refuse more than 72 bytes with 422, or hash with SHA-256 and
        base64 before bcrypt. Never slice: `password.encode()[:72]`.
    """
    return await probe.must_use_whole_passwords()
