"""LIF108."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF108",
    "single-use-under-concurrency",
    title="One-time value good for several uses at the same moment",
    severity=Severity.HIGH,
    level=2,
    budget=800,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(
        ASVS("15.4.2"),
        ASVS("2.3.4"),
        ASVS("6.5.1"),
        ASVS("10.4.5"),
        CWE(362),
        CWE(367),
        API(6),
        WSTG("BUSL-07"),
    ),
)
async def double_spent_token(probe: Probe) -> Verdict:
    """A value that works once must work once, also when it is presented many times at the same moment.

    Why: between reading that a token is unused and writing that it is used there is room for another request,
        and a thief needs only a moment.
    How: one refresh token is presented 20 times together, in five rounds: in one process by calls of the application,
        over the network on 20 connections whose last byte is released at once. More than one child that works is
        the proof. How many requests were in work at the same moment is measured, and said; without overlap there
        was no race, and the verdict is inconclusive. One after the other, the second use must be refused. One reset
        token with 20 new passwords likewise: at most one of them may be said to be set. A token that confirms an
        address, or changes it, is granted once; where each use gives a login that is grave, else a low finding.
        An invitation that was used lets nobody back in whom its owner has put out, one that was taken back lets nobody
        in, and one that names somebody else not this user (left open unless `open_invitations` in `[policy]` says
        whether it may); the code of an authenticator lets nobody in twice (RFC 6238 §5.2).
        A code that one device shows and another logs in with gives one login, also when it comes back afterwards.
        Where an account may have so many API keys, the last is asked for 20 times, and given once.
    Fix: one statement that checks and marks: `update(RefreshToken).where(RefreshToken.id == id,
        RefreshToken.used_at.is_(None)).values(used_at=now).returning(RefreshToken)`. Codes likewise:
        `update(User).where(User.id == id, User.last_step < step).values(last_step=step)`.
    """
    return await probe.must_be_single_use()
