"""SES106."""

from auth_conformance.probe.cookietours import CookieLine
from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check

# What nobody declared: half a day for a session, a month for what renews it (checklist SES106).
SESSION, REMEMBERED = 12 * 3_600.0, 30 * 86_400.0
# Clocks count whole seconds, and Expires is computed before the answer leaves.
ROUNDING = 5.0


@check(
    "SES106",
    "session-cookie-lifetime-bounded",
    title="Session cookie kept by browsers for longer than a session lasts",
    severity=Severity.LOW,
    level=2,
    budget=6,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(ASVS("7.3.2"), RFC(6265, "4.1.2.2"), CWE(539), CWE(613), WSTG("SESS-02")),
)
async def long_lived_cookie(probe: Probe) -> Verdict:
    """A browser must not keep a session cookie for longer than the server lets a session live.

    Why: the cookie stays on the disk of a shared or sold computer, and often the server relies on the
        browser to forget it. Starlette's `SessionMiddleware` says 14 days when it is told nothing.
    How: read `Max-Age`, or `Expires` beside the answer's `Date`, on each line for a cookie that
        authenticates, and compare with `session_absolute` of the policy (12 hours where nothing is declared),
        for a refresh cookie with `refresh_family` (30 days).
    Fix: `response.set_cookie("__Host-session", value, max_age=12 * 3600, ...)`, or no `max_age` at all; the
        server ends the session by its own clock.
    """
    policy, refresh = probe.target.policy, probe.target.refresh
    session = policy.session_absolute or SESSION
    remembered = policy.refresh_family or REMEMBERED

    def fault(line: CookieLine) -> tuple[str, Severity | None] | None:
        renews = refresh is not None and refresh.place == "cookie" and refresh.field == line.cookie.name
        limit = remembered if renews else session
        try:
            seconds = line.cookie.lifetime(line.at)
        except ValueError:
            return "with an Expires that no browser can read", None
        if seconds is None or seconds <= limit + ROUNDING:
            return None
        return f"for {seconds / 3_600:.0f} hours, and {limit / 3_600:.0f} are the limit", None

    return await probe.must_write_cookies(fault, "end in time")
