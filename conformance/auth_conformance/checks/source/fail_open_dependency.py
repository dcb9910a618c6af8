"""SRC118."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC118",
    "auth-code-fails-closed",
    title="Authentication lets callers in when something goes wrong",
    severity=Severity.HIGH,
    level=2,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(
        ASVS("16.5.3"),
        ASVS("8.3.1"),
        ASVS("16.5.1"),
        API(2),
        CWE(636),
        CWE(390),
        CWE(396),
        CWE(489),
    ),
)
async def fail_open_dependency(probe: Probe) -> Verdict:
    """Every path through an authentication dependency must return a verified caller or raise.

    Why: the path that nobody tests is the one where the token is odd, the store is down or a flag is on.
    How: follow each function that looks at credentials, and who uses its result: handlers that swallow
        exceptions, results that may be None and that nobody looks at, `auto_error=False`, `finally: return`,
        debug switches, rate limiters that are off when their storage fails; and, graver than they look, naive
        expiry times and exception texts in answers.
    Fix: raise in every `except`: `raise HTTPException(status.HTTP_401_UNAUTHORIZED) from None`; let None mean
        anonymous only where the caller tests for it.
    """
    return await probe.must_hold_in_source(
        "Every path through authentication returns a verified caller or raises"
    )
