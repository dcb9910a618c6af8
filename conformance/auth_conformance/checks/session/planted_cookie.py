"""SES113."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "SES113",
    "duplicate-session-cookies-safe",
    title="One of two session cookies followed",
    severity=Severity.LOW,
    level=3,
    budget=20,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE, Need.TWO_USERS),
    references=(
        ASVS("3.3.3"),
        ASVS("15.3.7"),
        RFC(6265, "5.4"),
        RFC(6265, "8.6"),
        CWE(436),
        CWE(1275),
        WSTG("SESS-02"),
    ),
)
async def planted_cookie(probe: Probe) -> Verdict:
    """Two session cookies in one request must be refused, unless their name cannot be planted.

    Why: a sibling host can set a cookie for the whole domain, and a browser sends it beside the own one, in an
        order that the attacker picks by its path. Starlette keeps the last, other layers the first, and the
        victim works in the attacker's session.
    How: on the wire, A's and B's live cookies in both orders, on one line and on two, and beside a wrong one. A
        name that begins with `__Host-` passes: browsers let no other host set it.
    Fix: name the cookie `__Host-session`, and refuse when
        `[p for p in request.headers["cookie"].split(";") if p.strip().startswith("__Host-session=")]` has two.
    """
    return await probe.must_not_follow_planted_cookie()
