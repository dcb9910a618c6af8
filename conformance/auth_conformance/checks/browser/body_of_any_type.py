"""WEB105."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CVE,
    CWE,
    FETCH,
    WSTG,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "WEB105",
    "json-endpoints-refuse-simple-content-types",
    title="JSON taken from a body that is not called JSON",
    severity=Severity.HIGH,
    level=1,
    budget=90,
    needs=(Need.LOGIN, Need.WITNESS),
    impact=Impact.DISRUPTS,
    references=(
        ASVS("3.5.2"),
        ASVS("4.1.1"),
        FETCH("CORS-safelisted request-header"),
        CVE("2021-32677"),
        API(8),
        CWE(352),
        WSTG("SESS-05"),
    ),
)
async def body_of_any_type(probe: Probe) -> Verdict:
    """An operation that takes JSON must refuse a body whose content type is not JSON.

    Why: `application/json` makes browsers ask for permission before a foreign page may send it; `text/plain`,
        a form, or no type at all do not. Whoever reads JSON from those has given the protection away.
    How: send valid JSON as text, as a form, as the name of a field, in a multipart form, without a type, with
        an empty one, and with `application/json` on a second line only. What the owner reads afterwards
        decides. Where the cookie alone suffices its SameSite grades the finding, elsewhere it is low.
    Fix: take bodies as pydantic models (FastAPI then insists on the content type), never by
        `await request.json()`, or check `request.headers["content-type"]` in a dependency.
    """
    return await probe.must_insist_on_json()
