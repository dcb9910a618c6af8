"""DOC105."""

from auth_conformance.sdk import ASVS, CWE, Need, Probe, Severity, Verdict, check


@check(
    "DOC105",
    "openapi-metadata-complete",
    title="Operation whose description is incomplete",
    severity=Severity.LOW,
    level=1,
    budget=12,
    needs=(Need.OPENAPI,),
    references=(ASVS("13.4.5"), ASVS("2.1.1"), CWE(1059)),
)
async def undescribed_operation(probe: Probe) -> Verdict:
    """Each operation must have tags, a summary, an id of its own, a typed success and a declared error.

    Why: what the document leaves out is not reviewed, not tested by tools, and guessed by clients; an
        operation that nobody described is one that nobody counts among those to protect.
    How: read the document. An operation without input and without a credential needs no error; 204 needs no
        schema; the 422 that FastAPI adds by itself is no declared error. Summaries that are the name of the
        function, and security schemes without a description, are noted.
    Fix: `APIRouter(tags=["users"], responses={401: {"model": ErrorResponse}})`, and on each route
        `summary="Read an account"`, `operation_id="read_account"` and a return type or `response_model`.
    """
    return await probe.must_describe_itself()
