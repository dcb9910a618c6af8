"""MIX105."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX105",
    "credential-kinds-not-interchangeable",
    title="Credential accepted in the place of another kind",
    severity=Severity.HIGH,
    level=2,
    budget=130,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.TWO_SCHEMES),
    references=(
        ASVS("9.2.2"),
        ASVS("7.2.2"),
        ASVS("6.3.4"),
        CWE(843),
        CWE(303),
        CWE(1390),
        API(2),
    ),
)
async def exchanged_credential_kind(probe: Probe) -> Verdict:
    """A value that is good for one scheme must be worthless in the place of another.

    Why: each kind has limits of its own: a key has scopes, a token a short life, a cookie `HttpOnly`. In
        another place it escapes them: a refresh token works for weeks, a key in a cookie is sent by any site.
    How: present A's token, refresh token, key, key id, session id, CSRF token and password, and reset and
        verification tokens out of a mailbox, in the place of each other, and as user or password of Basic; and
        let an account of its own log in with its tokens as password.
    Fix: one table and one look-up per kind, and a type in each token: `if claims["typ"] != "access"`, instead of
        `tokens.find(value)` for everything that arrives. What is meant to work is declared:
        `interchangeable = ["key as bearer"]`.
    """
    return await probe.must_not_interchange()
