"""ERR106."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR106",
    "no-internals-in-errors",
    title="Error that tells about the inside",
    severity=Severity.MEDIUM,
    level=2,
    budget=60,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    exclusive=True,  # it looks at every error that the other checks have provoked
    references=(
        ASVS("16.5.1"),
        ASVS("13.4.2"),
        ASVS("13.4.6"),
        API(8),
        CWE(209),
        CWE(497),
        CWE(489),
        WSTG("ERRH-02"),
    ),
)
async def revealing_error(probe: Probe) -> Verdict:
    """No error must tell a stack, a query, a path, a library's words or a secret.

    Why: each of them saves an attacker a guess: which library to look up, which table to aim at, and what
        exactly was wrong with a forged token.
    How: search every 4xx and 5xx of the run, and of tokens with one defect each, for such signs, in the body, in the
        challenge and in headers of the service's own; what the
        request itself contained does not count. In this process a handler is made to raise, with a secret in
        the exception. Secrets and stacks are high, queries and paths medium, a library's words low; versions
        are noted.
    Fix: answer every bad token with the same words, never `detail=str(error)`; register a handler for
        `Exception` that answers a fixed body, and run without `debug=True`.
    """
    return await probe.must_reveal_no_internals()
