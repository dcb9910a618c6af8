"""LIF105."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF105",
    "role-change-takes-effect",
    title="Role taken away lives on in issued credentials",
    severity=Severity.HIGH,
    level=3,
    budget=70,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN, Need.EXPENDABLE, Need.ADMIN, Need.USER_MANAGEMENT),
    references=(ASVS("8.3.2"), ASVS("8.2.1"), API(5), CWE(613), CWE(863), WSTG("ATHZ-03")),
)
async def stale_role(probe: Probe) -> Verdict:
    """Taking a right away must work for credentials that have been issued already.

    Why: a role that stands in the token is the role of the day it was issued; the administrator who was
        dismissed goes on until it expires, and a refresh may copy it into the next one.
    How: an expendable account is promoted, logs in by each way and creates a key; each opens an operation that
        ordinary users are refused. The account is demoted. Each credential asks again, at once and later, and
        so does what its refresh token gives. The effect decides, not what the token says.
    Fix: take rights from the database at each request, and let the token only narrow them:
        `claims.scopes & ROLE_SCOPES[user.role]`.
    """
    return await probe.must_follow_role()
