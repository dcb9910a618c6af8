"""ERR103."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR103",
    "status-401-403-404-meaningful",
    title="Refusal with a status that misleads",
    severity=Severity.MEDIUM,
    level=1,
    budget=30,
    needs=(Need.WITNESS, Need.TWO_USERS),
    impact=Impact.WRITES,
    references=(
        RFC(9110, "15.5.2"),
        RFC(9110, "15.5.4"),
        RFC(9110, "15.5.5"),
        RFC(6750, "3.1"),
        ASVS("16.5.1"),
        ASVS("8.3.1"),
        CWE(756),
        CWE(393),
        WSTG("ERRH-01"),
    ),
)
async def misleading_status(probe: Probe) -> Verdict:
    """Credentials that are missing or invalid must be answered 401, valid ones without the right 403 or 404.

    Why: a client that gets 403, 422 or 200 for a dead token never logs in again, and monitoring that counts
        401s does not see the attack.
    How: no credential, malformed and wrong ones of each kind, an expired token, an ended session, a deleted
        account, one that an administrator has disabled, a login of nobody, another user's object and an
        administrator's operation.
    Fix: `HTTPBearer(auto_error=False)` and your own 401 where FastAPI is older than 0.122; never declare a
        credential as `Header()` without a default, since that answers 422.
    """
    return await probe.must_mean_its_status()
