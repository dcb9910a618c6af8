"""STO105."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "STO105",
    "session-refresh-and-reset-tokens-hashed",
    title="A token in the database works as it stands",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    impact=Impact.DISRUPTS,
    budget=60,
    needs=(Need.EXPENDABLE, Need.LOGIN, Need.DATABASE),
    references=(
        ASVS("6.5.2"),
        ASVS("13.3.1"),
        ASVS("14.2.4"),
        RFC(9700, "4.14"),
        CWE(312),
        CWE(522),
        WSTG("CRYP-04"),
    ),
)
async def replayable_token(probe: Probe) -> Verdict:
    """A reader of the database must not be able to replay sessions, refresh tokens or reset tokens.

    Why: whoever reads the session table is everybody who is logged in, without one password.
    How: log in by every login, ask for a reset where there is a mailbox, and look for each value, and for the
        signature of JWTs, in every value of every table; then present what is new in the database as a
        credential.
    Fix: store `hashlib.sha256(token.encode()).hexdigest()` and look tokens up by it; of a JWT keep the `jti`
        only.
    """
    return await probe.must_hash_tokens()
