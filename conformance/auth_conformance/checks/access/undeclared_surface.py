"""AUZ112."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ112",
    "anonymous-surface-is-declared",
    title="Operation open to strangers that nobody declared open",
    severity=Severity.CRITICAL,
    level=1,
    budget=400,
    impact=Impact.DISRUPTS,
    needs=(Need.OPENAPI,),
    references=(
        ASVS("8.2.1"),
        ASVS("6.3.4"),
        ASVS("13.4.5"),
        ASVS("15.2.3"),
        ASVS("13.4.1"),
        API(5),
        API(9),
        CWE(306),
        CWE(862),
        CWE(425),
        WSTG("ATHN-04"),
        WSTG("CONF-05"),
    ),
)
async def undeclared_surface(probe: Probe) -> Verdict:
    """Everything that can be reached without a credential must be on an explicit public list.

    Why: `include_in_schema=False` hides a route from the document, not from strangers; metrics, debuggers and old
        versions are found by whoever tries the usual names.
    How: call every operation once without a credential, with a valid request and ids that name nothing: those of the
        document, in process also the routes that no document shows, and usual names of what is left open. A hidden
        route that answers, or a file from the inside, is a finding; a documented one without security that answers
        is a question, until the policy lists it as public; that it tells the e-mail address of somebody is a
        finding. What changes or deletes objects is called on one that is
        there: its owner then sees what became of it. What declares a credential is DOC101's. What takes a `token` and
        nothing else is asked about a live one: who is told that it is active must have shown who asks (RFC 7662 §2.1).
    Fix: guard routers, not functions, so that a new route is closed until it is opened:
        `FastAPI(dependencies=[Depends(get_current_user)])`, and list what is public in `public_operations`.
    """
    return await probe.must_declare_its_surface()
