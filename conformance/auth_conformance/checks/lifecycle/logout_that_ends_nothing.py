"""LIF101."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Failed,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    Violation,
    check,
)


@check(
    "LIF101",
    "logout-revokes-everywhere",
    title="Credential alive after logout",
    severity=Severity.HIGH,
    level=1,
    budget=130,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(
        ASVS("7.4.1"),
        ASVS("10.4.9"),
        RFC(7009, "2.1"),
        RFC(7009, "2.2"),
        API(2),
        CWE(613),
        WSTG("SESS-06"),
    ),
    masks=("LIF102", "LIF116"),
)
async def logout_that_ends_nothing(probe: Probe) -> Verdict:
    """After a logout the token, the cookie and the refresh token of that session must be refused, at once.

    Why: clearing a cookie in the browser ends nothing for somebody who has copied it, and a token that is
        merely forgotten by its owner works until it expires.
    How: log in twice and as another user, log out once per kind of credential, and replay what was saved: 20
        times on new connections, at a second operation, at the refresh operation and some seconds later.
        The other sessions must go on. Logouts by strangers must end nothing.
    Fix: keep the session in the database and look it up on each request; logout deletes the row, and the
        refresh tokens that point to it: `if await sessions.get_live(claims["sid"]) is None: raise invalid_token()`.
    """
    if not probe.target.logouts:
        probe.must_be_for_people()
    if Need.LOGOUT in probe.target.absent and not probe.target.logouts:
        message = f"There is no way to end a session: {probe.target.absent[Need.LOGOUT]}"
        return Failed((Violation(None, message, Severity.MEDIUM),))
    return await probe.must_end()
