"""KEY110."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "KEY110",
    "api-key-cannot-escalate",
    title="API key that makes itself more powerful",
    severity=Severity.HIGH,
    level=2,
    budget=250,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT, Need.TWO_USERS),
    references=(
        ASVS("8.2.1"),
        ASVS("7.5.1"),
        ASVS("7.2.2"),
        ASVS("13.2.2"),
        API(5),
        CWE(863),
        WSTG("ATHZ-03"),
    ),
)
async def escalating_key(probe: Probe) -> Verdict:
    """A key must act within its scopes and its owner's rights, and make no credential that may do more.

    Why: keys are given to scripts and partners because they may do little. One that mints a wider key, or sets
        the password, is the account.
    How: make a key with each single scope, and let it make a key with all of them, change its own scopes, make a
        key for B, create what its scope does not cover, read in one place what another refuses it, read what is
        for administrators, and set password and address of an account of its own; what the owner reads afterwards
        decides. Where a key has one level out of several, keys of two levels must not be able to make, or to
        become, each other.
    Fix: `if not set(body.scopes) <= principal.scopes: raise HTTPException(403)`, the owner from the credential and
        never from the body, and `require_login` (no keys) on password, address and MFA.
    """
    return await probe.must_not_escalate_by_key()
