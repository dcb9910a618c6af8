"""LIF104."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF104",
    "disabled-or-deleted-user-loses-everything",
    title="Credential of a disabled or deleted account accepted",
    severity=Severity.HIGH,
    level=1,
    budget=170,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN, Need.EXPENDABLE),
    references=(ASVS("7.4.2"), ASVS("7.4.1"), ASVS("8.3.2"), API(2), CWE(613), CWE(672)),
)
async def credential_of_ended_account(probe: Probe) -> Verdict:
    """Disabling or deleting an account must end all its credentials, of every kind, at once.

    Why: an account is shut because somebody left or something happened, and its keys and tokens are then in
        the wrong hands. The branch for API keys is the one that forgets to look at the account.
    How: an expendable account logs in by each way, holds a refresh token, a key, and mailed tokens that it has not
        used. An administrator disables it; each is presented again, a login is tried, and the mailed ones are
        redeemed. After it is enabled again the old ones must stay dead. Another account is deleted likewise, one is
        shut while its WebSocket is open, and one must go on. Where no operation disables accounts and the database is
        given, the flag in the row of an account of this run is turned, and turned back.
    Fix: load the account with every credential, and only an active one:
        `select(User).where(User.id == key.user_id, User.is_active)`; end sessions and keys when it is shut.
    """
    return await probe.must_lose_everything()
