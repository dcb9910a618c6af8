"""SES115."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    NIST,
    WSTG,
    Depth,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "SES115",
    "session-timeouts-enforced",
    title="Session alive after its limits",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    impact=Impact.WRITES,
    budget=220,
    needs=(Need.WITNESS, Need.LOGIN, Need.CLOCK),
    references=(
        ASVS("7.3.1"),
        ASVS("7.3.2"),
        ASVS("7.1.1"),
        ASVS("10.4.8"),
        NIST("2.2.3"),
        NIST("5.2"),
        CWE(613),
        WSTG("SESS-07"),
    ),
    exclusive=True,
)
async def endless_session(probe: Probe) -> Verdict:
    """A session must end on the server when it is idle for too long, and when it is too old however much it is used.

    Why: the browser's `Max-Age` binds nobody who has copied the cookie. Without the one limit a forgotten tab stays
        open for its finder, without the other a stolen session that is kept warm lasts for ever.
    How: by a moved clock use one session after the idle limit, one again and again until past the absolute
        limit, and renew a refresh token until past the limit of its family. The limits are those of the policy,
        or half an hour, twelve hours and thirty days.
    Fix: keep `created_at` and `last_used_at` with each session and compare both on every request:
        `where(Session.last_used_at > now - idle, Session.expires_at > now)`; give each refresh token the end of
        its family at most.
    """
    return await probe.must_end_sessions()
