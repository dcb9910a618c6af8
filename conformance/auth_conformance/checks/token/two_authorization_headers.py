"""TOK302."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK302",
    "duplicate-authorization-header-rejected",
    title="One of two Authorization headers followed",
    severity=Severity.LOW,
    level=3,
    budget=40,
    needs=(Need.WITNESS, Need.TWO_USERS, Need.BEARER),
    references=(
        ASVS("4.2.1"),
        ASVS("15.3.7"),
        RFC(9110, "5.3"),
        RFC(9110, "11.6.2"),
        CWE(436),
        CWE(444),
    ),
)
async def two_authorization_headers(probe: Probe) -> Verdict:
    """Two Authorization lines in one request must be refused, not silently resolved.

    Why: a proxy checks one of them and the application believes the other: who was admitted is not who acts.
    How: send two lines over the raw wire: A's and B's token in both orders, a wrong and a live one, a bearer
        and a Basic line, both in one line, and a folded line.
    Fix: `if len(request.headers.getlist("authorization")) > 1: raise HTTPException(status.HTTP_400_BAD_REQUEST)`.
    """
    return await probe.must_refuse_two_authorizations()
