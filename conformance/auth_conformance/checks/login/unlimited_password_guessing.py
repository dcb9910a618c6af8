"""CRD112."""

from auth_conformance.sdk import API, ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD112",
    "brute-force-throttled",
    title="Password guessing without limit",
    severity=Severity.HIGH,
    level=1,
    budget=800,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.3.1"),
        ASVS("6.1.1"),
        ASVS("6.6.3"),
        ASVS("2.4.1"),
        NIST("3.2.2"),
        API(2),
        API(4),
        CWE(307),
        WSTG("ATHN-03"),
    ),
    masks=("CRD113", "CRD114"),
)
async def unlimited_password_guessing(probe: Probe) -> Verdict:
    """Wrong passwords for one account must be slowed or blocked well before a hundred of them.

    Why: people choose passwords that stand in the first hundred of a list, and nobody notices the tries.
    How: register an account and send wrong passwords, four at a time, at each login operation, until the
        service answers 429, 423 or 503, answers otherwise and refuses the right password too, or becomes four
        times slower; at most one and a half times `throttle_limit`. Then try the right password. A limit that
        lets through who asks once a second, or that requests of any kind meet as well, is not taken for one. Thirty
        wrong reset and verification tokens, codes of a login or an authenticator, and current passwords follow; a
        short code that is still taken after them has no limit.
    Fix: count attempts per account before looking at the password, in a store that all workers share, for
        example with `limits`: `await limiter.hit(parse("10/15 minutes"), "login", email)`, else raise 429.
        Count codes of a second step likewise: `"code", user.id`.
    """
    return await probe.must_throttle_everything()
