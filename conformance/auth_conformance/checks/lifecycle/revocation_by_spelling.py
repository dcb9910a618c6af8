"""LIF102."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF102",
    "revocation-survives-respelling",
    title="Ended credential accepted in another spelling",
    severity=Severity.HIGH,
    level=1,
    budget=240,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN, Need.LOGOUT),
    references=(
        ASVS("7.4.1"),
        ASVS("9.1.1"),
        RFC(7515, "2"),
        RFC(7009, "2"),
        CWE(613),
        CWE(436),
        CWE(294),
        API(2),
    ),
)
async def revocation_by_spelling(probe: Probe) -> Verdict:
    """A credential that has ended must stay ended in every spelling that would still verify.

    Why: a list of revoked tokens that holds their text, or a hash of it, is passed by `token + "="`, and with
        ECDSA by the second signature that verifies, which anybody can compute without a key.
    How: before a logout, find the spellings of a token, cookie and key that get in: padding, spare bits, the other
        base64 alphabet, the twin signature, words of the scheme, other places. Log out with the original, and
        replay them all; log out with each of them, and replay the original. Revoke a key likewise, and use up
        and log out refresh tokens.
    Fix: revoke by what the token says, not by how it is written: its `jti` or `sid` in the session table; and
        refuse what is not canonical before verifying.
    """
    return await probe.must_stay_ended()
