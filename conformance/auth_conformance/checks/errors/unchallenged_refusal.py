"""ERR101."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR101",
    "challenge-present-and-wellformed",
    title="401 without a well-formed WWW-Authenticate",
    severity=Severity.MEDIUM,
    level=1,
    budget=30,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    exclusive=True,  # it looks at every 401 that the other checks have provoked
    references=(
        RFC(9110, "11.6.1"),
        RFC(9110, "15.5.2"),
        ASVS("4.1.1"),
        ASVS("16.5.1"),
        CWE(756),
        WSTG("ERRH-01"),
    ),
)
async def unchallenged_refusal(probe: Probe) -> Verdict:
    """Each 401 must carry `WWW-Authenticate` with at least one challenge that follows the grammar.

    Why: clients and browsers learn from it which credential is wanted; without it 401 is a dead end, and a
        challenge that the caller can write into is a way to speak in the service's name.
    How: collect the 401s of the whole run and provoke more (no credential, wrong ones of each kind, a wrong
        login, an expired token), parse each line by RFC 9110, and send a value that ends a quoted string.
    Fix: `raise HTTPException(401, detail=..., headers={"WWW-Authenticate": "Bearer"})` in each place that
        raises 401, best in one exception handler for all of them.
    """
    return await probe.must_challenge()
