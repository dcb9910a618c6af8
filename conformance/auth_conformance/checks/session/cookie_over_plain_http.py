"""SES102."""

from auth_conformance.oracles.cookies import SetCookie
from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


def not_secure(cookie: SetCookie) -> str | None:
    """Return what is wrong with the cookie."""
    if cookie.secure:
        return None
    promise = f", which its prefix {cookie.prefix} promises: browsers ignore it" if cookie.prefix else ""
    return f"without Secure{promise}"


@check(
    "SES102",
    "session-cookie-secure",
    title="Session cookie sent over plain http",
    severity=Severity.HIGH,
    level=1,
    budget=6,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(ASVS("3.3.1"), RFC(6265, "4.1.2.5"), CWE(614), WSTG("SESS-02")),
)
async def cookie_over_plain_http(probe: Probe) -> Verdict:
    """Every cookie that authenticates must have the attribute `Secure`.

    Why: a browser sends a cookie without `Secure` over http too, where one picture from `http://your-site/`
        is enough for everybody on the way to read it.
    How: find the session cookie by leaving cookies out until the witness refuses, then read each Set-Cookie
        line for it from every login, witness, refresh, confirmed password and logout, twice.
    Fix: `response.set_cookie("session", value, secure=True, httponly=True, samesite="lax")`, or for Starlette's
        `SessionMiddleware` the argument `https_only=True`, which is off by default.
    """
    return await probe.must_set_cookies(not_secure, "all have Secure", wanted="secure")
