"""SES109."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "SES109",
    "client-session-secret-not-guessable",
    title="Secret of signed cookies that can be guessed",
    severity=Severity.CRITICAL,
    level=1,
    budget=16,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(
        ASVS("7.2.3"),
        ASVS("11.2.3"),
        ASVS("13.2.3"),
        ASVS("13.3.1"),
        CWE(521),
        CWE(798),
        CWE(1392),
        WSTG("SESS-10"),
    ),
)
async def guessable_cookie_secret(probe: Probe) -> Verdict:
    """The secret that signs cookies must be random and printed nowhere.

    Why: one cookie is enough to try hundreds of thousands of secrets without a single request; whoever finds
        the right one writes sessions for everybody.
    How: offline, against one cookie: published samples, what a missing setting turns into, common passwords
        and names that the service shows, through the derivations of itsdangerous, Starlette, Flask, Django and
        plain HMACs. A hit is confirmed by one cookie that is signed anew.
    Fix: `python -c 'import secrets; print(secrets.token_urlsafe(64))'`, in the environment and without a
        default: `SessionMiddleware(secret_key=settings.secret_key)`, not `secret_key="changethis"`.
    """
    return await probe.cookie_secret_must_be_random()
