"""CRD119."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD119",
    "no-default-accounts",
    title="Factory account logs in",
    severity=Severity.CRITICAL,
    level=1,
    budget=100,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN,),
    references=(
        ASVS("6.3.2"),
        ASVS("13.2.3"),
        CWE(1392),
        CWE(798),
        API(8),
        WSTG("ATHN-02"),
    ),
)
async def default_account(probe: Probe) -> Verdict:
    """No account that templates and tutorials come with must exist.

    Why: the names and passwords of first users stand in the documentation of every framework, and scanners
        try them within minutes of the first deployment.
    How: try twenty published pairs of name and password once each, between logins that work, and those that stand
        together in `.env.example` or its like, where the source is known. Where the database is known, the stored
        hashes of accounts that are not ours are compared with their passwords.
    Fix: seed no `User(...)` in code or migrations; create the first administrator from environment variables that
        have no default, and refuse to start without them.
    """
    return await probe.must_have_no_default_accounts()
