"""CRD108."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD108",
    "password-change-needs-current",
    title="Password changed without the current one",
    severity=Severity.HIGH,
    level=1,
    budget=220,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.2.2"),
        ASVS("6.2.3"),
        ASVS("7.5.1"),
        ASVS("6.4.6"),
        CWE(620),
        API(2),
        WSTG("ATHN-09"),
    ),
)
async def change_without_current_password(probe: Probe) -> Verdict:
    """A password change must demand the current password, and must change the caller's own only.

    Why: with a stolen session or an open browser, a change that asks for nothing turns minutes of access into
        ownership of the account.
    How: as fresh accounts, try to change the password with the current one missing, empty, null, wrong, or
        equal to the new one; with an API key or a refresh token; by an update of the profile, or of the account
        by its id; and for another account. What counts is which password logs in afterwards. The honest change
        must work.
    Fix: one operation for it: `current_password` is required in the model and verified like a login,
        `new_password` is set on `principal.user` and on nobody whom the body names; profile models have
        `extra="forbid"` and no password.
    """
    return await probe.must_ask_for_current()
