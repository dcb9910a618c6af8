"""WEB111."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "WEB111",
    "tls-only-for-credentials",
    title="Interface that is reachable without TLS, or with TLS of yesterday",
    severity=Severity.HIGH,
    level=1,
    budget=14,
    needs=(Need.WITNESS,),
    references=(
        ASVS("12.2.1"),
        ASVS("12.1.1"),
        ASVS("12.1.2"),
        ASVS("12.2.2"),
        ASVS("4.1.2"),
        ASVS("4.4.1"),
        RFC(6750, "5.2"),
        RFC(9110, "4.2.2"),
        API(8),
        CWE(319),
        CWE(326),
        CWE(295),
        WSTG("CRYP-01"),
        WSTG("ATHN-01"),
    ),
)
async def api_in_clear(probe: Probe) -> Verdict:
    """Credentials must only travel over TLS 1.2 or newer, under a valid certificate.

    Why: in clear everybody on the way reads along. A redirect of an interface hides that a client begins in
        clear each time: its credential is out before the answer comes.
    How: a junk credential goes to port 80, and a WebSocket handshake without any: a refusal or a closed port is
        right, an answer of the interface is not, and a redirect is low. Then TLS 1.0 to 1.3 and weak suites are
        offered one by one, and the certificate is verified. Real credentials never go out in clear. In this
        process, and on this machine, only whether the application redirects by itself can be seen.
    Fix: close port 80 for the interface, or answer 403 there; no `HTTPSRedirectMiddleware` before an API;
        `ssl_minimum_version = TLSv1_2` at the proxy.
    """
    return await probe.must_insist_on_tls()
