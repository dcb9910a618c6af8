"""CRD113."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD113",
    "throttle-not-bypassable",
    title="Login limit evaded",
    severity=Severity.HIGH,
    level=2,
    budget=300,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("4.1.3"),
        ASVS("15.3.4"),
        ASVS("6.3.1"),
        CWE(307),
        CWE(290),
        CWE(799),
        CWE(348),
        API(4),
        WSTG("ATHN-03"),
    ),
)
async def evadable_limit(probe: Probe) -> Verdict:
    """The limit for wrong passwords must not depend on what the client can vary.

    Why: a limit that counts by X-Forwarded-For or by the spelling of the name stops only those who do not try
        to get around it.
    How: run into the limit with one account; then try a wrong password with each header that names an
        address, another agent, connection, query, path spelling, encoding, login and spelling of the name
        (proved to be the same account), and see that without the variation the limit still holds. Then a
        burst of simultaneous tries.
    Fix: count by the canonical name of the account, before the password is looked at, in one atomic
        statement; take the client's address from `request.client`, with uvicorn's `--forwarded-allow-ips` set
        to your proxy only.
    """
    return await probe.must_not_be_evaded()
