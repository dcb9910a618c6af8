"""SRC104."""

from auth_conformance.sdk import ASVS, CWE, Depth, Inconclusive, Need, Passed, Probe, Severity, Verdict, check


@check(
    "SRC104",
    "password-and-key-hashing-calls",
    title="Passwords or keys are hashed weakly, or not at all",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("11.4.1"), ASVS("11.4.2"), ASVS("6.5.2"), CWE(916), CWE(328), CWE(327)),
)
async def weak_hashing_call(probe: Probe) -> Verdict:
    """Passwords must go through a password hash, API keys through SHA-256 or stronger, nothing through MD5 or SHA-1.

    Why: a stolen table of fast hashes of passwords is a table of passwords within days.
    How: follow what is named a password into hashlib, HMAC, bcrypt, PBKDF2 and passlib, into the tables of the
        ORM, and read the costs; SHA-256 of a random key is right, of a password it is wrong. Bandit's B303 and
        B324 are included.
    Fix: `PasswordHash.recommended().hash(password)` from pwdlib (Argon2id). With bcrypt, bound the password at
        72 bytes or hash it with SHA-256 first.
    """
    found = await probe.scanned()
    verdict = await probe.must_hold_in_source(
        "Passwords go through a password hash, and nothing through a broken one"
    )
    if isinstance(verdict, Passed) and found.passwords and not found.hashes:
        return Inconclusive("The source handles passwords, and no known password hash is called in it.")
    return verdict
