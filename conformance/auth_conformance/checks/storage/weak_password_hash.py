"""STO102."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "STO102",
    "password-hash-strong-and-salted",
    title="Passwords are hashed weakly or with a shared salt",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.GREY,
    impact=Impact.DISRUPTS,
    budget=16,
    needs=(Need.REGISTER, Need.DATABASE),
    references=(ASVS("11.4.2"), NIST("3.1.1.2"), CWE(916), CWE(759), CWE(760), CWE(328), WSTG("CRYP-04")),
)
async def weak_password_hash(probe: Probe) -> Verdict:
    """Passwords must be hashed with Argon2id, scrypt, bcrypt or PBKDF2, at current costs, each with its own salt.

    Why: the costs decide whether a stolen table is tried in days or in centuries, a shared salt whether all at
        once.
    How: register two accounts with one password, read their hashes, compute one again (of the password, or of a
        digest of it; where a secret is mixed in, this is left open), compare salts over all rows, and hold the costs
        against appendix C of ASVS. Tests often run with low costs: `test_hashing = true` in `[policy]` says so, and
        then only the costs are not judged.
    Fix: `PasswordHash.recommended()` of pwdlib; renew old hashes at login with `verify_and_update`.
    """
    return await probe.must_hash_passwords()
