"""CRD120."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD120",
    "credentials-only-in-body-or-header",
    title="Password taken from the address",
    severity=Severity.MEDIUM,
    level=1,
    budget=120,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("14.2.1"),
        ASVS("3.5.3"),
        RFC(6749, "2.3.1"),
        CWE(598),
        WSTG("ATHN-01"),
        WSTG("SESS-04"),
    ),
)
async def password_in_address(probe: Probe) -> Verdict:
    """Passwords and codes must never be taken from an address.

    Why: addresses are written to access logs, histories, proxies and Referer headers, and stay there.
    How: at login, registration, change and reset move the values from the body to the query, all or the
        password alone, by POST and GET; what counts is which password logs in afterwards. The OpenAPI
        document must not declare passwords in path or query.
    Fix: take a pydantic model or `Form()`: plain arguments of type `str` are query parameters in FastAPI.
        `Annotated[LoginRequest, Body()]`.
    """
    return await probe.must_not_take_from_urls()
