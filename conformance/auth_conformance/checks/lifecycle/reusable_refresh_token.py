"""LIF107."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF107",
    "refresh-rotation-and-reuse-detection",
    title="Used refresh token accepted again",
    severity=Severity.HIGH,
    level=1,
    budget=50,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN, Need.REFRESH),
    references=(
        ASVS("10.4.5"),
        ASVS("10.4.8"),
        ASVS("7.4.1"),
        RFC(9700, "2.2.2"),
        RFC(9700, "4.14.2"),
        RFC(6749, "6"),
        RFC(6749, "10.4"),
        API(2),
        CWE(294),
        CWE(613),
    ),
)
async def reusable_refresh_token(probe: Probe) -> Verdict:
    """A refresh token must work once, and its second use must end everything that came from the same login.

    Why: a stolen refresh token is a login for weeks. That it comes back after its use is the only sign of the
        theft, and nobody can tell then whether thief or owner holds the newer one.
    How: refresh twice and use the first token again, then the newest; in another login use the second to last
        again. Present an access token and other credentials as refresh tokens, ask for a wider scope, and
        refresh beside another user's credential. Other logins of the user are watched.
    Fix: store refresh tokens by id, claim them with one `UPDATE ... WHERE used_at IS NULL RETURNING`, and when
        that returns nothing, end the login: `await sessions.end(claims["sid"])`. Tokens that only one client can
        use, by a key or secret of its own, may be used again: `bound_refresh_tokens = true`.
    """
    return await probe.must_rotate()
