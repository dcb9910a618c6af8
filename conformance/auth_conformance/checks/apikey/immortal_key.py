"""KEY111."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    Depth,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "KEY111",
    "api-key-expiry-enforced",
    title="API key accepted after its end",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    impact=Impact.WRITES,
    budget=90,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT),
    references=(ASVS("13.3.4"), ASVS("7.4.1"), CWE(613), CWE(324), API(2)),
    exclusive=True,
)
async def immortal_key(probe: Probe) -> Verdict:
    """An API key with an end must stop working there, in whatever notation the end was given.

    Why: keys live in scripts and build logs of people who have left; the end date is what limits them, and
        an owner who set one relies on it.
    How: make a key that ends soon and one that does not; move the clock of an application in this process
        past the end, move the stored end where a database is known and the clock does not decide, or wait; the
        first is refused and the second gets in. Ends in the past, negative, null,
        in the year 9999, with the offset +14:00 and without a zone are asked for, too.
    Fix: take `expires_at: AwareDatetime | None`, store UTC, and compare on every request:
        `if key.expires_at is not None and key.expires_at <= datetime.now(UTC): raise invalid_key()`.
    """
    return await probe.keys_must_end()
