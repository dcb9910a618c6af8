"""AUZ109."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "AUZ109",
    "identity-headers-ignored",
    title="Identity or role taken from a plain header, cookie or parameter",
    severity=Severity.HIGH,
    level=2,
    budget=340,
    needs=(Need.WITNESS, Need.TWO_USERS),
    references=(
        ASVS("4.1.3"),
        ASVS("8.3.1"),
        ASVS("8.2.4"),
        API(2),
        CWE(290),
        CWE(807),
        CWE(639),
        WSTG("ATHZ-03"),
    ),
)
async def believed_identity_header(probe: Probe) -> Verdict:
    """What a request says about its sender outside the credential must have no effect.

    Why: headers such as `X-Forwarded-User` are set by a proxy in one deployment and by anybody in the next;
        a parameter for debugging or impersonation stays in the code.
    How: a stranger, and A with A's own credential, name B, claim roles and come from 127.0.0.1, in headers,
        cookies and parameters. The witness must refuse the stranger and name A with A's rights; an operation
        for administrators that refuses A must go on to refuse. In process the application is asked directly,
        without the proxy that may be in front.
    Fix: take the caller from the credential alone: `principal: CurrentUser`. Where a proxy authenticates,
        accept its header only from its address, and strip it from everybody else's requests.
    """
    return await probe.must_ignore_claims()
