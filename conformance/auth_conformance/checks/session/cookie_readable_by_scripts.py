"""SES103."""

from dataclasses import replace

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    WSTG,
    Failed,
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
        and look for its value in the bodies and the other headers of login, witness, refresh and logout.
        A CSRF cookie, which scripts must read, authenticates nothing and does not count.
    Fix: `response.set_cookie("session", value, httponly=True, ...)`, and no session id in response models.
    """
    verdict = await probe.must_set_cookies(
        lambda cookie: None if cookie.http_only else "without HttpOnly",
        "all have HttpOnly, and no answer repeats it",
        wanted="httponly",
    )
    first, second = (await probe.session_cookies()).tours
    told_again = {(echo.operation, echo.place): echo for echo in second.echoes}
    echoes = tuple(
        Violation(
            echo.operation,
            f"{echo.operation}: {echo.place}.",
            Severity.MEDIUM,
            (echo.exchange, again.exchange),
        )
        for echo in {(echo.operation, echo.place): echo for echo in first.echoes}.values()
        if (again := told_again.get((echo.operation, echo.place))) is not None
    )
    if isinstance(verdict, Failed):
        return replace(verdict, violations=verdict.violations + echoes)
    return Failed(echoes, verdict.evidence) if echoes else verdict
