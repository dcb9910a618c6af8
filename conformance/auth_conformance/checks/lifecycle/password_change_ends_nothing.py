"""LIF106."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF106",
    "password-change-ends-other-sessions",
    title="Other logins outlive a new password",
    severity=Severity.MEDIUM,
    level=2,
    budget=120,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN, Need.EXPENDABLE),
    references=(ASVS("7.4.3"), ASVS("7.2.4"), API(2), CWE(613), CWE(620), WSTG("SESS-06")),
)
async def password_change_ends_nothing(probe: Probe) -> Verdict:
    """After a new password the old one must be dead, and other logins must end, or be offered to end.

    Why: people change a password because somebody else may know it. Who is logged in with it stays logged in, and
        nothing that the owner can do helps.
    How: an expendable account is logged in by each way on other devices, changes its password on one, and the old
        password and what the others hold are presented again. Another account resets its password by mail likewise.
        The new password must work. After a change an operation that ends other logins is enough; after a reset it
        is not. API keys that go on are noted, and so are logins that go on after a change of the e-mail address; where
        that is the name to log in with, the old one must be dead.
    Fix: end the sessions in the transaction that sets the password:
        `await sessions.end_all(user.id, keep=current)`, and renew the current one.
    """
    return await probe.must_end_others()
