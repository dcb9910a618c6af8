"""SES103."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    WSTG,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    Violation,
    check,
)


@check(
    "SES103",
    "session-cookie-httponly",
    title="Session cookie readable by scripts",
    severity=Severity.HIGH,
    level=1,
    budget=6,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(ASVS("3.3.4"), RFC(6265, "4.1.2.6"), CWE(1004), WSTG("SESS-02")),
)
async def cookie_readable_by_scripts(probe: Probe) -> Verdict:
    """Every cookie that authenticates must have `HttpOnly`, and its value must travel in Set-Cookie only.

    Why: one injected script then takes the session home, and keeps it after the page is closed.
    How: find the session cookie by leaving cookies out until the witness refuses; read its Set-Cookie lines
        from every login, witness, refresh, confirmed password and logout, and look for its value in their bodies
        and other headers. A CSRF cookie, which scripts must read, authenticates nothing and does not count.
    Fix: `response.set_cookie("session", value, httponly=True, ...)`, and no session id in response models.
    """
    found = await probe.session_cookies()
    echoes = [
        Violation(
            echo.operation,
            f"{echo.operation}: {echo.place}.",
            Severity.MEDIUM,
            (echo.exchange, again.exchange),
        )
        for echo, again in found.echoes
    ]
    return await probe.must_set_cookies(
        lambda cookie: None if cookie.http_only else "without HttpOnly",
        "all have HttpOnly, and no answer repeats it",
        wanted="httponly",
        besides=echoes,
    )
