"""TOK401."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    NIST,
    WSTG,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK401",
    "opaque-token-unguessable",
    title="Reference token that can be guessed",
    severity=Severity.HIGH,
    level=1,
    budget=150,
    impact=Impact.WRITES,
    exclusive=True,
    needs=(Need.WITNESS, Need.LOGIN, Need.BEARER),
    references=(
        ASVS("7.2.3"),
        ASVS("11.5.1"),
        ASVS("7.2.2"),
        NIST("5.1"),
        CWE(331),
        CWE(340),
        WSTG("SESS-01"),
    ),
)
async def guessable_token(probe: Probe) -> Verdict:
    """Reference tokens must be unique random values of at least 128 bits.

    Why: a token that is made of the time, a counter or the user's name is made by anybody; there is no
        signature that would tell.
    How: collect up to forty tokens from two users in turn, and twelve reset tokens out of mails, and look for
        whatever is constant, counts, tells the time, or is the digest of a name; what is left is at most length
        times alphabet. Statistics refute and never certify: a pass says that nothing was found. Likewise the codes of
        invitations, share links and new devices: what an operation hands out and another takes as its only input.
    Fix: `secrets.token_urlsafe(32)`, stored as its SHA-256.
    """
    return await probe.must_issue_unguessable_tokens()
