"""TOK201."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Depth,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK201",
    "exp-enforced",
    title="Expired token accepted",
    severity=Severity.CRITICAL,
    level=1,
    depth=Depth.GREY,
    budget=30,
    needs=(Need.WITNESS, Need.TOKEN),
    references=(
        ASVS("9.2.1"),
        ASVS("7.4.1"),
        ASVS("7.3.2"),
        RFC(7519, "4.1.4"),
        CWE(613),
        API(2),
        WSTG("SESS-10"),
    ),
    exclusive=True,
)
async def expired_token(probe: Probe) -> Verdict:
    """A token must be refused once its end has passed; at most a minute of tolerance for clocks is fine.

    Why: expiry is all that stops a token that leaked into a log, a backup or a browser history last year.
    How: with the true key, sign tokens that ended 1 second to 3 years ago; without it, move the clock of an
        application in this process past the end of an issued token; without that, wait if it ends soon, or
        present the token that an earlier run kept (`token_cache`, the name of a file).
        A token issued now gets in before and after, so that the refusal is about the end.
    Fix: leave `verify_exp` on and `leeway` small: `jwt.decode(token, key, algorithms=["HS256"], leeway=30)`.
    """
    return await probe.must_expire()
