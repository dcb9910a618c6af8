"""DOC102."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "DOC102",
    "enforced-security-is-declared",
    title="Credential that is demanded or taken without being declared",
    severity=Severity.MEDIUM,
    level=2,
    budget=200,
    needs=(Need.OPENAPI, Need.WITNESS),
    impact=Impact.WRITES,
    references=(ASVS("6.1.3"), ASVS("6.3.4"), ASVS("13.4.5"), API(9), CWE(1059), CWE(912)),
)
async def undeclared_security(probe: Probe) -> Verdict:
    """What the service demands and takes as a credential must be what its document declares.

    Why: a way in that the document does not show is reviewed by nobody, limited by nobody and left open when
        the others are closed. And generated clients cannot use what is not declared.
    How: ask each operation that declares no credential without one and with one; ask protected operations
        with every kind of credential and every place for it that they do not declare; call the token URLs.
        Routes of the application that its document hides are asked as well, where it runs in this process.
    Fix: take credentials through `Security(HTTPBearer())`, `APIKeyHeader(name="X-API-Key")` and the like,
        never through `request.headers`: what FastAPI does not see it does not declare.
    """
    return await probe.must_declare_what_it_enforces()
