"""TOK126."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CVE,
    CWE,
    RFC,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK126",
    "token-size-depth-and-inflation-bounded",
    title="Hostile token that costs the service time, memory or its life",
    severity=Severity.MEDIUM,
    level=2,
    budget=120,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.TOKEN),
    references=(
        ASVS("15.2.2"),
        ASVS("2.4.1"),
        ASVS("16.5.3"),
        RFC(8725, "3.6"),
        RFC(7516, "4.1.3"),
        CVE("2024-33664"),
        CVE("2025-61920"),
        API(4),
        CWE(409),
        CWE(674),
    ),
)
async def costly_token(probe: Probe) -> Verdict:
    """Reading a hostile token must cost little, and must never kill the worker.

    Why: tokens are parsed before anybody is known, so whoever has no account can send them; a few kilobytes
        that nest, inflate or ask for rounds of hashing keep a core busy or end the process.
    How: send long junk, deep and wide headers, and, where a key is known, encrypted tokens that inflate a
        thousandfold or ask for millions of rounds, each three times beside a bland token of its length. Time
        decides, an orderly answer, and in this process the memory that was allocated.
    Fix: look at the length first: `if len(token) > 4096: raise invalid_token()`; catch `RecursionError`; do not
        accept compressed or password-encrypted tokens.
    """
    return await probe.must_stay_cheap()
