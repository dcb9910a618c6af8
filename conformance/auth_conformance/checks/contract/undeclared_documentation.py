"""DOC108."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Probe, Severity, Verdict, check


@check(
    "DOC108",
    "docs-exposure-as-declared",
    title="Documentation or insides open to strangers against the policy",
    severity=Severity.INFO,
    level=2,
    budget=40,
    references=(ASVS("13.4.5"), ASVS("13.4.2"), API(9), CWE(1295), CWE(497), WSTG("CONF-05")),
)
async def undeclared_documentation(probe: Probe) -> Verdict:
    """Interactive documentation, the document and the insides must be open only where the owner says so.

    Why: a public interface publishes its documentation on purpose; an internal one hands out a map with
        it, and metrics, debuggers and profilers tell more than any document.
    How: read the usual places without a credential, beside a path that nobody can have. What is found is
        noted; with `[policy] hide_docs = true` (the profile `production`) it is a finding unless it is listed
        in `public_operations`.
    Fix: `FastAPI(docs_url=None, redoc_url=None, openapi_url=None)` in production, or a dependency with a
        credential on routes of your own that serve them.
    """
    return await probe.must_show_only_what_it_declares()
