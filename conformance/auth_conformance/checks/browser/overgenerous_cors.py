"""WEB103."""

from auth_conformance.sdk import ASVS, CWE, FETCH, RFC, WSTG, Probe, Severity, Verdict, check


@check(
    "WEB103",
    "cors-answers-minimal-and-cacheable-safely",
    title="CORS answer that grants too much or may be mixed up in caches",
    severity=Severity.LOW,
    level=2,
    # The checklist says 24. What strangers may read and the document are asked as well, for those are what caches keep;
    # and what varies is asked again before it is told.
    budget=50,
    references=(
        ASVS("3.4.2"),
        ASVS("4.1.4"),
        ASVS("14.2.5"),
        RFC(9110, "12.5.5"),
        FETCH("CORS protocol and HTTP caches"),
        CWE(942),
        CWE(525),
        WSTG("CLNT-07"),
    ),
)
async def overgenerous_cors(probe: Probe) -> Verdict:
    """Answers to other origins must name what they depend on, and must grant no more than is used.

    Why: a cache that does not know of the origin gives one page's permission to another, or withholds it
        from the right one. Verbs and headers that nobody uses are doors that nobody watches.
    How: ask for a success, a refusal, a public answer and an unknown path as a listed page, as a page of a
        stranger and without a page; where the permission differs, `Vary: Origin` has to stand in all of
        them that can be stored. Preflights of a listed page for each verb and for headers that mean nothing.
    Fix: `CORSMiddleware(allow_origins=[...], allow_methods=["GET", "POST"], allow_headers=["Authorization"])`:
        it adds `Vary` by itself, which a hand-written `Access-Control-Allow-Origin` does not.
    """
    return await probe.must_grant_little()
