"""SES104."""

from auth_conformance.oracles.cookies import SetCookie
from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "SES104",
    "session-cookie-samesite",
    title="Session cookie sent with requests of other sites",
    severity=Severity.MEDIUM,
    level=1,
    budget=6,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(ASVS("3.3.2"), RFC(6265, "4.1.2"), CWE(1275), WSTG("SESS-02")),
)
async def cookie_sent_across_sites(probe: Probe) -> Verdict:
    """Every cookie that authenticates must say `SameSite=Lax` or `Strict`; `None` only where it is declared.

    Why: a browser attaches the cookie to requests that another site starts. What browsers assume without the
        attribute differs between them, and Chromium lets POST through for two minutes.
    How: find the session cookie by leaving cookies out until the witness refuses, then read `SameSite` on each
        Set-Cookie line for it. `None` needs `Secure` and `cross_site_cookie = true` in the policy.
    Fix: `response.set_cookie("session", value, samesite="lax", secure=True, httponly=True)`.
    """
    declared = probe.target.policy.cross_site_cookie

    def lax(cookie: SetCookie) -> str | None:
        match cookie.same_site:
            case "lax" | "strict":
                return None
            case None:
                return "without SameSite"
            case "none" if cookie.secure:
                return None if declared else "with SameSite=None, for which no need is declared"
            case "none":
                return "with SameSite=None and without Secure"
            case _:
                return "with a SameSite that browsers do not know"

    return await probe.must_set_cookies(
        lax, "all say Lax or Strict" if not declared else "all say SameSite", wanted="samesite="
    )
