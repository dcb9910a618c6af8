"""TOK213."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK213",
    "issued-token-profile",
    title="Issued token that lives too long, tells secrets, or is like another one",
    severity=Severity.MEDIUM,
    level=2,
    budget=20,
    impact=Impact.WRITES,
    needs=(Need.LOGIN, Need.JWT),
    references=(
        ASVS("14.2.6"),
        ASVS("14.2.4"),
        ASVS("7.3.2"),
        ASVS("9.2.4"),
        RFC(9068, "2.2"),
        RFC(9068, "6"),
        RFC(7519, "12"),
        CWE(613),
        CWE(522),
    ),
)
async def telling_token(probe: Probe) -> Verdict:
    """Issued JWTs must be short-lived, different from each other, and free of secrets.

    Why: a JWT is signed, not encrypted: every log and every script that sees it reads the claims. Its life is
        how long a stolen one works, and two tokens of one text cannot be revoked apart.
    How: log in three times, twice within one second, and decode what is issued: length of life, identity,
        the password, its hash, an API key that the account has, and rows of the database among the claims. Other JWTs
        in the answer (an ID token) are read for secrets, too.
    Fix: put an identifier into the token and the rest into the database:
        `{"sub": user.id, "jti": uuid4().hex, "iat": now, "exp": now + timedelta(minutes=15)}`.
    """
    return await probe.must_issue_discreet_tokens()
