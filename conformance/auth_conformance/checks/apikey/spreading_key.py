"""KEY103."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "KEY103",
    "api-key-in-query-contained-or-refused",
    title="API key that spreads through URLs",
    severity=Severity.MEDIUM,
    level=1,
    budget=110,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.API_KEY),
    references=(
        ASVS("14.2.1"),
        ASVS("14.3.2"),
        ASVS("16.2.5"),
        RFC(9700, "4.3"),
        API(2),
        CWE(598),
        CWE(532),
        WSTG("SESS-04"),
    ),
)
async def spreading_key(probe: Probe) -> Verdict:
    """A key in the URL must be refused where that is not documented, and must not spread where it is.

    Why: URLs are copied: into logs, histories, caches, referrers, and into the `Location` of a redirect. Each
        copy of this one is a key.
    How: put the live key into the query under the usual names that are not declared, at two operations and at a
        change, which the key may make in its own place and a stranger may not. Where one is declared, read the
        witness, lists, the path with the other slash, an unknown path and a malformed body with the key in the
        query: it must come back nowhere, be logged nowhere, and the answers must say `no-store`.
    Fix: keep `APIKeyHeader` and drop `APIKeyQuery`; or answer with `Cache-Control: no-store`, build the
        application with `redirect_slashes=False` (its redirects copy the query), and filter uvicorn's access log.
    """
    return await probe.must_contain_query_keys()
