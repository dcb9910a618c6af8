"""ERR104."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR104",
    "error-body-contract",
    title="Errors without one common body",
    severity=Severity.MEDIUM,
    level=1,
    budget=40,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    references=(
        ASVS("16.5.1"),
        ASVS("16.5.4"),
        ASVS("4.1.1"),
        RFC(9457, "3"),
        RFC(6585, "4"),
        RFC(9110, "15.5.6"),
        RFC(9110, "10.2.3"),
        CWE(756),
        WSTG("ERRH-01"),
    ),
)
async def inconsistent_error_body(probe: Probe) -> Verdict:
    """Each error must have one JSON body, with the same members in the same place.

    Why: a client that has to guess how an error looks treats some of them as success, and every second
        shape is a handler that nobody reviewed for what it gives away.
    How: provoke 401 of each kind, 403, 404, 405, 409, 413, 415 and 422, and compare: media type, the member
        that carries the text, its kind and its nesting, and `Allow` beside 405. The names are the service's own
        affair (RFC 9457 has its own) unless `policy.error_members` declares them; where they are `error` and
        `message`, the code has no blanks, and codes differ where causes do. A list of mistakes where other
        errors have a text is low, and so is a 405 that keeps the method to itself.
    Fix: register handlers for `StarletteHTTPException`, `RequestValidationError` and `Exception` that all
        build the same body and keep the headers: FastAPI's own are `{"detail": "..."}`, a list, and plain text.
    """
    return await probe.must_share_one_error_body()
