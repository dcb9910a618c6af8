"""SRC108."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC108",
    "status-constants-used",
    title="An HTTP status is written as a number",
    severity=Severity.INFO,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("16.5.1"), CWE(547)),
)
async def bare_status_number(probe: Probe) -> Verdict:
    """HTTP statuses must be named constants of `starlette.status` or `fastapi.status`.

    Why: `401` and `403` differ by one digit and by everything else; a name says which was meant.
    How: look at `status_code=`, the first argument of `HTTPException`, and assignments to and comparisons with
        `.status_code`; keys of `responses` are only told. This is a standard of the four-file profile.
    Fix: `raise HTTPException(status.HTTP_401_UNAUTHORIZED)`. A team with another standard sets `four_file =
        false` in `[policy]`.
    """
    return await probe.must_keep_standard("Every status is a named constant")
