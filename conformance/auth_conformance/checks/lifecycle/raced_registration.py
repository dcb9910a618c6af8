"""LIF110."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF110",
    "registration-race-single-account",
    title="Simultaneous registrations make several accounts of one name",
    severity=Severity.MEDIUM,
    level=2,
    budget=180,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.REGISTER),
    references=(
        ASVS("15.4.2"),
        ASVS("2.3.3"),
        ASVS("2.3.4"),
        CWE(362),
        CWE(367),
        WSTG("IDNT-02"),
        WSTG("BUSL-07"),
    ),
)
async def raced_registration(probe: Probe) -> Verdict:
    """Simultaneous registrations of one name must make one account.

    Why: a look-up before the insert finds nobody, twice; then two people own one name, and whichever row a query
        returns first is logged in.
    How: ten registrations of one name, with different passwords and in two spellings, are released together, in five
        rounds. More than one password that logs in is the proof. How many were in work at the same moment is
        measured; without overlap there was no race. Losers that crash are a lesser finding.
        Where the database is given, the rows of each name are counted, and a table of accounts that nothing keeps
        from holding a name twice is a lesser finding, too.
    Fix: a unique constraint on the normalised name, `mapped_column(unique=True)`, and an answer to the
        `IntegrityError` that it raises.
    """
    return await probe.must_register_once()
