"""SES110."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "SES110",
    "session-renewed-at-login-and-reauth",
    title="Session id kept at login",
    severity=Severity.CRITICAL,
    level=1,
    budget=50,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(ASVS("7.2.4"), CWE(384), API(2), WSTG("SESS-03")),
)
async def session_id_kept_at_login(probe: Probe) -> Verdict:
    """A login must create a new session id and end the session that was presented with it.

    Why: whoever plants a session id in a victim's browser shares the session as soon as the victim logs in.
    How: log in with a cookie that the service gave to a stranger, with one that an attacker made up, and over
        a live session of oneself and of another user, and confirm the password inside a session where the
        service asks for that; then present the old value to the witness.
    Fix: `request.session.clear()` is not enough with a server-side store: delete the presented session and
        make a new id with `secrets.token_urlsafe(32)` in the login handler, always.
    """
    return await probe.must_renew_session()
