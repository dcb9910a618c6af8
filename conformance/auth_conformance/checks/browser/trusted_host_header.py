"""WEB113."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Probe, Severity, Verdict, check


@check(
    "WEB113",
    "host-and-forwarding-headers-not-trusted",
    title="Link, redirect or mail that follows the Host header of the client",
    severity=Severity.MEDIUM,
    level=2,
    budget=80,
    impact=Impact.DISRUPTS,
    references=(
        ASVS("4.1.3"),
        ASVS("3.7.2"),
        ASVS("6.4.3"),
        ASVS("14.2.1"),
        RFC(9110, "7.2"),
        API(8),
        CWE(601),
        CWE(644),
        CWE(348),
        WSTG("INPV-17"),
    ),
)
async def trusted_host_header(probe: Probe) -> Verdict:
    """Absolute addresses must be built from the configuration, never from what the client calls the server.

    Why: a reset mail whose link leads to the attacker's host hands over the account with one click; a
        redirect that repeats the query sends the key in it wherever the header says.
    How: ask for a path with a slash too many, for a protected operation, for the document and for a login
        with another `Host`, a second one, another host in the request line, and forwarding headers; ask for
        a reset mail and read it; try addresses in the path and `next` parameters. No answer, cookie or mail
        may lead there, and no redirect may carry the key of the request.
    Fix: build links from a setting (`f"{settings.public_url}/reset#token=…"`), never from
        `request.base_url` or `request.url_for`; `TrustedHostMiddleware(allowed_hosts=[...])`, and
        `FastAPI(redirect_slashes=False)`.
    """
    return await probe.must_know_its_own_name()
