"""MIX101."""

from auth_conformance.sdk import ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX101",
    "every-declared-scheme-authenticates",
    title="Declared scheme that does not let its owner in",
    severity=Severity.MEDIUM,
    level=1,
    budget=60,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    references=(ASVS("6.3.4"), ASVS("6.1.3"), RFC(9110, "11.6"), CWE(303)),
)
async def unusable_scheme(probe: Probe) -> Verdict:
    """Each declared scheme must let its owner in, alone, in each declared place, at each operation.

    Why: a scheme that works at one router only shows that several dependencies check credentials, and each of
        them can be wrong in its own way.
    How: present A's bearer token, API key (header in three spellings, query), cookie and Basic pair one at a
        time to two protected operations and one mutation; a wrong one of each must be refused there.
    Fix: one dependency for all schemes, used everywhere, each part with `auto_error=False`:
        `async def principal(bearer=Depends(oauth2), key=Depends(api_key)) -> User`.
    """
    return await probe.must_take_each_scheme()
