"""CRD110."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD110",
    "login-no-enumeration-by-timing",
    title="Login takes longer for names that exist",
    severity=Severity.MEDIUM,
    level=3,
    budget=520,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.3.8"),
        ASVS("11.2.4"),
        CWE(208),
        CWE(203),
        WSTG("IDNT-04"),
    ),
)
async def slower_for_known_names(probe: Probe) -> Verdict:
    """Refusing an unknown name must cost as much as refusing a known one.

    Why: hashing a password takes tens of milliseconds; a login that skips it for unknown names tells
        everybody with a stopwatch who has an account.
    How: in process, count the password hashes and their cost for a known and an unknown name. Elsewhere, time
        pairs of both in random order, 30 to 90, beside pairs of unknown names: the 99.9 % interval of the
        median difference must lie within 10 % (or 3 ms); a difference below a factor of 1.5 is never held
        against the service.
    Fix: verify against a dummy hash of the same cost when there is no such user: `hasher.verify(password,
        user.password_hash if user else DUMMY_HASH)`, and decide afterwards.
    """
    return await probe.must_take_the_same_time()
