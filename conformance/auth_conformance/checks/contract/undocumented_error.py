"""DOC104."""

from auth_conformance.sdk import ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "DOC104",
    "error-responses-documented-and-true",
    title="Refusal that the description does not show, or shows otherwise",
    severity=Severity.LOW,
    level=1,
    budget=60,
    needs=(Need.OPENAPI, Need.WITNESS),
    impact=Impact.WRITES,
    exclusive=True,  # it looks at the refusals that the other checks have provoked
    references=(ASVS("16.5.1"), ASVS("4.1.1"), RFC(9457, "3"), CWE(1059)),
)
async def undocumented_error(probe: Probe) -> Verdict:
    """Each operation must document the refusals that it gives, and they must look as documented.

    Why: clients are generated from the document. One that does not know 401 treats it as a defect and tries
        again; one that expects a list under `detail` cannot show why a password was refused.
    How: every protected operation has to document 401 (`4XX` and `default` count). Then each refusal of the
        run is held against the documented response: 401, 403, 409, 422 and 429 have to be there, and body
        and headers have to be as they are described.
    Fix: `APIRouter(responses={401: {"model": ErrorResponse}, 422: {"model": ErrorResponse}})`. FastAPI
        documents 200 and 422 only, and the 422 with its own body: override that one with yours.
    """
    return await probe.must_refuse_as_described()
