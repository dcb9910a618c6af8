"""TOK118."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    WSTG,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK118",
    "kid-is-inert",
    title="Key identifier in the token chooses what verifies it",
    severity=Severity.CRITICAL,
    level=1,
    budget=110,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.3"),
        ASVS("1.2.4"),
        ASVS("1.2.5"),
        RFC(7515, "4.1.4"),
        RFC(8725, "2.9"),
        RFC(8725, "3.10"),
        CWE(22),
        CWE(89),
        CWE(78),
        WSTG("SESS-10"),
        WSTG("INPV-05"),
    ),
)
async def selecting_key_id(probe: Probe) -> Verdict:
    """`kid` must be nothing but an exact index into a fixed set of keys.

    Why: it is read before anything is verified. In a file name it opens a file whose content the forger knows;
        in a query it selects a key that the forger wrote; missing or empty it may select no key at all.
    How: sign a live token's claims with the key that each injection would select: empty and known files by
        path, constants by SQL, nothing by a missing, empty, null or mistyped `kid`; and see whether commands
        in it make the service wait. A wrong `kid` beside a true signature may be ignored.
    Fix: `key = KEYS.get(header["kid"])`, with `KEYS` from your own settings, and refuse when it is None.
    """
    return await probe.must_treat_key_id_as_index()
