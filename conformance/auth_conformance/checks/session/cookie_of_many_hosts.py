"""SES105."""

from auth_conformance.oracles.cookies import LONGEST_PAIR
from auth_conformance.probe.cookietours import CookieLine
from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


def fault(line: CookieLine) -> tuple[str, Severity | None] | None:
    """Return what is wrong with the line; a cookie that browsers drop is worst, for nobody stays logged in."""
    cookie = line.cookie
    if line.oversized:
        return f"with more than {LONGEST_PAIR} bytes: browsers ignore it", Severity.HIGH
    if faults := cookie.prefix_faults():
        return (
            f"that breaks the promise of its prefix ({', '.join(faults)}): browsers ignore it",
            Severity.HIGH,
        )
    if cookie.attribute("domain"):
        return f"for all hosts below {cookie.scope[0]}", Severity.MEDIUM
    if cookie.prefix != "__Host-" and not line.idle:
        return "without the prefix __Host-, so that other hosts of the site can plant it", None
    return None


@check(
    "SES105",
    "session-cookie-host-scoped",
    title="Session cookie shared with other hosts",
    severity=Severity.LOW,
    level=2,
    budget=6,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(
        ASVS("3.3.1"),
        ASVS("3.3.3"),
        ASVS("3.3.5"),
        RFC(6265, "4.1.2.3"),
        CWE(1275),
        CWE(784),
        WSTG("SESS-02"),
    ),
)
async def cookie_of_many_hosts(probe: Probe) -> Verdict:
    """Every cookie that authenticates must belong to one host: no `Domain`, `Path=/`, a name with `__Host-`.

    Why: with `Domain` every host of the site receives the session, the forgotten blog among them; without the
        prefix each of them can plant one, and log its victim in as somebody else.
    How: find the session cookie by leaving cookies out until the witness refuses, then read `Domain`, `Path`,
        prefix and length on each Set-Cookie line for it.
    Fix: `response.set_cookie("__Host-session", value, path="/", secure=True, httponly=True, samesite="lax")`
        and no `domain=`.
    """
    return await probe.must_write_cookies(fault, "belong to this host alone", unwanted="domain=")
