"""MIX109."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX109",
    "decoy-credential-does-not-disable-csrf",
    title="Worthless credential that switches the defence against forged requests off",
    severity=Severity.HIGH,
    level=2,
    budget=110,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(
        ASVS("3.5.1"),
        ASVS("3.5.2"),
        ASVS("6.3.4"),
        CWE(352),
        CWE(807),
        API(8),
        WSTG("SESS-05"),
    ),
)
async def csrf_switched_off(probe: Probe) -> Verdict:
    """The defence against forged requests must follow the credential that authenticated, not what is present.

    Why: "requests with an API key need no CSRF token" is right, and `if "api_key" in request.query_params` is not
        that rule: a page of somebody else puts `?api_key=x` into its form, and the cookie does the rest.
    How: send a change with the cookie and without the CSRF token, as a page of another site does, which must be
        refused; then the same with worthless tokens, keys and members beside it, in JSON and as a form can send
        it; what the owner reads afterwards decides.
    Fix: check the token in the dependency that knows how the caller came in:
        `if principal.scheme == "session": verify_csrf(request)`, not in a middleware that looks at headers.
    """
    return await probe.must_not_believe_decoys()
