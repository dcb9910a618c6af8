"""SES107."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "SES107",
    "session-id-unguessable",
    title="Session id that can be guessed",
    severity=Severity.HIGH,
    level=1,
    budget=60,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(
        ASVS("7.2.3"),
        ASVS("11.5.1"),
        NIST("5.1"),
        CWE(331),
        CWE(334),
        WSTG("SESS-01"),
    ),
)
async def guessable_session_id(probe: Probe) -> Verdict:
    """Session ids must be unique and carry at least 128 bits of chance.

    Why: who guesses an id is logged in as its owner, without a password and without a trace of a login.
    How: log in again and again, two of each pair in the same second, and add what strangers are given before the
        login. Constant places, times, counters, names, digests of such things and known generators are no
        chance; what is left must reach 128 bits.
    Fix: `secrets.token_urlsafe(32)` for every session, and nothing else in the cookie.
    """
    return await probe.must_issue_unguessable_sessions()
