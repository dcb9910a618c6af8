"""KEY109."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "KEY109",
    "stored-value-is-not-a-credential",
    title="Stored value that gets in",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.GREY,
    impact=Impact.WRITES,
    budget=160,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(ASVS("11.4.2"), ASVS("13.3.1"), CWE(836), CWE(257), API(2)),
)
async def usable_stored_value(probe: Probe) -> Verdict:
    """What lies in the database must not work as a credential.

    Why: keys are hashed so that a reader of the database cannot use them. A look-up that takes the digest itself,
        kept for an old migration, gives that back to everybody with a backup.
    How: log in, create a key, ask for a reset, and read the rows of this account; then present every value in them
        as key, token and cookie, behind the prefix of a key and in base64, and the digests as refresh token,
        password and reset token. Without the database, the digests that most services would store.
    Fix: hash what was presented, always, and compare digests only:
        `where(ApiKey.key_digest == sha256(presented))`, without `or_(ApiKey.key_digest == presented)`.
    """
    return await probe.must_not_take_what_is_stored()
