"""WEB101."""

from auth_conformance.sdk import API, ASVS, CWE, FETCH, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "WEB101",
    "cors-allows-only-listed-origins",
    title="Pages of unlisted origins may read answers or send requests",
    severity=Severity.HIGH,
    level=1,
    budget=130,
    needs=(Need.WITNESS,),
    references=(ASVS("3.4.2"), FETCH("CORS check"), API(8), CWE(942), CWE(346), WSTG("CLNT-07")),
)
async def readable_by_any_origin(probe: Probe) -> Verdict:
    """Only pages of listed origins must be let to read answers and to send more than simple requests.

    Why: with cookies, a page that the user merely visits acts as the user and reads the result; with tokens,
        a stolen one works from any page.
    How: read the protected operation and ask for permission to change something from origins that differ from
        a listed one by a suffix, a prefix, a dot, a port, a scheme and so on, and from `null`, with a Cookie
        header and without. A model of the browser's CORS check decides, not the mere presence of a header.
    Fix: list whole origins: `CORSMiddleware(allow_origins=["https://app.example.com"])`. If it has to be
        `allow_origin_regex`, escape the dots; never combine `"*"` with `allow_credentials=True`.
    """
    return await probe.must_keep_origins_apart()
