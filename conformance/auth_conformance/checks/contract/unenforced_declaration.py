"""DOC101."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "DOC101",
    "declared-security-is-enforced",
    title="Operation that declares a credential and answers without",
    severity=Severity.CRITICAL,
    level=1,
    budget=1000,
    needs=(Need.OPENAPI, Need.WITNESS),
    impact=Impact.WRITES,
    references=(
        ASVS("8.2.1"),
        ASVS("6.3.4"),
        ASVS("8.3.1"),
        API(2),
        API(5),
        CWE(306),
        CWE(862),
        WSTG("ATHN-04"),
    ),
)
async def unenforced_declaration(probe: Probe) -> Verdict:
    """Each operation whose description demands a credential must refuse requests that lack it.

    Why: the lock in the documentation is what reviewers look at; a dependency that was dropped from one
        router leaves the lock in place.
    How: call every such operation with a valid request and no credential, with junk in place of each scheme,
        and with one part where several are demanded together. The same request with a credential has to be
        answered otherwise. Ids in paths are unguessable, or those of objects made for this purpose.
    Fix: let the dependency that checks also declare, `Security(get_current_user)` on the router, and never
        write `openapi_extra={"security": ...}` by hand.
    """
    return await probe.must_enforce_what_it_declares()
