"""CRD102."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD102",
    "login-injection-safe",
    title="Login runs what is typed",
    severity=Severity.CRITICAL,
    level=1,
    budget=200,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("1.2.4"),
        ASVS("1.2.6"),
        ASVS("2.2.1"),
        API(8),
        CWE(89),
        CWE(90),
        CWE(943),
        WSTG("INPV-05"),
    ),
)
async def injectable_login(probe: Probe) -> Verdict:
    """What is typed at login, registration and reset must reach the database as bound data only.

    Why: a name that ends the string of a statement logs in as anybody, and reads or deletes the rest of the
        database.
    How: type alternatives, comments, wildcards, filters and operators as names and passwords; a true and a
        false condition after a name that exists; slow and quick conditions for three engines, three times;
        and quotes at registration and as reset tokens. Somebody who gets in, a difference, a delay or an
        error in SQL counts.
    Fix: `select(User).where(User.email == email)` or `text('... WHERE email = :email')` with bound
        parameters; never an f-string. Compare passwords in Python, with the hasher, not in the statement.
    """
    return await probe.must_not_run_input()
