"""CRD109."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD109",
    "login-no-enumeration-by-response",
    title="Login tells who has an account",
    severity=Severity.MEDIUM,
    level=3,
    budget=70,
    impact=Impact.WRITES,
    needs=(Need.LOGIN,),
    references=(ASVS("6.3.8"), CWE(204), CWE(203), API(2), WSTG("IDNT-04")),
)
async def revealing_login_error(probe: Probe) -> Verdict:
    """The answer to a wrong password must be the same whether or not the name has an account.

    Why: a list of the names that exist is where password guessing, phishing and blackmail start.
    How: send unknown names and known ones in turn, with the same wrong passwords, and a disabled
        account where an administrator can make one; compare status, header
        names and values, cookies, body and length without ids, times, counters and echoes of the input. What
        differs among unknown names already is not held against the service.
    Fix: raise one and the same `HTTPException(401, "Wrong name or password")` for an unknown name, a wrong
        password and a disabled account, and hash the given password in every case.
    """
    return await probe.must_look_alike(await probe.wrong_passwords_of_all())
