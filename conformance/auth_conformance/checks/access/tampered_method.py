"""AUZ107."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ107",
    "method-tampering-safe",
    title="Unusual method goes round the guard",
    severity=Severity.HIGH,
    level=1,
    budget=170,
    impact=Impact.WRITES,
    needs=(Need.WITNESS,),
    references=(
        ASVS("4.1.4"),
        ASVS("13.4.4"),
        ASVS("8.3.1"),
        RFC(9110, "9"),
        RFC(9110, "15.5.6"),
        API(5),
        CWE(650),
        CWE(288),
        WSTG("CONF-06"),
        WSTG("INPV-03"),
    ),
)
async def tampered_method(probe: Probe) -> Verdict:
    """Authentication and authorisation must not depend on how the method is spelled.

    Why: a guard that lists methods, or that answers OPTIONS and HEAD early, forgets one; a middleware that
        honours a claimed method honours it behind the guard.
    How: strangers and a wrong credential send HEAD, OPTIONS, TRACE, CONNECT, methods in lower case and unknown
        ones to the witness, as raw requests. Strangers and another user send GET and POST that claim, in headers,
        query and form, to be the method that changes or deletes A's object, and that method in lower case; what A
        reads afterwards decides.
    Fix: put the guard into a dependency of the operation, which every method passes:
        `APIRouter(dependencies=[Depends(get_current_user)])`, and install no method override.
    """
    return await probe.must_guard_verbs()
