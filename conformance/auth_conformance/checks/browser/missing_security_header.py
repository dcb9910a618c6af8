"""WEB110."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Probe, Severity, Verdict, check


@check(
    "WEB110",
    "security-headers-present",
    title="Answer without the headers that make it inert in a browser",
    severity=Severity.LOW,
    level=2,
    budget=30,
    exclusive=True,  # it adds a route that raises, for as long as it asks for it
    references=(
        ASVS("3.4.1"),
        ASVS("3.4.3"),
        ASVS("3.4.4"),
        ASVS("3.4.5"),
        ASVS("3.4.6"),
        ASVS("3.2.1"),
        ASVS("4.1.1"),
        API(8),
        CWE(1021),
        CWE(116),
        WSTG("CONF-07"),
    ),
)
async def missing_security_header(probe: Probe) -> Verdict:
    """All answers, errors included, must carry the headers that take the initiative away from browsers.

    Why: text that an attacker placed in an answer becomes a page when a browser guesses so; a page can be
        framed and clicked through; the first request over http can be kept from ever becoming https.
    How: look at a success, a refusal, an unknown path, a wrong verb, bad input, the documentation and, in
        this process, an unhandled exception: `nosniff`, a content type with charset, a content security
        policy with `frame-ancestors`, `Referrer-Policy`, and over https a year of strict transport security.
        What no answer has in this process may come from a proxy: that is inconclusive, not a finding.
    Fix: set them in a middleware around everything: `app.add_middleware(SecurityHeaders)` as the last one
        added, written as plain ASGI so that it also sees the answer to an exception.
    """
    return await probe.must_be_inert()
